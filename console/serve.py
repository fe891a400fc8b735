"""`strapontin serve`: one machine, started step by step in plain words, and stopped cleanly.

With the address of a Ray cluster it is one node of it instead: the same actors, in the Ray that
runs here already, over a database that all nodes reach.

Owns what the person at the terminal sees, the signals, and the watch over the
embedded Postgres. What runs is `engine.actors.wiring`; its imports are inside
the functions, after Ray's environment is set.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.mail_server import parse_mail_server
from engine.mails import is_address
from renderers.i18n import Translator

if TYPE_CHECKING:
    from engine.actors.opening import Logins
    from engine.actors.wiring import Installation
    from persistence.embedded import EmbeddedPostgres

NO_SENDER: Final = "tickets@strapontin.invalid"
"""Mails that are only written to a folder come from here."""
WATCH_S: Final = 0.3
"""How soon a killed database is noticed and started again."""


class CannotServe(Exception):
    """One clear line with a way out."""


def serve(
    data: Path,
    database_url: str | None,
    host: str,
    port: int,
    t: Translator,
    prepare: Callable[[], None] | None = None,
    ray_address: str | None = None,
) -> int:
    """Run until Ctrl-C or SIGTERM. The exit code: 0 stopped as asked, 2 could not begin.

    `prepare` is called between the start of Ray and that of the actors.
    """
    stop = threading.Event()
    machine = _Machine(data, database_url, host, port, t, prepare or (lambda: None), ray_address)
    try:
        logins = machine.start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        print(summary(machine.url, logins, machine.mails_to, t), flush=True)
        machine.watch(stop)
        print(t("serve.stopping"), flush=True)
    except CannotServe as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        machine.stop()
    print(t("serve.stopped"), flush=True)
    return 0


class _Machine:
    """The processes of this machine. `stop` ends whatever `start` had come to."""

    def __init__(
        self,
        data: Path,
        database_url: str | None,
        host: str,
        port: int,
        t: Translator,
        prepare: Callable[[], None],
        ray_address: str | None,
    ) -> None:
        self._data, self._database_url = data, database_url
        self._host, self._port = host, port
        self._ray_address = ray_address
        self._node = ""
        self._logs: Path
        self._t = t
        self._prepare = prepare
        self._postgres: EmbeddedPostgres | None = None
        self._installation: Installation | None = None
        self._proxies: tuple[str, ...] = ()
        self._mail = MailSettings("", "")
        self._ray = False
        self._began_s = time.monotonic()

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the gateway."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        return f"http://{host}:{self._port}"

    @property
    def mail_folder(self) -> Path:
        """Where mails are written while there is no mail server."""
        return self._data.absolute() / "mail"

    @property
    def mails_to(self) -> str:
        """Where mails go, in words without a password."""
        if self._mail.url:
            return parse_mail_server(self._mail.url).place
        return str(self.mail_folder)

    def start(self) -> "Logins | None":
        """The demo house's logins where it is one. Raises CannotServe."""
        from engine.actors import local_ray

        t = self._t
        if self._ray_address is not None:
            self._join()
        check_port(self._host, self._port, t)
        self._proxies = trusted_proxies(os.environ.get("STRAPONTIN_TRUSTED_PROXIES", ""), t)
        self._mail = mail_settings(os.environ, t)
        self._say("serve.step_database" if self._database_url is None else "serve.step_remote")
        with ThreadPoolExecutor(1) as thread:
            # Ray and Postgres take seconds each, and neither needs the other.
            database = thread.submit(self._open_database)
            if self._ray_address is None:
                self._say("serve.step_ray")
                self._logs = local_ray.start()
                self._ray = True
            url = database.result()
        self._say("serve.step_house")
        logins = asyncio.run(_prepare(url, self._data))
        self._say("serve.step_gateway", logs=self._logs)
        self._open_gateway(url)
        self._say("serve.step_done")
        return logins

    def watch(self, stop: threading.Event) -> None:
        """Start the embedded server again whenever it dies, until told to stop."""
        from persistence.embedded import EmbeddedError

        while not stop.wait(WATCH_S):
            if self._postgres is None:
                continue
            try:
                if self._postgres.ensure_running():
                    self._say("serve.postgres_restarted")
            except EmbeddedError as error:
                self._say("serve.postgres_down", why=error.why, way_out=error.way_out)
                stop.wait(1.0)

    def stop(self) -> None:
        if self._installation is not None:
            self._installation.stop()
        if self._ray:
            from engine.actors import local_ray

            local_ray.stop()
        if self._postgres is not None:
            self._postgres.stop()

    def _join(self) -> None:
        """Become a node of the cluster, listening on the address it has there."""
        from engine.actors import local_ray

        t = self._t
        if self._database_url is None:
            raise CannotServe(t("serve.cluster_database"))
        self._say("serve.step_join", address=self._ray_address)
        # No address of a node: "anywhere", and what a machine of its own listens on.
        host = "" if self._host in ("", "0.0.0.0", "::", "127.0.0.1") else self._host
        assert self._ray_address is not None
        try:
            address, self._logs = local_ray.join(self._ray_address, host)
        except local_ray.NoToken:
            raise CannotServe(t("serve.cluster_token")) from None
        except local_ray.CannotJoin as error:
            text = t("serve.no_cluster", address=self._ray_address, reason=error.reason)
            raise CannotServe(text) from None
        self._ray = True
        self._host = self._host if self._host == "0.0.0.0" else address
        self._node = f"{address}-{secrets.token_hex(4)}"

    def _open_database(self) -> str:
        """The address of a migrated database."""
        from sqlalchemy.exc import SQLAlchemyError

        from persistence.embedded import EmbeddedError, EmbeddedPostgres
        from persistence.migrations import migrate
        from persistence.url import DatabaseUrlError

        t = self._t
        url = self._database_url
        try:
            if url is None:
                postgres = EmbeddedPostgres(self._data)
                url = postgres.start()
                self._postgres = postgres
            asyncio.run(migrate(url))
        except EmbeddedError as error:
            text = t("serve.no_postgres", why=error.why, way_out=error.way_out)
            raise CannotServe(text) from None
        except (OSError, SQLAlchemyError, DatabaseUrlError) as error:
            reason = str(error).splitlines()[0]
            raise CannotServe(t("serve.no_database", reason=reason)) from None
        return url

    def _open_gateway(self, url: str) -> None:
        from engine.actors.wiring import Installation, OpenCluster, Settings, UnfitCluster

        self._prepare()
        public_url = os.environ.get("STRAPONTIN_PUBLIC_URL", self.url)
        settings = Settings(
            database_url=url,
            host=self._host,
            port=self._port,
            public_url=public_url.rstrip("/"),
            node=self._node,
            stripe_key=os.environ.get("STRAPONTIN_STRIPE_KEY", ""),
            stripe_webhook_secret=os.environ.get("STRAPONTIN_STRIPE_WEBHOOK_SECRET", ""),
            stripe_api_base=os.environ.get("STRAPONTIN_STRIPE_API_BASE", ""),
            trusted_proxies=self._proxies,
            mail_url=self._mail.url,
            mail_from=self._mail.sender,
            mail_folder=str(self.mail_folder),
        )
        try:
            self._installation = Installation(settings)
        except OpenCluster:
            raise CannotServe(self._t("serve.cluster_open")) from None
        except UnfitCluster as error:
            raise CannotServe(self._t("serve.cluster_unfit", reason=error)) from None
        self._installation.wait_ready()

    def _say(self, key: str, **values: object) -> None:
        elapsed_s = time.monotonic() - self._began_s
        print(f"{elapsed_s:6.1f} s  {self._t(key, **values)}", flush=True)


async def _prepare(url: str, data: Path) -> "Logins | None":
    from engine.actors.opening import open_house

    return await open_house(url, data)


class MailSettings(NamedTuple):
    """The mail server's address, "" for none, and the address that mails come from."""

    url: str
    sender: str


def mail_settings(environ: Mapping[str, str], t: Translator) -> MailSettings:
    """Raises CannotServe for an address that is none."""
    url, sender = environ.get("STRAPONTIN_SMTP_URL", ""), environ.get("STRAPONTIN_MAIL_FROM", "")
    if not url:
        return MailSettings("", sender or NO_SENDER)
    try:
        parse_mail_server(url)
    except ValueError as error:
        raise CannotServe(t("serve.no_mail_server", reason=error)) from None
    if not is_address(sender) or not sender.isascii():
        raise CannotServe(t("serve.no_mail_sender", text=sender))
    return MailSettings(url, sender)


def trusted_proxies(text: str, t: Translator) -> tuple[str, ...]:
    """Networks and addresses, divided by commas. Raises CannotServe for what is neither."""
    from ipaddress import ip_network

    named = tuple(one.strip() for one in text.split(",") if one.strip())
    for one in named:
        try:
            ip_network(one)
        except ValueError:
            raise CannotServe(t("serve.no_network", text=one)) from None
    return named


def check_port(host: str, port: int, t: Translator) -> None:
    """Raises CannotServe, naming who has the port where that can be found out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        owner = _owner_of(port)
        key = "serve.port_busy_by" if owner else "serve.port_busy"
        reason = error.strerror or str(error)
        text = t(key, host=host, port=port, owner=owner, reason=reason, other=port + 1)
        raise CannotServe(text) from None


def _owner_of(port: int) -> str:
    import psutil

    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} ({connection.pid})"
    return ""


def summary(url: str, logins: "Logins | None", mails_to: str, t: Translator) -> str:
    """The short list at the end of the start."""
    rows = [
        (t("serve.buyer_page"), f"{url}/"),
        (t("serve.console"), f"strapontin console --server {url}"),
        (t("serve.mails"), mails_to),
    ]
    if logins is not None:
        from engine.actors.opening import OPERATORS

        for name, (field, roles) in OPERATORS.items():
            label = t("serve.login", roles=", ".join(roles))
            rows.append((label, f"{name} / {getattr(logins, field)}"))
        scanner = f"strapontin scan --server {url} --token {logins.scanner} --performance 1"
        rows.append((t("serve.scanner"), scanner))
    width = max(len(label) for label, _ in rows)
    shown = [f"  {label:<{width}}  {value}" for label, value in rows]
    return "\n".join(["", t("serve.ready"), "", *shown, "", t("serve.ctrl_c"), ""])
