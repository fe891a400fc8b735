"""The machines at the doors: who is there, what they still keep, a code for a new one.

Owns the list, the form for a new one and the dialog that shows a code. A code is shown once and
nowhere kept: who closes it too early asks for another. What it says besides its token (the address,
the camera, the language) is chosen while it is looked at, and kept for the next.
"""

import asyncio
from ipaddress import ip_address
from typing import ClassVar, Final, NamedTuple
from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Input, Label, Static

from console.client import (
    ClientError,
    Device,
    fingerprint_shown_by,
    performance_numbers,
    server_address,
)
from console.screens.ask import AskDialog
from console.screens.base import Dialog, TillScreen
from console.widgets.chrome import Notice
from console.words import error_words
from renderers import enrolment
from renderers.i18n import languages

RELOAD_S: Final = 5.0
FRAME_LINES: Final = 11
"""What stands around a code in its dialog."""


class Way(NamedTuple):
    """What a code says besides its token. `fingerprint` is that of the address's certificate."""

    server: str
    fingerprint: str
    camera: str
    language: str


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
        self._way: Way | None = None

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
        asked = await self.app.push_screen_wait(NewDeviceDialog())
        if asked is None:
            return
        try:
            await self._show(await self.console.client.add_device(*asked))
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
        self.action_reload()
        if self._way is None:
            server = self.console.client.server
            shown = await asyncio.to_thread(fingerprint_shown_by, server)
            self._way = Way(server, shown, enrolment.CAMERAS[0], self.t.language)
        self._way = await self.app.push_screen_wait(CodeDialog(made, self._way))

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


def is_here_only(server: str) -> bool:
    """Does the address lead every machine to itself?"""
    host = urlsplit(server).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class NewDeviceDialog(Dialog):
    """Ends with (name, gate, performances), or with None."""

    BINDINGS: ClassVar = [
        Binding("enter", "make", "console.key.make_device", priority=True),
        Binding("escape", "leave", "console.key.back"),
    ]
    FIELDS: ClassVar = ("name", "gate", "performances")
    DEFAULT_CSS = """
    NewDeviceDialog Label { color: $muted; }
    NewDeviceDialog Notice { padding: 0; }
    """

    def compose_body(self) -> ComposeResult:
        for field in self.FIELDS:
            yield Label(id=f"{field}-label")
            yield Input(id=field)
        yield Notice()

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t("console.devices.new.title"))
        for field in self.FIELDS:
            self.query_one(f"#{field}-label", Label).update(self.t(f"console.devices.new.{field}"))
            placeholder = self.t(f"console.devices.new.{field}_placeholder")
            self.query_one(f"#{field}", Input).placeholder = placeholder

    def action_make(self) -> None:
        name, gate, performances = [
            self.query_one(f"#{field}", Input).value.strip() for field in self.FIELDS
        ]
        if not name:
            self._again("name", self.t("console.devices.new.nameless"))
            return
        try:
            self.dismiss((name, gate, performance_numbers(performances)))
        except ValueError:
            words = self.t("device.cli.bad_performances", text=performances)
            self._again("performances", words)

    def _again(self, field: str, words: str) -> None:
        self.query_one(Notice).say(words, "bad")
        self.query_one(f"#{field}", Input).focus()

    def action_leave(self) -> None:
        self.dismiss(None)


class CodeDialog(Dialog):
    """A code to be held before a camera. Ends with the way that was chosen last."""

    BINDINGS: ClassVar = [
        Binding("escape,enter", "close", "console.key.close_code"),
        Binding("a", "address", "console.key.address"),
        Binding("c", "camera", "console.key.camera"),
        Binding("l", "language", "console.key.page_language"),
    ]
    DEFAULT_CSS = """
    CodeDialog > #box { width: auto; max-width: 100%; }
    CodeDialog #code { width: auto; color: #000000; background: #ffffff; }
    CodeDialog #text { width: 60; }
    CodeDialog #way { width: 60; text-style: bold; }
    CodeDialog #link { width: 60; color: $muted; }
    CodeDialog Notice { width: 60; padding: 0; }
    """

    def __init__(self, made: Device, way: Way) -> None:
        super().__init__()
        self._made = made
        self._way = way

    def compose_body(self) -> ComposeResult:
        yield Static(id="code", markup=False)
        yield Static(id="text")
        yield Static(id="way", markup=False)
        yield Static(id="link", markup=False)
        yield Notice()

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t("console.devices.code_title", name=self._made.name))
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        made, way, t = self._made, self._way, self.t
        link = enrolment.link_of(
            enrolment.Offer(
                way.server,
                made.enrolment,
                way.language,
                way.camera,
                made.performances,
                way.fingerprint,
            )
        )
        lines = enrolment.half_blocks(link)
        fits = self.app.size.height >= len(lines) + FRAME_LINES
        self.query_one("#code", Static).update("\n".join(lines) if fits else "")
        rows = len(lines) + FRAME_LINES
        key = "console.devices.code" if fits else "console.devices.code_too_large"
        self.query_one("#text", Static).update(t(key, rows=rows))
        camera = t(f"console.devices.camera.{way.camera}")
        language = t(f"console.devices.language.{way.language}")
        self.query_one("#way", Static).update(f"{way.server} · {camera} · {language}")
        self.query_one("#link", Static).update(link)
        if is_here_only(way.server):
            self.query_one(Notice).say(t("console.devices.here_only"), "warn")
        else:
            self.query_one(Notice).say("")

    def action_camera(self) -> None:
        other = enrolment.CAMERAS[self._way.camera == enrolment.CAMERAS[0]]
        self._way = self._way._replace(camera=other)
        self._draw()

    def action_language(self) -> None:
        every = languages()
        other = every[(every.index(self._way.language) + 1) % len(every)]
        self._way = self._way._replace(language=other)
        self._draw()

    def action_address(self) -> None:
        self.run_worker(self._address(), group="address", exclusive=True)

    async def _address(self) -> None:
        asked = AskDialog("console.devices.ask_address", self._way.server)
        given = await self.app.push_screen_wait(asked)
        if given is None:
            return
        try:
            server = server_address(given)
            shown = await asyncio.to_thread(fingerprint_shown_by, server)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            return
        self._way = self._way._replace(server=server, fingerprint=shown)
        self._draw()

    def action_close(self) -> None:
        self.dismiss(self._way)
