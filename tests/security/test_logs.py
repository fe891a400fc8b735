"""Secrets are in no log: everything that is secret is used once, and every line is searched."""

import asyncio
import io
import json
import logging
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
import structlog

from engine.actors import process
from engine.masking import masked
from gateway import logs
from tests.fakes.backend import PASSWORD
from tests.gateway.client import new_id
from tests.gateway.conftest import Running
from tests.gateway.test_http_operators import add_operator
from tests.gateway.test_http_orders import order_for

EMAIL = "ada.secret@example.org"


class Traffic:
    """What was said to the house, and the secrets that were said."""

    def __init__(self, gateway: Running) -> None:
        self.gateway = gateway
        self.secrets: dict[str, str] = {"password": PASSWORD, "e-mail": EMAIL}

    async def flow(self) -> None:
        gateway = self.gateway
        await add_operator(gateway, "Ada", "admin", "cashier", "refund")
        login = {"name": "Ada", "password": PASSWORD}
        admin = (await gateway.json("POST", "/api/login", login))["token"]
        await gateway.json("POST", "/api/login", login | {"password": "wrong " + PASSWORD},
                           expect=401)  # fmt: skip
        buyer = (await gateway.json("POST", "/api/session", {}))["token"]
        device = await gateway.json("POST", "/api/devices", {"name": "door"}, admin, expect=201)
        code = device["enrolment"]
        other = await gateway.json("POST", "/api/enrol", {"token": code})
        await gateway.json("POST", "/api/enrol", {"token": code}, expect=401)
        body, _ = await order_for(
            gateway, 5, token=buyer, buyer={"name": "Ada", "email": EMAIL, "language": "en"}
        )
        await gateway.json("POST", "/api/orders", body, buyer, expect=201)
        path = f"/api/orders/{body['id']}"
        await gateway.json("POST", f"{path}/pay", {"method": "test_card", "attempt": "1"})
        order = await gateway.json("GET", path)
        ticket = order["tickets"][0]["secret"]
        for page in ("tickets.pdf", "receipt.pdf", "nothing.pdf"):
            async with gateway.http.get(f"{path}/{page}") as answer:
                await answer.read()
        door = await gateway.socket(other["token"])
        await door.ask("scan", 1, ticket)
        await door.ask("scan", 1, ticket[:-1] + "0")
        new_password = secrets.token_urlsafe(12)
        eve = {"name": "Eve", "password": new_password, "roles": ["door"]}
        await gateway.json("POST", "/api/operators", eve, admin, expect=201)
        await gateway.json("GET", f"/api/sales?q={EMAIL}", token=admin)
        hold = new_id()
        socket = await gateway.socket(buyer)
        await socket.hold(1, 9, token=hold)
        self.secrets |= {
            "operator's token": admin,
            "buyer's token": buyer,
            "device's token": device["token"],
            "enrolled device's token": other["token"],
            "enrolment's code": code,
            "order's key": body["id"],
            "ticket's secret": ticket,
            "readable number": order["tickets"][0]["number"],
            "new password": new_password,
            "hold's token": hold.hex(),
            "session key": gateway.edge.config.session_key.hex(),
            "ticket key": gateway.fake.ticket_key.hex(),
        }

    async def go_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same requests again while everything behind the edge breaks with its secrets."""
        gateway = self.gateway

        # Nothing is ever called with a password but argon2.
        told = {name: text for name, text in self.secrets.items() if "password" not in name}

        async def broken(*arguments: Any, **named: Any) -> Any:
            raise RuntimeError(f"broke with {arguments} {named} {told}")

        monkeypatch.setattr(gateway.fake.desk, "get", broken)
        monkeypatch.setattr(gateway.fake.access, "find_session", broken)
        order, token = self.secrets["order's key"], self.secrets["operator's token"]
        gateway.edge.identities.forget_all()
        for path in (f"/api/orders/{order}", "/api/me"):
            headers = {"Authorization": f"Bearer {token}"}
            async with gateway.http.get(path, headers=headers) as answer:
                assert answer.status == 500
                assert self.leaks(await answer.text()) == []

    def leaks(self, text: str) -> list[str]:
        return sorted(name for name, secret in self.secrets.items() if secret in text)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "plain"])
async def test_no_secret_is_in_any_log(
    gateway: Running,
    as_json: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    saved = structlog.get_config()
    caplog.set_level(0)
    try:
        logs.configure(as_json=as_json, stream=out, level=0)
        traffic = Traffic(gateway)
        await traffic.flow()
        await traffic.go_wrong(monkeypatch)
    finally:
        structlog.configure(**saved)
    shown = capfd.readouterr()
    everything = out.getvalue() + caplog.text + shown.out + shown.err
    assert everything.count("/api/orders/{order}") > 3, "requests were logged at all"
    assert "request failed" in everything, "and so were the faults"
    assert traffic.leaks(everything) == []


async def test_without_the_mask_they_would_be_there(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same traffic, unmasked."""
    out = io.StringIO()
    saved = structlog.get_config()
    monkeypatch.setattr(logs, "mask", lambda _logger, _method, event: event)
    try:
        logs.configure(as_json=True, stream=out, level=0)
        traffic = Traffic(gateway)
        await traffic.flow()
        await traffic.go_wrong(monkeypatch)
    finally:
        structlog.configure(**saved)
    assert len(traffic.leaks(out.getvalue())) > 5


async def test_no_secret_is_in_the_audit_log(gateway: Running) -> None:
    traffic = Traffic(gateway)
    await traffic.flow()
    await gateway.edge.auditor._acts.join()
    assert gateway.fake.access.entries
    assert traffic.leaks(repr(gateway.fake.access.entries)) == []


# Wherever they stand -----------------------------------------------------------------------------

TOLD = {
    "buyer's token": "b." + "Ab1_-" * 10 + "==",
    "operator's token": "o." + secrets.token_urlsafe(32),
    "device's token": "d." + secrets.token_urlsafe(32),
    "enrolment's code": "e." + secrets.token_urlsafe(32),
    "order's key": secrets.token_hex(16),
    "ticket's secret": "ST1" + "0K9Z4" * 23 + "00",
    "readable number": "12-000345-X7Q4M29TKB01",
    "the same, as typed": "12-000345-x7q4m29tkb01",
    "e-mail": EMAIL,
    "stripe's key": "sk_live_" + "51Hx" * 10,
    "stripe's webhook secret": "whsec_" + "MfKQ9r8G" * 4,
}
WAYS = {
    "alone": "{}",
    "in words": "broke with {} at last",
    "quoted": "KeyError: '{}'",
    "in an address": "/api/orders/{}/pay",
    "after a letter": "order_{}",
    "in printed bytes": "b'\\x93\\xa5hello\\xa2{}'",
    "in a detail of the database": "DETAIL:  Key (id)=({}) already exists.",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("name", TOLD)
def test_a_secret_is_masked_wherever_it_stands(name: str, way: str) -> None:
    shown = masked(way.format(TOLD[name]))
    assert TOLD[name][12:] not in shown and "…" in shown, shown


def test_the_password_in_a_databases_address_is_masked() -> None:
    for word in ("p4ss", "pass:word", "p/4?s#s"):
        shown = masked(f"no answer from postgresql+asyncpg://house:{word}@db.example.org:5432/x")
        assert word not in shown and "house:" in shown and "db.example.org:5432" in shown


def test_what_is_no_secret_stays() -> None:
    for text in (
        "performance 12: seq 345678901 at 2026-11-22T08:40:00.123456Z",
        "File gateway/web/lib.py, line 12, in take_over",
        "order 123456 waits: TimeoutError()",
        "tests.gateway.test_http_operators.add_operator",
    ):
        assert masked(text) == text


@pytest.mark.parametrize("name", TOLD)
def test_an_event_hides_it_at_any_depth(name: str) -> None:
    told = TOLD[name]
    out = io.StringIO()
    saved = structlog.get_config()
    try:
        logs.configure(as_json=True, stream=out)
        log = structlog.get_logger("x").bind(bound=told)
        with structlog.contextvars.bound_contextvars(request=told):
            try:
                raise ValueError(f"no {told}") from KeyError(told)
            except ValueError as error:
                log.exception("failed", error=error, all=[{"its": (told,)}], by={told: 1})
        log.info("said", Token="x" * 40, bytes=told.encode())
    finally:
        structlog.configure(**saved)
    failed, said = out.getvalue().splitlines()
    assert told not in failed and told not in said and "x" * 40 not in said
    assert "Traceback" in json.loads(failed)["exception"]
    assert json.loads(said)["bytes"] == f"{len(told)} bytes"


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The log of an actor's process."""
    out = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", out)
        process.log_to_stderr()
    yield out
    root.handlers = handlers
    root.setLevel(level)


def talk() -> None:
    """What an actor and its libraries say, with everything in it that is secret."""
    log = logging.getLogger("engine.actors.desk")
    for told in TOLD.values():
        log.warning("order waits: %r", asyncpg.DataError(f"invalid input for $1: {told!r}"))
        try:
            raise KeyError(told)
        except KeyError:
            log.exception("cannot go on")
        context = {"message": "never retrieved", "exception": ValueError(told)}
        asyncio.get_running_loop().call_exception_handler(context)


def leaks(shown: str) -> list[str]:
    return [name for name, told in TOLD.items() if told in shown]


async def test_the_processes_of_the_actors_mask_too(stderr: io.StringIO) -> None:
    """Libraries log by the standard library, and tracebacks of ours do."""
    talk()
    shown = stderr.getvalue()
    assert shown.count("cannot go on") == shown.count("never retrieved") == len(TOLD)
    assert leaks(shown) == []


async def test_without_it_they_would_tell(
    stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "masked", lambda text: text)
    talk()
    assert leaks(stderr.getvalue()) == list(TOLD)
