"""Tickets judged with the house and without it: asked while it answers, else decided here and kept.

Owns the order of these for `strapontin scan` and `strapontin relay`; the scanner page's
scan_desk.js is its twin. Knows no terminal and no socket of devices.

Every scan has a number that is never used again, and an id. A scan that was asked and not answered
in time is judged here and sent later under the same id: where the house had decided it after all,
it says "id_reused", and repeats its answer when asked as before.
"""

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum
from typing import Final

from console.client import Client, ClientError, Problem
from console.kept import MAX_KEPT, CannotKeep, KeptScan, Memory
from console.link import Link, LinkState, NotServed
from console.till import now_ms
from engine.commands import Kept, Outcome, Refusal, Refused, ScanMode, Scanned, ScanOutcome, Undone
from engine.door_list import Doors, Use
from gateway.wire import AskKeptScan, AskScan, AskUndoScan
from renderers import secret as secrets

PATIENCE_S: Final = 2.5
"""A scan that is asked and not answered by then is judged here."""
SYNC_S: Final = 30.0
SENT_AT_ONCE: Final = 32
BUSY_S: Final = 2.0
_PASSES: Final = frozenset({ScanOutcome.ADMITTED, ScanOutcome.EXITED})


class Trouble(Enum):
    """Why nobody can say now."""

    NETWORK = "network"  # only the house can tell
    LIST = "list"  # nothing is known of this performance's doors
    FULL = "full"  # too many scans wait to be sent
    MEMORY = "memory"  # it cannot be kept here


class CannotTell(Exception):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


class Desk:
    """Judges for any number of performances over one link. Tell it with `link_changed`.

    `on_conflict` gets a scan by which a ticket let in twice.
    """

    def __init__(
        self,
        link: Link,
        client: Client,
        memory: Memory,
        *,
        patience_s: float = PATIENCE_S,
        on_conflict: Callable[[KeptScan], None] = lambda scan: None,
    ) -> None:
        self.memory = memory
        self._link = link
        self._client = client
        self._patience_s = patience_s
        self._on_conflict = on_conflict
        self._doors: dict[int, Doors] = {}
        self._fresh: dict[int, dict[int, Use]] = {}
        """By performance: what was decided here since its list was asked for last."""
        self._stuck: set[int] = set()
        self._sending: asyncio.Task[None] | None = None
        self._offset_ms = memory.note("offset", int) or 0
        self.asked_around = asyncio.Event()
        """`keep_in_step` has tried every performance once."""
        self.all_sent = asyncio.Event()
        if not memory.kept_count:
            self.all_sent.set()

    @property
    def live(self) -> bool:
        """The house answers, and has heard of everything that was decided here."""
        return self._link.state is LinkState.OPEN and self.memory.kept_count == len(self._stuck)

    @property
    def online(self) -> bool:
        return self._link.state is LinkState.OPEN

    def now_ms(self) -> int:
        """By the house's clock, as well as it was ever known."""
        return now_ms() + self._offset_ms

    def link_changed(self, state: LinkState) -> None:
        if state is LinkState.OPEN:
            assert self._link.welcome is not None
            self._offset_ms = self._link.welcome.server_ms - now_ms()
            with contextlib.suppress(CannotKeep):
                self.memory.write("offset", self._offset_ms)
            self._stuck.clear()
            self._send()

    def doors(self, performance: int) -> Doors | None:
        """What is known of a performance's doors, from memory at first."""
        if performance not in self._doors:
            known = self.memory.doors(performance)
            if known is not None:
                self._doors[performance] = known
        return self._doors.get(performance)

    async def sync(self, performance: int) -> None:
        """Ask for what is new at the doors. Raises ClientError."""
        doors = self.doors(performance)
        since = 0 if doors is None else doors.listed.seq
        first = 1 if doors is None else len(doors.places) + 1
        fresh: dict[int, Use] = {}
        self._fresh[performance] = fresh
        told = await self._client.door_list(performance, since, first, self.memory.kept_count)
        if doors is None:
            doors = self._doors[performance] = Doors(told)
        else:
            doors.update(told)
        changed = list(told.used)
        if told.whole:
            # A whole list knows nothing of what was not told from here, or was decided meanwhile.
            for scan in self.memory.kept(MAX_KEPT):
                if scan.performance == performance and scan.told.result in _PASSES:
                    entry = scan.result is ScanOutcome.ADMITTED
                    doors.note(scan.told.ticket, entry, scan.scanned_ms, scan.gate)
                    changed.append(scan.told.ticket)
            doors.used |= fresh
            changed += fresh
        self.memory.keep_doors(doors, changed, told.whole)

    async def keep_in_step(self, *performances: int) -> None:
        """Sync now and then, for ever; quiet while nobody answers."""
        while True:
            for performance in performances:
                try:
                    await self.sync(performance)
                except Problem as problem:
                    if problem.status == 401:
                        self.asked_around.set()
                        return  # revoked: the link says so too
                except (ClientError, CannotKeep):
                    pass
            self.asked_around.set()
            await asyncio.sleep(SYNC_S)

    # One ticket ------------------------------------------------------------------------

    async def present(
        self, performance: int, secret: str, gate: str, mode: ScanMode, id: bytes = b""
    ) -> tuple[Outcome, bool]:
        """What to say to who shows this, and whether the house said it.

        `id` is the caller's; asked again under it, the answer is the same.

        Raises:
            CannotTell: The house does not answer, and it cannot be judged here.
            NotServed: This token may not scan here.
        """
        secret = secret.strip()
        known = self.memory.scan_of(id) if id else None
        if known is not None:
            return known.told, False
        try:
            sequence = self.memory.next_sequence()
        except CannotKeep as error:
            raise CannotTell(Trouble.MEMORY) from error
        id = id or self.memory.id_of(sequence)
        at_ms, asked = self.now_ms(), self.live
        if asked:
            told = await self._ask(AskScan(id, performance, secret, gate, mode))
            if told is not None:
                return told, True
        return self._judge(performance, secret, gate, mode, id, sequence, at_ms, asked), False

    async def _ask(self, frame: AskScan) -> Outcome | None:
        try:
            told = await asyncio.wait_for(self._link.ask(frame), self._patience_s)
        except TimeoutError:
            return None
        if isinstance(told, Scanned) and told.result in _PASSES and frame.mode is not _LOOK_UP:
            doors = self.doors(frame.performance)
            if doors is not None:
                entry = told.result is ScanOutcome.ADMITTED
                use = doors.note(told.ticket, entry, self.now_ms(), frame.gate)
                self._fresh.setdefault(frame.performance, {})[told.ticket] = use
                # The house has decided, whether it can be kept here or not.
                with contextlib.suppress(CannotKeep):
                    self.memory.keep_use(frame.performance, told.ticket, use)
        return told

    async def undo(self, frame: AskUndoScan) -> Outcome:
        """The turnstile did not turn.

        Raises:
            CannotTell: The house does not answer, or has not heard of everything yet.
            NotServed: This token may not.
        """
        if not self.live:
            raise CannotTell(Trouble.NETWORK)
        try:
            told = await asyncio.wait_for(self._link.ask(frame), self._patience_s)
        except TimeoutError:
            raise CannotTell(Trouble.NETWORK) from None
        if isinstance(told, Undone):
            with contextlib.suppress(ClientError, CannotKeep):
                await self.sync(frame.performance)
        return told

    def _judge(
        self,
        performance: int,
        secret: str,
        gate: str,
        mode: ScanMode,
        id: bytes,
        sequence: int,
        at_ms: int,
        asked: bool,
    ) -> Scanned:
        doors = self.doors(performance)
        if doors is None:
            raise CannotTell(Trouble.LIST)
        claim = _proven(bytes.fromhex(doors.listed.public_key), secret)
        told = doors.judge(*claim, gate, mode, at_ms)
        if mode is _LOOK_UP:
            return told
        if self.memory.kept_count >= MAX_KEPT:
            raise CannotTell(Trouble.FULL)
        self._keep(
            KeptScan(id, sequence, performance, secret, gate, mode, at_ms, told.result, asked, told)
        )
        return told

    def _keep(self, scan: KeptScan) -> None:
        """Keep a scan to be sent, and that its ticket went in or out. Raises CannotTell."""
        doors, use, before = self.doors(scan.performance), None, None
        if doors is not None and scan.told.ticket > 0 and scan.result in _PASSES:
            before = doors.used.get(scan.told.ticket)
            entry = scan.result is ScanOutcome.ADMITTED
            use = doors.note(scan.told.ticket, entry, scan.scanned_ms, scan.gate)
        try:
            self.memory.keep(scan, use)
        except CannotKeep as error:
            # What is not kept did not happen: nobody is shown an answer.
            if doors is not None and use is not None:
                doors.restore(scan.told.ticket, before)
            raise CannotTell(Trouble.MEMORY) from error
        self.all_sent.clear()
        self._send()

    # What another machine kept ------------------------------------------------------------

    def look(
        self, performance: int, secret: str, gate: str, mode: ScanMode, at_ms: int
    ) -> tuple[Scanned, bool]:
        """What would be said here, and whether the ticket was used. Changes nothing."""
        doors = self.doors(performance)
        if doors is None:
            return Scanned(ScanOutcome.UNKNOWN), False
        try:
            claim = _proven(bytes.fromhex(doors.listed.public_key), secret)
        except CannotTell:
            claim = (-1, -1, 0)  # typed by hand, and answered by the house: it knows
        told = doors.judge(*claim, gate, mode, at_ms)
        return told, told.ticket in doors.used

    def take_in(self, scan: KeptScan) -> None:
        """Keep another machine's scan, to be sent on; who it let in is in. Raises CannotTell."""
        self._keep(scan)

    # What was kept is sent ---------------------------------------------------------------

    def _send(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all(), name="send kept scans")

    async def stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_all(self) -> None:
        while self._link.state is LinkState.OPEN:
            scans = [
                scan
                for scan in self.memory.kept(SENT_AT_ONCE + len(self._stuck))
                if scan.sequence not in self._stuck
            ]
            if not scans:
                break
            await asyncio.gather(*map(self._deliver, scans))
        if not self.memory.kept_count:
            self.all_sent.set()

    async def _deliver(self, scan: KeptScan) -> None:
        frame = AskKeptScan(
            scan.id, scan.performance, scan.secret, scan.gate, scan.mode,
            scan.sequence, scan.scanned_ms, scan.result,
        )  # fmt: skip
        try:
            outcome = await self._link.ask(frame)
            if isinstance(outcome, Kept):
                if outcome.conflict:
                    self._on_conflict(scan)
                self.memory.settle(scan.sequence)
            elif isinstance(outcome, Refused) and outcome.code is Refusal.ID_REUSED:
                await self._decided_before(scan)
            else:
                self._later(scan)
        except NotServed:
            self._stuck.add(scan.sequence)
        except CannotKeep:
            self._later(scan)  # it is told twice, and counts once

    def _later(self, scan: KeptScan) -> None:
        self._stuck.add(scan.sequence)
        asyncio.get_running_loop().call_later(BUSY_S, self._unstick, scan.sequence)

    async def _decided_before(self, scan: KeptScan) -> None:
        """The house knows this id: as the scan that was asked in vain, or as something else."""
        if scan.asked:
            frame = AskScan(scan.id, scan.performance, scan.secret, scan.gate, scan.mode)
            if isinstance(await self._link.ask(frame), Scanned):
                self.memory.settle(scan.sequence)
                return
        self.memory.number_anew(scan)

    def _unstick(self, sequence: int) -> None:
        self._stuck.discard(sequence)
        self._send()


_LOOK_UP: Final = ScanMode.LOOK_UP


def _proven(public: bytes, text: str) -> tuple[int, int, int]:
    """The claim of a secret; performance -1 for a forged one. Raises CannotTell."""
    if not text.startswith(secrets.PREFIX):
        try:
            secrets.parse_short(text)
        except secrets.ForgedSecret:
            return -1, -1, 0
        raise CannotTell(Trouble.NETWORK)
    try:
        return secrets.verify(public, text)
    except secrets.ForgedSecret:
        return -1, -1, 0
