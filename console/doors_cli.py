"""`strapontin doors`: what operators ask of the doors, one command each.

Owns the commands, their words and their exit codes: 0 done, 1 the server refused (or a ticket
that was to be marked was not admitted), 2 could not begin.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from console.cli import (
    DEFAULT_SERVER,
    Json,
    Login,
    Server,
    fail,
    t,
)
from console.client import Client
from console.doors import Conflict, Doors, Guest, Inside, Marked
from console.operating import REFUSED, Token, operator, print_json, run
from console.words import refusal_words
from engine.commands import Alarm, ScanOutcome
from renderers.money import format_time

MAX_GUESTS_LISTED: Final = 200
"""Guests on a terminal; all of them are in a file."""

Performance = Annotated[int, Parameter(help=t("doors.cli.performance"))]
Name = Annotated[str, Parameter(help=t("doors.cli.name"))]
Format = Annotated[Literal["csv", "xlsx", "pdf"], Parameter(help=t("doors.cli.format"))]
Output = Annotated[Path | None, Parameter(help=t("doors.cli.output"))]
Gate = Annotated[str, Parameter(help=t("doors.cli.gate"))]
Tickets = Annotated[int, Parameter(help=t("doors.cli.tickets"))]

app = App(name="doors", help=t("cli.doors.help"), help_format="plaintext")


@app.command(help=t("doors.cli.inside"))
def inside(
    performance: Performance,
    /,
    *,
    server: Server = DEFAULT_SERVER,
    login: Login = "",
    token: Token = "",
    json: Json = False,
) -> int:
    async def work(client: Client) -> int:
        told = await Doors(client, performance).inside()
        _out(told, json, lambda: _tell_inside(told))
        return 0

    return _run(work, server, login, token)


@app.command(help=t("doors.cli.conflicts"))
def conflicts(
    performance: Performance,
    /,
    *,
    server: Server = DEFAULT_SERVER,
    login: Login = "",
    token: Token = "",
    json: Json = False,
) -> int:
    async def work(client: Client) -> int:
        found = await Doors(client, performance).conflicts()
        zone = await _zone(client)
        _out(found, json, lambda: [_tell_conflict(one, zone) for one in found])
        if not (found or json):
            print(t("console.conflicts.none"))
        return 0

    return _run(work, server, login, token)


@app.command(help=t("doors.cli.guests"))
def guests(
    performance: Performance,
    /,
    *,
    name: Name = "",
    format: Format = "csv",
    output: Output = None,
    server: Server = DEFAULT_SERVER,
    login: Login = "",
    token: Token = "",
    json: Json = False,
) -> int:
    async def work(client: Client) -> int:
        doors = Doors(client, performance)
        if output is not None:
            body = await doors.guest_file(format, name, t.language)
            try:
                await asyncio.to_thread(output.write_bytes, body)
            except OSError as error:
                return fail(f"{output}: {error.strerror}")
            return 0
        found = await doors.guests(name, MAX_GUESTS_LISTED)
        zone = await _zone(client)
        _out(found, json, lambda: [_tell_guest(one, zone) for one in found])
        return 0

    return _run(work, server, login, token)


@app.command(help=t("doors.cli.mark"))
def mark(
    performance: Performance,
    /,
    *tickets: Tickets,
    gate: Gate = "",
    server: Server = DEFAULT_SERVER,
    login: Login = "",
    token: Token = "",
    json: Json = False,
) -> int:
    if not tickets:
        return fail(t("doors.cli.which"))

    async def work(client: Client) -> int:
        marked = await Doors(client, performance).mark(tickets, gate)
        _out(marked, json, lambda: [_tell_marked(one) for one in marked])
        good = all(one.result == ScanOutcome.ADMITTED for one in marked)
        return 0 if good else REFUSED

    return _run(work, server, login, token)


def _run(
    work: Callable[[Client], Coroutine[Any, Any, int]], server: str, login: str, token: str
) -> int:
    async def ask() -> int:
        return await work(await operator(server, login, token))

    return run(ask)


async def _zone(client: Client) -> str:
    return (await client.house()).time_zone


# Out -----------------------------------------------------------------------------------


def _out(value: Any, as_json: bool, tell: Callable[[], object]) -> None:
    if as_json:
        print_json(value)
    else:
        tell()


def _tell_inside(told: Inside) -> None:
    print(t("console.door.inside", total=told.total))
    for gate in told.gates:
        line = f"  {gate.name:24} {gate.inside:>7}"
        if gate.capacity:
            line += f"  {gate.zone}/{gate.capacity}"
        if gate.alarm is not Alarm.NONE:
            line += f"  {t(f'doors.cli.alarm.{gate.alarm.value}')}"
        print(line)
    for section in told.sections:
        print(f"  {section.name:24} {section.inside:>7}")


def _tell_conflict(conflict: Conflict, zone: str) -> None:
    print(f"{conflict.ticket}  {conflict.label}")
    for scan in conflict.scans:
        verdict = t("console.conflicts.winner" if scan.winner else "console.conflicts.second")
        how = t("console.conflicts.kept" if scan.kept else "console.conflicts.online")
        at = format_time(scan.at_ms, zone, t.language)
        print(f"    {verdict:12} {at}  {scan.gate:12} {scan.device:20} {how}")


def _tell_guest(guest: Guest, zone: str) -> None:
    arrived = format_time(guest.arrived_ms, zone, t.language) if guest.arrived_ms else ""
    print(f"{'✓' if arrived else ' '} {guest.ticket:>6}  {guest.name:32} {guest.label}  {arrived}")


def _tell_marked(marked: Marked) -> None:
    key = f"outcome.scan.{marked.result}"
    print(f"{marked.ticket:>6}  {t(key) if key in t else refusal_words(t, marked.result)}")
