"""A scanner: secrets in, outcomes out, over the same websocket as everybody else.

Owns the reference scanner (`strapontin scan`), which goes on without the house by `console.alone`,
and what the console's door screen shares with it: one scan under one id, sent again under that id
until it is answered, so that a lost connection neither burns a ticket twice nor lets it in twice.
"""

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import CancelledError
from enum import Enum
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

from console.alone import CannotTell, Desk, Trouble
from console.client import Client, HouseInfo, Unreachable
from console.kept import CannotKeep, Memory
from console.link import Link, LinkState, NotServed
from console.programme import Performance
from console.seating import PlanColumns, Seating
from console.till import new_id, now_ms
from engine.commands import Outcome, Refused, ScanMode, Scanned, ScanOutcome
from gateway.wire import AskScan, AskUndoScan
from renderers.i18n import Translator
from renderers.money import format_time, format_weekday_date

T = TypeVar("T")

LAST_S: Final = 5.0
"""How long a scanner that has nothing more to read waits until what it kept is sent."""
MAX_WAITING_LINES: Final = 100
"""Secrets read and not yet answered; a reader faster than the server waits."""
DAY_MS: Final = 24 * 3_600_000

OK: Final = 0
REFUSED: Final = 1
FAILED: Final = 2


class Seriousness(Enum):
    """GOOD lets in; WARN is worth a question; BAD stays outside."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


_GOOD: Final = frozenset({ScanOutcome.ADMITTED, ScanOutcome.EXITED})
_WARN: Final = frozenset(
    {
        ScanOutcome.ALREADY_USED,
        ScanOutcome.WRONG_GATE,
        ScanOutcome.TOO_EARLY,
        ScanOutcome.TOO_LATE,
        ScanOutcome.UNPAID,
    }
)
_SIGNS: Final = {Seriousness.GOOD: "✓", Seriousness.WARN: "▲", Seriousness.BAD: "×"}
_COLORS: Final = {Seriousness.GOOD: "30;42", Seriousness.WARN: "30;43", Seriousness.BAD: "97;41"}


def seriousness(result: ScanOutcome) -> Seriousness:
    if result in _GOOD:
        return Seriousness.GOOD
    return Seriousness.WARN if result in _WARN else Seriousness.BAD


class Scanner:
    """Presents tickets of one performance over a link."""

    def __init__(self, link: Link, performance_id: int) -> None:
        self._link = link
        self._performance = performance_id

    async def scan(self, secret: str, mode: ScanMode, gate: str, reason: str = "") -> Outcome:
        """Waits through lost connections. Raises NotServed if this token may not scan here."""
        ask = AskScan(new_id(), self._performance, secret, gate, mode, reason)
        return await self._link.ask(ask)

    async def undo(self, ticket: int, gate: str) -> Outcome:
        """Take back what was scanned last of this ticket; as `scan`."""
        return await self._link.ask(AskUndoScan(new_id(), self._performance, ticket, gate))


class ScanError(Exception):
    """The scanner cannot begin; the text is for people."""


class Report:
    """Writes one line an outcome: for people, in colour on a terminal, or JSON."""

    def __init__(
        self, t: Translator, found: Performance, seating: Seating, zone: str, as_json: bool
    ) -> None:
        self._t = t
        self._performance = found
        self._seating = seating
        self._zone = zone
        self._json = as_json
        self._color = sys.stdout.isatty()

    def tell(self, secret: str, outcome: Outcome, mode: ScanMode, alone: bool = False) -> bool:
        """Print it; returns whether the ticket would be let in. `alone`: the house did not say."""
        if not isinstance(outcome, Scanned):
            code = outcome.code.value if isinstance(outcome, Refused) else "unexpected"
            self._write(secret, code, self._t(f"refusal.{code}"), Seriousness.BAD, {})
            return False
        look = seriousness(outcome.result)
        facts: dict[str, Any] = {"mode": mode.value}
        words = [self._t(f"outcome.scan_why.{outcome.result.value}")]
        if mode is ScanMode.LOOK_UP:
            words.append(self._t("console.door.not_admitted"))
        if outcome.ticket >= 0:
            facts |= {"ticket": outcome.ticket, "order": outcome.order}
        if outcome.seat >= 0 or outcome.area >= 0:
            spot = outcome.seat
            if spot < 0:
                spot = self._seating.seat_count + outcome.area
            facts["place"] = self._seating.words(spot, self._t)
            facts["price_type"] = outcome.price_type
            kind = self._performance.price_name(outcome.price_type, self._t.language)
            words.append(f"{facts['place']} · {kind}")
        if outcome.used_at_ms and outcome.result is ScanOutcome.ALREADY_USED:
            facts |= {"used_at_ms": outcome.used_at_ms, "used_gate": outcome.used_gate}
            when = format_weekday_date(outcome.used_at_ms, self._zone, self._t.language)
            when += " " + format_time(outcome.used_at_ms, self._zone, self._t.language)
            words.append(self._t("console.door.used", when=when, gate=outcome.used_gate))
        if alone:
            facts["alone"] = True
            words.append(self._t("console.scan.alone"))
        self._write(secret, outcome.result.value, " · ".join(words), look, facts)
        return look is Seriousness.GOOD

    def cannot_tell(self, secret: str, trouble: Trouble) -> None:
        """Nobody knows now."""
        words = self._t(f"console.scan.cannot_tell.{trouble.value}")
        self._write(secret, trouble.value, words, Seriousness.WARN, {})

    def _write(
        self, secret: str, result: str, words: str, look: Seriousness, facts: dict[str, Any]
    ) -> None:
        if self._json:
            line = json.dumps({"secret": secret, "result": result} | facts, ensure_ascii=False)
        else:
            key = f"outcome.scan.{result}"
            big = f" {_SIGNS[look]} {self._t(key) if key in self._t else result.upper()} "
            line = f"\x1b[{_COLORS[look]};1m{big}\x1b[0m {words}" if self._color else big + words
        sys.stdout.write(line.strip() + "\n")
        sys.stdout.flush()


async def run_scanner(
    client: Client,
    t: Translator,
    performance_id: int,
    gate: str,
    mode: ScanMode,
    pictures: Sequence[Path],
    as_json: bool,
    given: TextIO,
    memory: Memory,
) -> int:
    """Scan pictures, or the lines of `given` until it ends. Returns the exit code.

    Raises:
        ClientError, ScanError: it cannot begin.
    """
    found = await _chosen(client, t, performance_id, memory)
    columns = await remembered(
        memory, f"plan {found.plan}", PlanColumns, lambda: client.plan(found.plan)
    )
    house = await remembered(memory, "house", HouseInfo, client.house)
    report = Report(t, found, Seating(columns), house.time_zone, as_json)
    begun, failed = asyncio.Event(), asyncio.Event()

    def state_changed(state: LinkState, why: str) -> None:
        if state is LinkState.LOST:
            _complain(t("console.status.lost") + f" ({why})")
        if state is LinkState.REFUSED:
            failed.set()
        desk.link_changed(state)
        begun.set()

    link = Link(
        client.server, client.token, t.language, on_state=state_changed, context=client.context
    )
    desk = Desk(
        link, client, memory, on_conflict=lambda scan: _complain(t("console.scan.conflict"))
    )
    running = asyncio.create_task(link.run())
    in_step = asyncio.create_task(desk.keep_in_step(found.id))
    secrets = _in_pictures(pictures, t) if pictures else _in_lines(given)
    work = asyncio.create_task(_work(desk, begun, found.id, secrets, gate, mode, report, t))
    refused = asyncio.create_task(failed.wait())
    try:
        await asyncio.wait({work, refused, running}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            all_good = work.result()
            return OK if all_good or not pictures else REFUSED
        if running.done() and not failed.is_set():
            running.result()
        raise ScanError(t("refusal.unauthenticated"))
    finally:
        for task in (work, refused, running, in_step):
            task.cancel()
        await asyncio.gather(work, refused, running, in_step, return_exceptions=True)
        await desk.stop()


async def _work(
    desk: Desk,
    begun: asyncio.Event,
    performance: int,
    secrets: AsyncIterator[str | None],
    gate: str,
    mode: ScanMode,
    report: Report,
    t: Translator,
) -> bool:
    await begun.wait()
    await desk.asked_around.wait()
    all_good = True
    async for secret in secrets:
        if secret is None:
            all_good = False
            continue
        try:
            outcome, by_house = await desk.present(performance, secret, gate, mode)
        except NotServed as error:
            raise ScanError(t("console.scan.not_served", detail=error.detail)) from error
        except CannotTell as error:
            report.cannot_tell(secret, error.trouble)
            all_good = False
            continue
        all_good &= report.tell(secret, outcome, mode, not by_house)
    if desk.online:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(desk.all_sent.wait(), LAST_S)
    if desk.memory.kept_count:
        _complain(t.plural("console.scan.kept", desk.memory.kept_count))
    return all_good


async def remembered(memory: Memory, key: str, kind: type[T], ask: Callable[[], Awaitable[T]]) -> T:
    """What the house says, and what it said last where it does not answer. Raises ClientError."""
    try:
        told = await ask()
    except Unreachable:
        known = memory.note(key, kind)
        if known is None:
            raise
        return known
    with contextlib.suppress(CannotKeep):
        memory.write(key, told)
    return told


async def _chosen(
    client: Client, t: Translator, performance_id: int, memory: Memory
) -> Performance:
    """The performance asked for, or the one that is today."""
    if performance_id < 0:
        all_ = await remembered(memory, "performances", list[Performance], client.performances)
        near = [one for one in all_ if abs(one.starts_ms - now_ms()) < DAY_MS / 2]
        if len(near) != 1:
            raise ScanError(t("console.scan.which_performance"))
        performance_id = near[0].id
    key = f"performance {performance_id}"
    return await remembered(memory, key, Performance, lambda: client.performance(performance_id))


async def _in_pictures(pictures: Sequence[Path], t: Translator) -> AsyncIterator[str | None]:
    """The secrets in pictures; None for a picture without one."""
    from renderers.codes import UnreadablePictureError, decode
    from renderers.secret import PREFIX

    for path in pictures:
        try:
            picture = await asyncio.to_thread(path.read_bytes)
            texts = await asyncio.to_thread(decode, picture)
        except UnreadablePictureError as error:
            _complain(f"{path}: {error}")
            yield None
            continue
        except OSError as error:
            _complain(f"{path}: {error.strerror}")
            yield None
            continue
        # A ticket shows its secret as a QR code and its number as Code 128: one ticket, once.
        found = [text for text in texts if text.startswith(PREFIX)] or texts[:1]
        if not found:
            _complain(t("console.scan.no_code", path=str(path)))
            yield None
        for text in found:
            yield text


async def _in_lines(given: TextIO) -> AsyncIterator[str]:
    """Lines as a keyboard-wedge reader types them. A thread reads: Ctrl-C must not wait for it."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING_LINES)

    def read() -> None:
        try:
            for line in given:
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(lines.put(None), loop).result()
        except (RuntimeError, CancelledError):
            pass  # The loop ended first.

    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        if line.strip():
            yield line.strip()


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
