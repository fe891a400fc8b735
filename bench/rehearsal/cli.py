"""`strapontin rehearse`: live through an on-sale before it happens.

Owns the arguments, the exit codes and what is written. 0: everything held; 99: an
invariant or a threshold did not; 2: it could not begin.
"""

import os
import shutil
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
import uvloop
from cyclopts import App, Parameter

from bench.rehearsal.history import Book
from bench.rehearsal.installation import ADMIN, CannotBegin, own
from bench.rehearsal.live import View, view
from bench.rehearsal.page import html
from bench.rehearsal.play import Order, resized
from bench.rehearsal.play import rehearse as play
from bench.rehearsal.report import Report, as_json, tell
from bench.rehearsal.scenario import (
    MAX_BOTS,
    SHIPPED,
    Scenario,
    ScenarioError,
    find,
    load,
    shipped,
)
from renderers.i18n import Translator, preferred_by_environment, translator

COULD_NOT_BEGIN: Final = 2

t = translator(preferred_by_environment(os.environ))

app = App(
    name="rehearse",
    help=t("rehearse.help"),
    default_parameter=Parameter(show_default=False),
)


@app.default
def rehearse(
    scenario: Annotated[str, Parameter(help=t("rehearse.cli.scenario"))] = "",
    copy_to: Annotated[Path | None, Parameter(show=False)] = None,
    /,
    *,
    server: Annotated[str, Parameter(help=t("rehearse.cli.server"))] = "",
    login: Annotated[str, Parameter(help=t("rehearse.cli.login"))] = "",
    performance: Annotated[int, Parameter(help=t("rehearse.cli.performance"))] = 0,
    this_server_is_mine: Annotated[
        bool, Parameter(negative=(), help=t("rehearse.cli.mine"))
    ] = False,
    seed: Annotated[int | None, Parameter(help=t("rehearse.cli.seed"))] = None,
    bots: Annotated[int, Parameter(help=t("rehearse.cli.bots"))] = 0,
    seconds: Annotated[float, Parameter(help=t("rehearse.cli.seconds"))] = 0.0,
    json_file: Annotated[Path | None, Parameter(name="--json", help=t("rehearse.cli.json"))] = None,
    html_file: Annotated[Path | None, Parameter(name="--html", help=t("rehearse.cli.html"))] = None,
    list_them: Annotated[
        bool, Parameter(name="--list", negative=(), help=t("rehearse.cli.list"))
    ] = False,
    copy: Annotated[bool, Parameter(negative=(), help=t("rehearse.cli.copy"))] = False,
) -> int:
    try:
        if list_them:
            return _list()
        if copy:
            return _copy(scenario, copy_to)
        if not scenario or copy_to is not None:
            raise CannotBegin(t("rehearse.cli.which", known=", ".join(shipped())))
        path = find(scenario)
        played = _resized(load(path), bots, seconds, seed)
        _check_files(json_file, html_file)
        if not server:
            if login or performance:
                raise CannotBegin(t("rehearse.cli.no_server"))
            return _on_own(played, path, json_file, html_file)
        check_server(server, this_server_is_mine)
        if played.faults:
            raise CannotBegin(t("rehearse.cli.own_only", scenario=scenario))
        if not login:
            raise CannotBegin(t("rehearse.cli.no_login"))
        return _on_server(played, path, server, login, performance, json_file, html_file)
    except (CannotBegin, ScenarioError) as error:
        sys.stderr.write(f"strapontin: {error}\n")
        return COULD_NOT_BEGIN


def _list() -> int:
    for name in shipped():
        scenario = load(SHIPPED / f"{name}.toml")
        title = scenario.title.get(t.language, scenario.title["en"])
        print(f"{name:<10} {title}")
    return 0


def _copy(scenario: str, to: Path | None) -> int:
    if not scenario or to is None:
        raise CannotBegin(t("rehearse.cli.copy_what"))
    path = find(scenario)
    if to.exists():
        raise CannotBegin(t("rehearse.cli.exists", file=to))
    try:
        shutil.copyfile(path, to)
    except OSError as error:
        raise CannotBegin(f"{to}: {error.strerror}") from None
    print(t("rehearse.cli.copied", file=to))
    return 0


def _resized(scenario: Scenario, bots: int, seconds: float, seed: int | None) -> Scenario:
    """With what the command line says otherwise."""
    if not 0 <= bots <= MAX_BOTS or seconds < 0:
        raise CannotBegin(t("rehearse.cli.size", most=MAX_BOTS))
    return resized(scenario, bots, seconds, seed)


def _check_files(*files: Path | None) -> None:
    """Before the rehearsal and not after it."""
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise CannotBegin(t("rehearse.cli.no_folder", file=file))


def check_server(server: str, is_mine: bool) -> None:
    """Bots are an attack where they are not invited: raises CannotBegin unless they are."""
    parts = urlsplit(server)
    if parts.scheme != "http" or not parts.hostname:
        raise CannotBegin(t("rehearse.cli.address", server=server))
    if not is_mine and not _is_loopback(parts.hostname):
        raise CannotBegin(t("rehearse.cli.not_mine", server=server))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _on_own(scenario: Scenario, path: Path, json_file: Path | None, html_file: Path | None) -> int:
    with view(t, _title(scenario)) as seen:
        seen.phase("rehearse.phase.own")
        with own() as installation:
            order = Order(
                scenario=scenario,
                name=path.stem,
                seed=scenario.seed,
                url=installation.url,
                login=ADMIN,
                password=installation.password,
                beside=path.parent,
                installation=installation,
            )
            played = _run(order, seen)
    return _tell(played, json_file, html_file)


def _on_server(
    scenario: Scenario,
    path: Path,
    server: str,
    login: str,
    performance: int,
    json_file: Path | None,
    html_file: Path | None,
) -> int:
    order = Order(
        scenario=scenario,
        name=path.stem,
        seed=scenario.seed,
        url=server.rstrip("/"),
        login=login,
        password=_password(t),
        beside=path.parent,
        performance=performance,
    )
    with view(t, _title(scenario)) as seen:
        played = _run(order, seen)
    return _tell(played, json_file, html_file)


def _run(order: Order, seen: View) -> tuple[Report, Book]:
    return uvloop.run(play(order, seen))


def _tell(played: tuple[Report, Book], json_file: Path | None, html_file: Path | None) -> int:
    report, book = played
    if json_file is not None:
        told = msgspec.json.format(msgspec.json.encode(as_json(report, book)), indent=2)
        json_file.write_bytes(told + b"\n")
    if html_file is not None:
        html_file.write_text(html(report, book, t), encoding="utf-8")
    tell(report, book, t)
    return report.exit_code


def _title(scenario: Scenario) -> str:
    return scenario.title.get(t.language, scenario.title["en"])


def _password(words: Translator) -> str:
    """From the environment, else asked for: never an argument that `ps` shows."""
    known = os.environ.get("STRAPONTIN_PASSWORD")
    if known is not None:
        return known
    from getpass import getpass

    return getpass(words("cli.scan.password"))
