"""`strapontin queue`: open, watch and close a waiting room, and verify its draw.

Owns arguments, what is printed and exit codes: 0 done and all agrees, 1 refused, or a log
that does not agree with itself, 2 could not begin. Verifying needs the public log alone:
reading and judging it is `console.room_log`'s.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from console.cli import DEFAULT_SERVER, Json, Server, fail, t
from console.client import MAX_BODY_BYTES, Client, RoomInfo
from console.operating import (
    ASKER,
    REFUSED,
    Asker,
    Failure,
    house_zone,
    operator,
    print_json,
    run,
)
from console.room_log import LogUnreadable, RoomLog, Verdict, read_log, verdict_of
from engine.waiting import VISITOR_BYTES, Admitted, Arrived, Closed, Drawn, Opened, Phase

app = App(name="queue", help=t("cli.queue.help"), help_format="plaintext")

Performance = Annotated[int, Parameter(help=t("queue.cli.performance"))]
Opens = Annotated[str, Parameter(help=t("queue.cli.opens"))]
OnSale = Annotated[str, Parameter(help=t("queue.cli.on_sale"))]
Source = Annotated[str, Parameter(help=t("queue.cli.source"))]
Visitor = Annotated[str, Parameter(help=t("queue.cli.visitor"))]


@app.command(name="open", help=t("queue.cli.open"))
def open_(
    performance: Performance,
    /,
    *,
    opens: Opens,
    on_sale: OnSale,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        zone = await house_zone(client)
        opens_ms, on_sale_ms = _time_ms(opens, zone), _time_ms(on_sale, zone)
        _show(await client.open_room(performance, opens_ms, on_sale_ms), zone, who.json)
        return 0

    return _run(work)


@app.command(help=t("queue.cli.show"))
def show(
    performance: Performance, /, *, server: Server = DEFAULT_SERVER, json: Json = False
) -> int:
    async def work() -> int:
        client = Client(server)
        _show(await client.room(performance), await house_zone(client), json)
        return 0

    return _run(work)


@app.command(help=t("queue.cli.close"))
def close(
    performance: Performance,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        await client.close_room(performance)
        if who.json:
            print_json({"performance": performance, "phase": Phase.CLOSED})
        else:
            print(t("queue.cli.closed", performance=performance))
        return 0

    return _run(work)


@app.command(help=t("queue.cli.log"))
def log(performance: Performance, /, *, server: Server = DEFAULT_SERVER, json: Json = False) -> int:
    async def work() -> int:
        client = Client(server)
        data = await client.room_log(performance)
        if json:
            print(data.decode())
            return 0
        zone = await house_zone(client)
        for line in _log_lines(read_log(data), zone):
            print(line)
        return 0

    return _run(work)


@app.command(help=t("queue.cli.verify"))
def verify(source: Source, /, *, visitor: Visitor = "", json: Json = False) -> int:
    async def work() -> int:
        name = _visitor(visitor)
        verdict = verdict_of(read_log(await _fetch(source)), name)
        if json:
            print_json(verdict)
        else:
            _tell(verdict, visitor)
        agrees = not verdict.disagreements and (not visitor or verdict.visitor is not None)
        return 0 if agrees else REFUSED

    return _run(work)


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    try:
        return run(work)
    except LogUnreadable as error:
        return fail(t("queue.cli.unreadable_log", why=str(error)))


# In ------------------------------------------------------------------------------------


def _time_ms(text: str, zone: ZoneInfo) -> int:
    """ "now", or a date and time of ISO 8601: the house's where it names no offset."""
    if text == "now":
        return int(datetime.now(UTC).timestamp() * 1000)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(t("queue.cli.bad_time", text=text)) from None
    return int((time if time.tzinfo else time.replace(tzinfo=zone)).timestamp() * 1000)


def _visitor(text: str) -> bytes:
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b"?"
    if text and len(name) != VISITOR_BYTES:
        raise Failure(t("queue.cli.bad_visitor", text=text, digits=2 * VISITOR_BYTES))
    return name


async def _fetch(source: str) -> bytes:
    """The log in a file, or at an address."""
    parts = urlsplit(source)
    if parts.scheme in ("http", "https"):
        client = Client(f"{parts.scheme}://{parts.netloc}")
        return await client.get(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    try:
        return await asyncio.to_thread(_read_file, Path(source))
    except OSError as error:
        why = error.strerror or str(error)
        raise Failure(t("queue.cli.unreadable", file=source, why=why)) from None


def _read_file(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BODY_BYTES)


# Out -----------------------------------------------------------------------------------


def _show(room: RoomInfo, zone: ZoneInfo, as_json: bool) -> None:
    if as_json:
        print_json(room)
        return
    print(t(f"queue.phase.{room.phase}"))
    print(t("queue.cli.times", opens=_at(room.opens_ms, zone), on_sale=_at(room.on_sale_ms, zone)))
    print(t("queue.cli.numbers", arrived=room.arrived, front=room.front))
    if room.available >= 0:
        print(t.plural("queue.cli.available", room.available))
    print(t("queue.cli.commitment", commitment=room.commitment))


def _log_lines(log: RoomLog, zone: ZoneInfo) -> Iterator[str]:
    for event in log.events[1:]:
        assert not isinstance(event, Opened)
        at = _at(event.at_ms, zone)
        match event:
            case Arrived():
                yield f"{at}  {t.plural('queue.log.arrived', len(event.visitors))}"
            case Drawn():
                yield f"{at}  {t('queue.log.drawn', seed=event.seed.hex())}"
            case Admitted():
                yield f"{at}  {t.plural('queue.log.admitted', len(event.visitors))}"
            case Closed():
                yield f"{at}  {t('queue.log.closed')}"


def _tell(verdict: Verdict, asked: str) -> None:
    for disagreement in verdict.disagreements:
        print(t("queue.verify.wrong", why=disagreement), file=sys.stderr)
    if verdict.disagreements:
        return
    print(t("queue.verify.good", performance=verdict.performance, events=verdict.events))
    print(t("queue.verify.commitment", commitment=verdict.commitment))
    if verdict.drawn < 0:
        print(t("queue.verify.not_drawn"))
    else:
        print(t("queue.verify.seed", seed=verdict.seed))
        print(t.plural("queue.verify.drawn", verdict.drawn))
    counts = {"arrived": verdict.arrived, "admitted": verdict.admitted, "away": verdict.away}
    print(t("queue.verify.counts", **counts))
    if asked:
        _tell_visitor(verdict, asked)


def _tell_visitor(verdict: Verdict, asked: str) -> None:
    standing = verdict.visitor
    if standing is None:
        print(t("queue.verify.stranger", visitor=asked), file=sys.stderr)
        return
    print(t("queue.verify.number", visitor=standing.visitor, number=standing.number))
    if standing.place >= 0:
        print(t("queue.verify.place", place=standing.place + 1))
    if standing.admitted_ms:
        print(t("queue.verify.admitted", at=_at(standing.admitted_ms, UTC)))


def _at(ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(ms / 1000, zone).isoformat(" ", "milliseconds")
