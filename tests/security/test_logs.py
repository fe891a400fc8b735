"""Secrets are in no log: everything that is secret is used once, and every line is searched."""

import io
import secrets
from typing import Any

import pytest
import structlog

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
        door = await gateway.socket(device["token"])
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
