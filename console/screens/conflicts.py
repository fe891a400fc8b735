"""Double admissions: the tickets that let two people in while a device was alone.

Each with all its admissions: which device, at which gate, when, and which of them was right.
"""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable

from console.client import ClientError
from console.doors import Conflict, Doors
from console.programme import Performance
from console.screens.base import TillScreen
from console.widgets.chrome import Notice
from console.words import error_words


class ConflictsScreen(TillScreen):
    """Of one performance."""

    BINDINGS: ClassVar = [
        Binding("r", "reload", "console.key.reload"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    ConflictsScreen DataTable { height: 1fr; padding: 0 1; background: $background; }
    """

    def __init__(self, performance: Performance) -> None:
        super().__init__()
        self.performance = performance
        self._conflicts: list[Conflict] = []

    def compose_body(self) -> ComposeResult:
        yield DataTable(cursor_type="row")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DataTable).focus()
        self.action_reload()

    def place_words(self) -> str:
        return self.t("console.conflicts.title")

    def speak(self) -> None:
        super().speak()
        self._fill()

    def _fill(self) -> None:
        t, table = self.t, self.query_one(DataTable)
        names = {gate.id: gate.name for gate in self.performance.gates}
        table.clear(columns=True)
        for key in ("ticket", "place", "when", "gate", "device", "how", "verdict"):
            table.add_column(t(f"console.conflicts.{key}"), key=key)
        for conflict in self._conflicts:
            for number, scan in enumerate(conflict.scans):
                table.add_row(
                    "" if number else str(conflict.ticket),
                    "" if number else conflict.label,
                    self.when(scan.at_ms),
                    names.get(scan.gate, scan.gate),
                    scan.device,
                    t("console.conflicts.kept" if scan.kept else "console.conflicts.online"),
                    t("console.conflicts.winner" if scan.winner else "console.conflicts.second"),
                )

    def action_reload(self) -> None:
        self.run_worker(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        notice = self.query_one(Notice)
        try:
            self._conflicts = await Doors(self.console.client, self.performance.id).conflicts()
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self._fill()
        if self._conflicts:
            notice.say(self.t.plural("console.conflicts.count", len(self._conflicts)), "warn")
        else:
            notice.say(self.t("console.conflicts.none"))

    def action_back(self) -> None:
        self.dismiss()
