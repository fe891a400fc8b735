"""`strapontin doors`: what operators ask of the doors, one command each.

Owns the commands, their words and their exit codes: 0 done, 1 the server refused (or a ticket
that was to be marked was not admitted), 2 could not begin.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from console.cli import (
    fail,
    t,
)
from console.client import Client
from console.doors import Conflict, Doors, Guest, Inside, Marked
from console.operating import ASKER, REFUSED, Asker, operator, print_json, run
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
    who: Asker = ASKER,
) -> int:
    async def work(client: Client) -> int:
        told = await Doors(client, performance).inside()
        _out(told, who.json, _inside_lines(told))
        return 0

    return _run(work, who)


@app.command(help=t("doors.cli.conflicts"))
def conflicts(
    performance: Performance,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work(client: Client) -> int:
        found = await Doors(client, performance).conflicts()
        zone = await _zone(client)
        _out(found, who.json, (_conflict_words(one, zone) for one in found))
        if not (found or who.json):
            print(t("console.conflicts.none"))
        return 0

    return _run(work, who)


@app.command(help=t("doors.cli.guests"))
def guests(
    performance: Performance,
    /,
    *,
    name: Name = "",
    format: Format = "csv",
    output: Output = None,
    who: Asker = ASKER,
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
        _out(found, who.json, (_guest_words(one, zone) for one in found))
        return 0

    return _run(work, who)


@app.command(help=t("doors.cli.mark"))
def mark(
    performance: Performance,
    /,
    *tickets: Tickets,
    gate: Gate = "",
    who: Asker = ASKER,
) -> int:
    if not tickets:
        return fail(t("doors.cli.which"))

    async def work(client: Client) -> int:
        marked = await Doors(client, performance).mark(tickets, gate)
        _out(marked, who.json, (_marked_words(one) for one in marked))
        good = all(one.result == ScanOutcome.ADMITTED for one in marked)
        return 0 if good else REFUSED

    return _run(work, who)


def _run(work: Callable[[Client], Coroutine[Any, Any, int]], who: Asker) -> int:
    async def ask() -> int:
        return await work(await operator(who))

    return run(ask)


async def _zone(client: Client) -> str:
    return (await client.house()).time_zone


# Out -----------------------------------------------------------------------------------


def _out(value: Any, as_json: bool, lines: Iterable[str]) -> None:
    if as_json:
        print_json(value)
        return
    for line in lines:
        print(line)


def _inside_lines(told: Inside) -> Iterator[str]:
    yield t("console.door.inside", total=told.total)
    for gate in told.gates:
        line = f"  {gate.name:24} {gate.inside:>7}"
        if gate.capacity:
            line += f"  {gate.zone}/{gate.capacity}"
        if gate.alarm is not Alarm.NONE:
            line += f"  {t(f'doors.cli.alarm.{gate.alarm.value}')}"
        yield line
    for section in told.sections:
        yield f"  {section.name:24} {section.inside:>7}"


def _conflict_words(conflict: Conflict, zone: str) -> str:
    lines = [f"{conflict.ticket}  {conflict.label}"]
    for scan in conflict.scans:
        verdict = t("console.conflicts.winner" if scan.winner else "console.conflicts.second")
        how = t("console.conflicts.kept" if scan.kept else "console.conflicts.online")
        at = format_time(scan.at_ms, zone, t.language)
        lines.append(f"    {verdict:12} {at}  {scan.gate:12} {scan.device:20} {how}")
    return "\n".join(lines)


def _guest_words(guest: Guest, zone: str) -> str:
    arrived = format_time(guest.arrived_ms, zone, t.language) if guest.arrived_ms else ""
    return f"{'✓' if arrived else ' '} {guest.ticket:>6}  {guest.name:32} {guest.label}  {arrived}"


def _marked_words(marked: Marked) -> str:
    key = f"outcome.scan.{marked.result}"
    return f"{marked.ticket:>6}  {t(key) if key in t else refusal_words(t, marked.result)}"
