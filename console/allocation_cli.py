"""`strapontin allocation`: what is kept for whom, keep more, give some back; and the quotas.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin. Seats are
written as a box office says them: "Stalls B 3-8, C 4".
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import App, Parameter

from console.cli import t
from console.client import Client
from console.operating import ASKER, Asker, Failure, house_zone, operator, print_json, run
from console.programme import text_in
from console.seating import Seating
from engine.commands import Channel

app = App(name="allocation", help=t("cli.allocation.help"), help_format="plaintext")

Performance = Annotated[int, Parameter(help=t("allocation.cli.performance"))]
Name = Annotated[str, Parameter(help=t("allocation.cli.name"))]
Seats = Annotated[str, Parameter(help=t("allocation.cli.seats"))]
Some = Annotated[str, Parameter(help=t("allocation.cli.some"))]
Channels = Annotated[list[Channel], Parameter(name="--channel", help=t("allocation.cli.channel"))]
Until = Annotated[str, Parameter(help=t("allocation.cli.until"))]
Reason = Annotated[str, Parameter(help=t("allocation.cli.reason"))]


class Use(msgspec.Struct, frozen=True):
    """One allocation, as the server tells it."""

    name: str
    channels: tuple[str, ...]
    release_ms: int
    seats: int
    left: int
    held: int
    sold: int


class Surplus(Use, frozen=True):
    areas: tuple[dict[str, Any], ...] = ()


class Kept(msgspec.Struct, frozen=True):
    """Resellers are told of no surplus."""

    allocations: tuple[Use, ...]
    surplus: Surplus = Surplus("", (), 0, 0, 0, 0, 0)


class QuotaLeft(msgspec.Struct, frozen=True):
    id: str
    names: dict[str, str]
    limit: int
    used: int
    left: int


@app.command(name="list", help=t("allocation.cli.list"))
def list_(
    performance: Performance,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        kept = await client.ask(Kept, "GET", _path(performance))
        await _show(client, kept, who.json)
        return 0

    return run(work)


@app.command(help=t("allocation.cli.keep"))
def keep(
    performance: Performance,
    name: Name,
    seats: Seats,
    /,
    *,
    channel: Channels,
    until: Until = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        body = {
            "name": name,
            "channels": channel,
            "seats": await _seats(client, performance, seats),
            "release_ms": await _until_ms(client, until),
        }
        kept = await client.ask(Kept, "POST", _path(performance), body)
        await _show(client, kept, who.json)
        return 0

    return run(work)


@app.command(help=t("allocation.cli.release"))
def release(
    performance: Performance,
    name: Name,
    seats: Some = "",
    /,
    *,
    reason: Reason = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        some = await _seats(client, performance, seats) if seats else []
        body = {"name": name, "seats": some, "reason": reason}
        kept = await client.ask(Kept, "POST", f"{_path(performance)}/release", body)
        await _show(client, kept, who.json)
        return 0

    return run(work)


@app.command(help=t("allocation.cli.quotas"))
def quotas(
    performance: Performance,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        path = f"/api/performances/{performance}/quotas"
        found = await client.ask(list[QuotaLeft], "GET", path)
        if who.json:
            print_json(found)
            return 0
        for one in found:
            name = text_in(one.names, t.language) or one.id
            print(f"{one.used:>6} / {one.limit:<6} {name}")
        if not found:
            print(t("allocation.cli.no_quotas"))
        return 0

    return run(work)


def _path(performance: int) -> str:
    return f"/api/performances/{performance}/allocations"


# In --------------------------------------------------------------------------------------


async def _seats(client: Client, performance: int, text: str) -> Sequence[int]:
    shown = await client.performance(performance)
    seating = Seating(await client.plan(shown.plan))
    try:
        return seating.find_seats(text)
    except ValueError as error:
        raise Failure(t("allocation.cli.no_seat", text=str(error))) from None


async def _until_ms(client: Client, text: str) -> int:
    if not text:
        return 0
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(t("allocation.cli.bad_time", text=text)) from None
    zone = await house_zone(client)
    return int((time if time.tzinfo else time.replace(tzinfo=zone)).timestamp() * 1000)


# Out -------------------------------------------------------------------------------------


async def _show(client: Client, kept: Kept, as_json: bool) -> None:
    if as_json:
        print_json(kept)
        return
    zone = await house_zone(client)
    for one in kept.allocations:
        _line(one, one.name, zone)
    if kept.surplus.seats:
        _line(kept.surplus, t("allocation.cli.surplus"), zone)
    for area in kept.surplus.areas:
        print(t("allocation.cli.area", name=area["name"], left=area["left"]))
    if not (kept.allocations or kept.surplus.seats or kept.surplus.areas):
        print(t("allocation.cli.nothing"))


def _line(one: Use, name: str, zone: ZoneInfo) -> None:
    channels = ", ".join(t(f"console.channel.{channel}") for channel in one.channels)
    print(t("allocation.cli.line", name=name, left=one.left, seats=one.seats, channels=channels))
    if one.release_ms:
        at = datetime.fromtimestamp(one.release_ms / 1000, UTC).astimezone(zone)
        print(t("allocation.cli.released", when=f"{at:%Y-%m-%d %H:%M}"))
