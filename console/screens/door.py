"""The door: what the scanner reads is answered over the whole screen, to be seen from afar.

Owns how an outcome looks: colour, sign and words, each enough alone. Look-up mode burns
nothing and never looks like an admission: its ground is blue whatever the answer.
"""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from console.client import ClientError
from console.link import NotServed
from console.programme import Performance, text_in
from console.scan import Scanner, Seriousness, seriousness
from console.screens.base import TillScreen
from console.seating import Seating
from console.widgets.big_text import BigText
from console.words import error_words, outcome_words
from engine.commands import Refused, ScanMode, Scanned, ScanOutcome
from engine.limits import MAX_TEXT_CHARS

SIGNS = {Seriousness.GOOD: "good", Seriousness.WARN: "warn", Seriousness.BAD: "bad"}


class DoorScreen(TillScreen):
    """One gate of one performance."""

    BINDINGS: ClassVar = [
        Binding("f4", "look_up", "console.key.look_up", priority=True),
        Binding("f5", "gate", "console.key.gate", priority=True),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    DoorScreen #mode { height: 1; width: 1fr; text-align: center; text-style: bold;
                       background: $surface; }
    DoorScreen #mode.-look { background: #0072b2; color: #ffffff; }
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
        self._look_up = False
        self._last: Scanned | None = None

    @property
    def gate(self) -> str:
        gates = self.performance.gates
        return gates[self._gate % len(gates)].id if gates else ""

    def compose_body(self) -> ComposeResult:
        yield Static(id="mode")
        with Vertical(id="result"):
            yield BigText(id="big")
            yield Static(id="details")
        yield Input(id="secret", max_length=MAX_TEXT_CHARS)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Input).focus()

    def place_words(self) -> str:
        title = text_in(self.performance.title, self.t.language)
        return f"{title} · {self.when(self.performance.starts_ms)}"

    def speak(self) -> None:
        super().speak()
        t, mode = self.t, self.query_one("#mode", Static)
        names = [gate.name for gate in self.performance.gates]
        gate = names[self._gate % len(names)] if names else t("console.door.any_gate")
        words = t("console.door.look_up" if self._look_up else "console.door.admit", gate=gate)
        mode.set_class(self._look_up, "-look")
        mode.update(words)
        self.query_one(Input).placeholder = t("console.door.scan_here")
        if self._last is not None:
            self._tell(self._last)
        else:
            self._wait()

    # Scanning ----------------------------------------------------------------

    @on(Input.Submitted)
    def _scanned(self) -> None:
        field = self.query_one(Input)
        secret = field.value.strip()
        field.value = ""
        if secret:
            self.run_worker(self._scan(secret), group="scan")

    async def _scan(self, secret: str) -> None:
        mode = ScanMode.LOOK_UP if self._look_up else ScanMode.ADMIT
        self._show("", "…", self.t("console.door.asking"))
        try:
            outcome = await self.scanner.scan(secret, mode, self.gate)
        except (ClientError, NotServed) as error:
            self._show("bad", "?", error_words(self.t, error))
            return
        if isinstance(outcome, Scanned):
            self._last = outcome
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
        details.append(t(f"outcome.scan_why.{scanned.result.value}"))
        if scanned.used_at_ms and scanned.result is ScanOutcome.ALREADY_USED:
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
        self._look_up = not self._look_up
        self._last = None
        self._wait()
        self.speak()

    def action_gate(self) -> None:
        self._gate += 1
        self.speak()

    def action_back(self) -> None:
        self.dismiss()
