"""The door: what the scanner reads is answered over the whole screen, to be seen from afar.

Owns how an outcome looks: colour, sign and words, each enough alone. Look-up mode burns
nothing and never looks like an admission: its ground is blue whatever the answer. Below the mode
stands how many are inside, and whether a capacity is near.
"""

import asyncio
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from console.client import ClientError
from console.doors import Doors, Inside
from console.link import NotServed
from console.programme import Performance, text_in
from console.scan import Scanner, Seriousness, seriousness
from console.screens.ask import AskDialog
from console.screens.base import TillScreen
from console.screens.conflicts import ConflictsScreen
from console.seating import Seating
from console.widgets.big_text import BigText
from console.words import error_words, outcome_words
from engine.commands import Alarm, Refused, ScanMode, Scanned, ScanOutcome, Undone
from engine.limits import MAX_TEXT_CHARS
from renderers.money import format_number

COUNT_S: Final = 2.0
"""How often the people inside are counted."""
_PASSED: Final = (ScanOutcome.ADMITTED, ScanOutcome.EXITED)
SIGNS = {Seriousness.GOOD: "good", Seriousness.WARN: "warn", Seriousness.BAD: "bad"}


class DoorScreen(TillScreen):
    """One gate of one performance."""

    BINDINGS: ClassVar = [
        Binding("f4", "look_up", "console.key.look_up", priority=True),
        Binding("f5", "gate", "console.key.gate", priority=True),
        Binding("f6", "exit", "console.key.exit", priority=True),
        Binding("f7", "undo", "console.key.undo", priority=True),
        Binding("f8", "override", "console.key.override", priority=True),
        Binding("f9", "conflicts", "console.key.conflicts", priority=True),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    DoorScreen #mode { height: 1; width: 1fr; text-align: center; text-style: bold;
                       background: $surface; }
    DoorScreen #mode.-look { background: #0072b2; color: #ffffff; }
    DoorScreen #mode.-exit { background: #cc79a7; color: #000000; }
    DoorScreen #inside { height: 1; width: 1fr; text-align: center; color: $muted; }
    DoorScreen #inside.-near { background: #f0e442; color: #000000; text-style: bold; }
    DoorScreen #inside.-full { background: #a32a00; color: #ffffff; text-style: bold; }
    DoorScreen #result { height: 1fr; background: $background; color: $muted; }
    DoorScreen #result.-good { background: #009e73; color: #000000; }
    DoorScreen #result.-warn { background: #f0e442; color: #000000; }
    DoorScreen #result.-bad { background: #a32a00; color: #ffffff; }
    DoorScreen #result.-look { background: #0072b2; color: #ffffff; }
    DoorScreen #result BigText { height: 1fr; }
    DoorScreen #details { height: auto; max-height: 5; text-align: center; text-style: bold;
                          padding: 0 1 1 1; }
    """

    def __init__(self, performance: Performance, seating: Seating, scanner: Scanner) -> None:
        super().__init__()
        self.performance = performance
        self.seating = seating
        self.scanner = scanner
        self._gate = 0
        self._mode = ScanMode.ADMIT
        self._last: Scanned | None = None
        self._asked = ("", ScanMode.ADMIT)  # of the last outcome: secret and mode
        self._passed = 0  # the ticket that was let through last, in or out
        self._inside: Inside | None = None

    @property
    def gate(self) -> str:
        gates = self.performance.gates
        return gates[self._gate % len(gates)].id if gates else ""

    def compose_body(self) -> ComposeResult:
        yield Static(id="mode")
        yield Static(id="inside")
        with Vertical(id="result"):
            yield BigText(id="big")
            yield Static(id="details")
        yield Input(id="secret", max_length=MAX_TEXT_CHARS)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Input).focus()
        self.run_worker(self._count(), group="count", exclusive=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.console.supervises if action == "override" else True

    def place_words(self) -> str:
        title = text_in(self.performance.title, self.t.language)
        return f"{title} · {self.when(self.performance.starts_ms)}"

    def speak(self) -> None:
        super().speak()
        t, mode = self.t, self.query_one("#mode", Static)
        names = [gate.name for gate in self.performance.gates]
        gate = names[self._gate % len(names)] if names else t("console.door.any_gate")
        mode.set_class(self._look_up, "-look")
        mode.set_class(self._mode is ScanMode.EXIT, "-exit")
        mode.update(t(f"console.door.{self._mode.value}", gate=gate))
        self._show_inside()
        self.query_one(Input).placeholder = t("console.door.scan_here")
        if self._last is not None:
            self._tell(self._last)
        else:
            self._wait()

    @property
    def _look_up(self) -> bool:
        return self._mode is ScanMode.LOOK_UP

    # Who is inside -------------------------------------------------------------

    async def _count(self) -> None:
        """Ask again and again; what is known stays while the server does not answer."""
        doors = Doors(self.console.client, self.performance.id)
        while True:
            try:
                self._inside = await doors.inside()
            except ClientError:
                self._inside = None
            self._show_inside()
            await asyncio.sleep(COUNT_S)

    def _show_inside(self) -> None:
        for line in self.query("#inside").results(Static):  # none while the screen closes
            self._tell_inside(line)

    def _tell_inside(self, line: Static) -> None:
        told, t = self._inside, self.t
        gate = None
        if told is not None:
            gate = next((one for one in told.gates if one.id == self.gate), None)
        for alarm in (Alarm.NEAR, Alarm.FULL):
            line.set_class(gate is not None and gate.alarm is alarm, f"-{alarm.value}")
        if told is None:
            line.update("")
        elif gate is None:
            line.update(t("console.door.inside", total=self._number(told.total)))
        elif not gate.capacity:
            total, here = self._number(told.total), self._number(gate.inside)
            line.update(t("console.door.inside_here", total=total, here=here))
        else:
            line.update(
                t(
                    f"console.door.inside_{gate.alarm.value}",
                    zone=self._number(gate.zone),
                    capacity=self._number(gate.capacity),
                    here=self._number(gate.inside),
                )
            )

    def _number(self, number: int) -> str:
        return format_number(number, self.t.language)

    # Scanning ----------------------------------------------------------------

    @on(Input.Submitted)
    def _scanned(self) -> None:
        field = self.query_one(Input)
        secret = field.value.strip()
        field.value = ""
        if secret:
            self.run_worker(self._scan(secret, self._mode), group="scan")

    async def _scan(self, secret: str, mode: ScanMode, reason: str = "") -> None:
        self._show("", "…", self.t("console.door.asking"))
        try:
            outcome = await self.scanner.scan(secret, mode, self.gate, reason)
        except (ClientError, NotServed) as error:
            self._show("bad", "?", error_words(self.t, error))
            return
        if isinstance(outcome, Scanned):
            self._last, self._asked = outcome, (secret, mode)
            if mode is not ScanMode.LOOK_UP and outcome.result in _PASSED:
                self._passed = outcome.ticket
            self._tell(outcome)
            if seriousness(outcome.result) is not Seriousness.GOOD:
                self.app.bell()
        elif isinstance(outcome, Refused):
            self._show("bad", "?", outcome_words(self.t, outcome))

    def _tell(self, scanned: Scanned) -> None:
        t, look = self.t, seriousness(scanned.result)
        big = t(f"outcome.scan.{scanned.result.value}")
        details = []
        if self._look_up:
            if scanned.result is ScanOutcome.ADMITTED:
                big = t("console.door.valid")
            details.append(t("console.door.not_admitted"))
        leaving = self._asked[1] is ScanMode.EXIT
        why = f"outcome.scan_why.{scanned.result.value}"
        if leaving and f"console.door.why.{scanned.result.value}" in t:
            why = f"console.door.why.{scanned.result.value}"
        details.append(t(why))
        if scanned.used_at_ms and scanned.result is ScanOutcome.ALREADY_USED and not leaving:
            gate = {gate.id: gate.name for gate in self.performance.gates}.get(
                scanned.used_gate, scanned.used_gate
            )
            details.append(t("console.door.used", when=self.when(scanned.used_at_ms), gate=gate))
        if scanned.seat >= 0 or scanned.area >= 0:
            spot = scanned.seat
            if spot < 0:
                spot = self.seating.seat_count + scanned.area
            kind = self.performance.price_name(scanned.price_type, t.language)
            details.append(f"{self.seating.words(spot, t)} · {kind}")
        self._show(SIGNS[look], big, "\n".join(details))

    def _wait(self) -> None:
        """Ready for a ticket."""
        sign = "look" if self._look_up else ""
        self._show(sign, self.t("console.door.ready_big"), self.t("console.door.ready"))

    def _show(self, look: str, big: str, details: str) -> None:
        result = self.query_one("#result")
        for other in SIGNS.values():
            result.set_class(other == look and not self._look_up, f"-{other}")
        result.set_class(self._look_up, "-look")
        self.query_one(BigText).say(big, look)
        self.query_one("#details", Static).update(details)

    # Keys --------------------------------------------------------------------

    def action_look_up(self) -> None:
        self._take_mode(ScanMode.LOOK_UP)

    def action_exit(self) -> None:
        self._take_mode(ScanMode.EXIT)

    def _take_mode(self, mode: ScanMode) -> None:
        """This mode, or out of it again."""
        self._mode = ScanMode.ADMIT if self._mode is mode else mode
        self._last = None
        self._wait()
        self.speak()

    def action_undo(self) -> None:
        """The turnstile did not turn: take the last admission or exit back."""
        if self._passed:
            self.run_worker(self._undo(self._passed), group="scan")
        else:
            self._show("warn", "?", self.t("console.door.nothing_to_undo"))

    async def _undo(self, ticket: int) -> None:
        try:
            outcome = await self.scanner.undo(ticket, self.gate)
        except (ClientError, NotServed) as error:
            self._show("bad", "?", error_words(self.t, error))
            return
        self._last, self._passed = None, 0
        if isinstance(outcome, Undone):
            words = self.t(f"console.door.undone_{outcome.mode.value}", ticket=outcome.ticket)
            self._show("warn", self.t("console.door.undone"), words)
        elif isinstance(outcome, Refused):
            self._show("bad", "?", outcome_words(self.t, outcome))

    def action_override(self) -> None:
        """Let the ticket of the last answer in all the same, for a reason."""
        secret, mode = self._asked
        if secret and mode is not ScanMode.EXIT and self._last is not None:
            self.app.push_screen(AskDialog("console.door.override"), self._override)
        else:
            self._show("warn", "?", self.t("console.door.nothing_to_override"))

    def _override(self, reason: str | None) -> None:
        if reason:
            self._mode = ScanMode.ADMIT
            self.speak()
            work = self._scan(self._asked[0], ScanMode.ADMIT, reason[:MAX_TEXT_CHARS])
            self.run_worker(work, group="scan")

    def action_conflicts(self) -> None:
        self.app.push_screen(ConflictsScreen(self.performance))

    def action_gate(self) -> None:
        self._gate += 1
        self.speak()

    def action_back(self) -> None:
        self.dismiss()
