"""Who is at the till: name and password, against the server that is named on the screen."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Center, Vertical
from textual.widgets import Input, Label

from console.client import ClientError
from console.screens.base import TillScreen
from console.widgets.big_text import BigText
from console.widgets.chrome import Notice
from console.words import error_words


class LoginScreen(TillScreen):
    """Asks once; Enter goes from field to field and then logs in."""

    DEFAULT_CSS = """
    LoginScreen #body { align: center middle; }
    LoginScreen BigText { height: 7; color: $brass-text; }
    LoginScreen Center { height: auto; }
    LoginScreen #card { width: 52; max-width: 100%; height: auto; }
    LoginScreen Label { padding: 1 1 0 1; color: $muted; }
    LoginScreen Notice { padding: 1 1 0 1; max-height: 5; }
    """

    def __init__(self, name: str = "", reason: str = "") -> None:
        super().__init__()
        self._name_given = name
        self._reason = reason

    def compose_body(self) -> ComposeResult:
        yield BigText("STRAPONTIN")
        with Center(), Vertical(id="card"):
            yield Label(id="server")
            yield Label(id="name-label")
            yield Input(self._name_given, id="name")
            yield Label(id="password-label")
            yield Input(password=True, id="password")
            yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#password" if self._name_given else "#name", Input).focus()
        if self._reason:
            self.query_one(Notice).say(self._reason, "warn")

    def speak(self) -> None:
        super().speak()
        self.query_one("#server", Label).update(
            self.t("console.login.server", server=self.console.client.server)
        )
        self.query_one("#name-label", Label).update(self.t("console.login.name"))
        self.query_one("#password-label", Label).update(self.t("console.login.password"))

    @on(Input.Submitted, "#name")
    def _to_password(self) -> None:
        self.query_one("#password", Input).focus()

    @on(Input.Submitted, "#password")
    def _log_in(self) -> None:
        name = self.query_one("#name", Input).value.strip()
        if name:
            self.run_worker(self._try(name), exclusive=True)
        else:
            self.query_one("#name", Input).focus()

    async def _try(self, name: str) -> None:
        notice, password = self.query_one(Notice), self.query_one("#password", Input)
        notice.say(self.t("console.login.asking"), "wait")
        try:
            await self.console.log_in(name, password.value)
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            password.value = ""
            password.focus()
