"""The machines at the doors: who is there, what they still keep, a code for a new one.

Owns the list and the dialog that shows a code. A code is shown once and nowhere kept: who
closes it too early asks for another.
"""

import asyncio
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Static

from console.client import ClientError, Device, certificate_of
from console.screens.ask import AskDialog
from console.screens.base import Dialog, TillScreen
from console.trust import fingerprint_of
from console.widgets.chrome import Notice
from console.words import error_words
from renderers import enrolment

RELOAD_S: Final = 5.0
FRAME_LINES: Final = 7
"""What stands around a code in its dialog."""


class DevicesScreen(TillScreen):
    BINDINGS: ClassVar = [
        Binding("n", "add", "console.key.add_device"),
        Binding("enter", "code", "console.key.code", priority=True),
        Binding("x", "revoke", "console.key.revoke"),
        Binding("r", "reload", "console.key.reload"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    DevicesScreen DataTable { height: 1fr; padding: 1 1 0 1; background: $background; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._devices: list[Device] = []

    def compose_body(self) -> ComposeResult:
        yield DataTable(cursor_type="row")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DataTable).focus()
        self.action_reload()
        self.set_interval(RELOAD_S, self.action_reload)

    def place_words(self) -> str:
        return self.t("console.devices.title")

    def speak(self) -> None:
        super().speak()
        self._fill()

    def _fill(self) -> None:
        t, table = self.t, self.query_one(DataTable)
        chosen = table.cursor_row
        table.clear(columns=True)
        for key in ("name", "gate", "performances", "seen", "kept", "state"):
            table.add_column(t(f"console.devices.{key}"), key=key)
        for one in self._devices:
            revoked = one.revoked_ms is not None
            never = "" if revoked else t("console.devices.never")
            table.add_row(
                one.name,
                one.gate or t("console.devices.any"),
                ", ".join(map(str, one.performances)) or t("console.devices.any"),
                never if one.seen_ms is None else self.when(one.seen_ms),
                str(one.kept_scans),
                t("console.devices.revoked") if revoked else "",
            )
        if self._devices:
            table.move_cursor(row=min(chosen, len(self._devices) - 1))

    def action_reload(self) -> None:
        self.run_worker(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        notice = self.query_one(Notice)
        try:
            self._devices = await self.console.client.devices()
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self._fill()
        notice.say(self.t("console.devices.hint" if self._devices else "console.devices.empty"))

    def _chosen(self) -> Device | None:
        row = self.query_one(DataTable).cursor_row
        return self._devices[row] if 0 <= row < len(self._devices) else None

    # What is done to a device --------------------------------------------------

    def action_add(self) -> None:
        self.run_worker(self._add(), group="act", exclusive=True)

    async def _add(self) -> None:
        name = await self.app.push_screen_wait(AskDialog("console.devices.ask_name"))
        if name is None:
            return
        gate = await self.app.push_screen_wait(AskDialog("console.devices.ask_gate"))
        try:
            made = await self.console.client.add_device(name, gate or "", ())
            await self._show(made)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")

    def action_code(self) -> None:
        chosen = self._chosen()
        if chosen is not None and chosen.revoked_ms is None:
            self.run_worker(self._code(chosen), group="act", exclusive=True)

    async def _code(self, device: Device) -> None:
        try:
            await self._show(await self.console.client.offer_enrolment(device.id))
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")

    async def _show(self, made: Device) -> None:
        server = self.console.client.server
        fingerprint = ""
        if server.startswith("https:"):
            fingerprint = fingerprint_of(await asyncio.to_thread(certificate_of, server))
        offer = enrolment.Offer(
            server,
            made.enrolment,
            self.t.language,
            performances=made.performances,
            fingerprint=fingerprint,
        )
        self.action_reload()
        await self.app.push_screen_wait(CodeDialog(made.name, enrolment.link_of(offer)))

    def action_revoke(self) -> None:
        chosen = self._chosen()
        if chosen is not None and chosen.revoked_ms is None:
            self.run_worker(self._revoke(chosen), group="act", exclusive=True)

    async def _revoke(self, device: Device) -> None:
        sure = AskDialog("console.devices.ask_revoke", confirm=True)
        if await self.app.push_screen_wait(sure) is None:
            return
        try:
            await self.console.client.revoke_device(device.id)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
        self.action_reload()

    def action_back(self) -> None:
        self.dismiss()


class CodeDialog(Dialog):
    """A code to be held before a camera."""

    BINDINGS: ClassVar = [Binding("escape,enter", "close", "console.key.close_code")]
    DEFAULT_CSS = """
    CodeDialog > #box { width: auto; max-width: 100%; }
    CodeDialog #code { width: auto; color: #000000; background: #ffffff; }
    CodeDialog #text { width: 60; }
    CodeDialog #link { width: 60; color: $muted; }
    """

    def __init__(self, name: str, link: str) -> None:
        super().__init__()
        self._name = name
        self._link = link

    def compose_body(self) -> ComposeResult:
        yield Static(id="code", markup=False)
        yield Static(id="text")
        yield Static(self._link, id="link", markup=False)

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t("console.devices.code_title", name=self._name))
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        lines = enrolment.half_blocks(self._link)
        fits = self.app.size.height >= len(lines) + FRAME_LINES
        self.query_one("#code", Static).update("\n".join(lines) if fits else "")
        rows = len(lines) + FRAME_LINES
        key = "console.devices.code" if fits else "console.devices.code_too_large"
        self.query_one("#text", Static).update(self.t(key, rows=rows))

    def action_close(self) -> None:
        self.dismiss(None)
