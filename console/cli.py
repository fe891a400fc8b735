"""The `strapontin` command: what it can do, and errors in one line with a way out.

Owns arguments and exit codes: 0 done, 1 refused or unhealthy, 2 could not begin. Everything
heavy is imported inside the command that needs it, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, CycloptsError, Parameter

from renderers.i18n import Translator, preferred_by_environment, translator

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8000
DEFAULT_SERVER: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
COULD_NOT_BEGIN: Final = 2
INTERRUPTED: Final = 130

t = translator(preferred_by_environment(os.environ))


def _version() -> str:
    try:
        return metadata.version("strapontin")
    except metadata.PackageNotFoundError:
        return "?"


app = App(
    name="strapontin",
    help=t("cli.help"),
    version=_version,
    help_format="plaintext",
)
app.command("console.plan_cli:app", name="plan", help=t("cli.plan.help"))
app.command("console.queue_cli:app", name="queue", help=t("cli.queue.help"))
app.command("console.journal_cli:app", name="journal", help=t("cli.journal.help"))
app.command("console.order_cli:app", name="order", help=t("cli.order.help"))
app.command("console.till_cli:app", name="till", help=t("cli.till.help"))
app.command("console.terminal_cli:app", name="terminal", help=t("cli.terminal.help"))
app.command("console.doors_cli:app", name="doors", help=t("cli.doors.help"))
app.command("console.tickets_cli:app", name="tickets", help=t("cli.tickets.help"))
app.command("console.allocation_cli:app", name="allocation", help=t("cli.allocation.help"))
app.command("console.device_cli:app", name="device", help=t("cli.device.help"))
app.command("console.credit_cli:app", name="credit", help=t("cli.credit.help"))
app.command("console.papers_cli:invoice", name="invoice", help=t("cli.invoice.help"))
app.command("console.papers_cli:settlement", name="settlement", help=t("cli.settlement.help"))
app.command("console.mail_cli:app", name="mail", help=t("cli.mail.help"))
app.command("console.performance_cli:app", name="performance", help=t("cli.performance.help"))
app.command("console.season.cli:app", name="programme", help=t("cli.programme.help"))
app.command("bench.cli:app", name="bench", help=t("cli.bench.help"))
app.command("bench.rehearsal.cli:app", name="rehearse", help=t("rehearse.help"))

Data = Annotated[Path, Parameter(help=t("cli.data"))]
DatabaseUrl = Annotated[
    str | None, Parameter(help=t("cli.database_url"), env_var="DATABASE_URL", show_env_var=True)
]
Host = Annotated[str, Parameter(help=t("cli.host"))]
Port = Annotated[int, Parameter(help=t("cli.port"))]
Server = Annotated[str, Parameter(help=t("cli.server"), env_var="STRAPONTIN_SERVER")]
Token = Annotated[str, Parameter(help=t("cli.token"), env_var="STRAPONTIN_TOKEN")]
Login = Annotated[str, Parameter(help=t("cli.login"))]
Memory = Annotated[Path | None, Parameter(help=t("cli.memory"))]
Language = Annotated[Literal["fr", "en"] | None, Parameter(help=t("cli.language"))]
Json = Annotated[bool, Parameter(name="--json", negative=(), help=t("cli.json"))]


@app.command(help=t("cli.serve.help"))
def serve(
    *,
    data: Data,
    database_url: DatabaseUrl = None,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    ray_address: Annotated[str | None, Parameter(help=t("cli.serve.ray_address"))] = None,
    language: Language = None,
) -> int:
    from console.serve import serve as run

    words = _translator(language)
    return run(data, database_url or None, host, port, words, ray_address=ray_address or None)


@app.command(help=t("cli.console.help"))
def console(
    *,
    server: Server = DEFAULT_SERVER,
    login: Login = "",
    language: Language = None,
    printer: Annotated[str, Parameter(help=t("cli.console.printer"))] = "",
    papers: Annotated[Path | None, Parameter(help=t("cli.console.papers"))] = None,
) -> int:
    from console.client import BadAddress, server_address
    from console.printing import Printer
    from console.slip import state_directory

    words = _translator(language)
    try:
        address = server_address(server)
    except BadAddress:
        return fail(words("console.error.address", server=server))
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        return fail(words("cli.console.no_terminal"))
    from console.app import ConsoleApp, Settings

    state = state_directory(os.environ)
    settings = Settings(
        server=address,
        state=state,
        printer=Printer(papers or state / "papers", printer),
        login=login,
        language=words.language if language else "",
    )
    ConsoleApp(settings).run()
    return 0


@app.command(help=t("cli.scan.help"))
def scan(
    *pictures: Annotated[Path, Parameter(help=t("cli.scan.pictures"))],
    server: Server = "",
    token: Token = "",
    login: Login = "",
    enrol: Annotated[str, Parameter(help=t("cli.scan.enrol"))] = "",
    performance: Annotated[int, Parameter(help=t("cli.scan.performance"))] = -1,
    gate: Annotated[str, Parameter(help=t("cli.scan.gate"))] = "",
    look_up: Annotated[bool, Parameter(negative=(), help=t("cli.scan.look_up"))] = False,
    exit: Annotated[bool, Parameter(name="--exit", negative=(), help=t("cli.scan.exit"))] = False,
    memory: Memory = None,
    json: Json = False,
    language: Language = None,
) -> int:
    from console.scan_cli import Scanning
    from console.scan_cli import scan as run

    wanted = Scanning(pictures, server, token, login, enrol, performance, gate, look_up, exit)
    return run(wanted, memory, json, _translator(language))


@app.command(help=t("relay.help"))
def relay(
    *,
    server: Server = "",
    token: Token = "",
    enrol: Annotated[str, Parameter(help=t("cli.scan.enrol"))] = "",
    performances: Annotated[str, Parameter(help=t("relay.performances"))] = "",
    host: Annotated[str, Parameter(help=t("relay.host"))] = DEFAULT_HOST,
    port: Annotated[int, Parameter(help=t("relay.port"))] = DEFAULT_PORT + 1,
    certificate: Annotated[Path | None, Parameter(help=t("relay.certificate"))] = None,
    key: Annotated[Path | None, Parameter(help=t("relay.key"))] = None,
    memory: Memory = None,
    language: Language = None,
) -> int:
    from console.scan_cli import Serving
    from console.scan_cli import relay as run

    wanted = Serving(server, token, enrol, performances, host, port, certificate, key)
    return run(wanted, memory, _translator(language))


@app.command(help=t("console.watch_command.help"))
def watch(
    performance: Annotated[int, Parameter(help=t("console.watch_command.performance"))],
    *,
    replay: Annotated[bool, Parameter(negative=(), help=t("console.watch_command.replay"))] = False,
    speed: Annotated[float, Parameter(help=t("console.watch_command.speed"))] = 0.0,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
    login: Login = "",
    json: Json = False,
    language: Language = None,
) -> int:
    import asyncio

    from console.client import Client, ClientError
    from console.watch_cli import run_watch
    from console.words import error_words

    words = _translator(language)

    async def run() -> int:
        client = Client(server, token)
        if not token:
            if not login:
                return fail(words("console.watch_command.no_token"))
            await client.login(login, password(words))
        return await run_watch(client, words, performance, replay, speed, json)

    try:
        return asyncio.run(run())
    except ClientError as error:
        return fail(error_words(words, error))


@app.command(help=t("cli.doctor.help"))
def doctor(
    *,
    data: Annotated[Path | None, Parameter(help=t("cli.data"))] = None,
    server: Server = DEFAULT_SERVER,
    database_url: DatabaseUrl = None,
    json: Json = False,
    language: Language = None,
) -> int:
    from console.doctor import doctor as run

    return run(_translator(language), data, server, database_url or "", json)


@app.command(help=t("cli.backup.help"))
def backup(
    file: Annotated[Path, Parameter(help=t("backup.cli.file"))],
    /,
    *,
    data: Annotated[Path | None, Parameter(help=t("backup.cli.data"))] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
    language: Language = None,
) -> int:
    from console.backup_cli import backup as run

    return run(file, data, database_url or None, json, _translator(language))


@app.command(help=t("cli.restore.help"))
def restore(
    file: Annotated[Path, Parameter(help=t("backup.cli.copy"))],
    /,
    *,
    data: Annotated[Path | None, Parameter(help=t("backup.cli.target"))] = None,
    database_url: DatabaseUrl = None,
    until: Annotated[str, Parameter(help=t("backup.cli.until"))] = "",
    json: Json = False,
    language: Language = None,
) -> int:
    from console.backup_cli import restore as run

    return run(file, data, database_url or None, until, json, _translator(language))


def _translator(language: str | None) -> Translator:
    return translator(language) if language else t


def password(words: Translator) -> str:
    """From the environment, else asked for on the terminal: never an argument that `ps` shows.

    Ends the command where there is no terminal to ask on.
    """
    known = os.environ.get("STRAPONTIN_PASSWORD")
    if known is not None:
        return known
    import warnings
    from getpass import GetPassWarning, getpass

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GetPassWarning)
            return getpass(words("cli.scan.password"))
    except EOFError:
        sys.exit(fail(words("cli.no_password")))


def fail(text: str) -> int:
    sys.stderr.write(f"strapontin: {text}\n")
    return COULD_NOT_BEGIN


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and exits with its code."""
    try:
        code = app(arguments, result_action="return_value", exit_on_error=False, print_error=False)
    except CycloptsError as error:
        # One line, as every other error of ours.
        code = fail(f"{' '.join(str(error).split())} ({t('cli.see_help')})")
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
