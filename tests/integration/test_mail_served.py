"""Mails of a house that is really served: from the sale to the file, whatever dies between."""

import asyncio
import email
import email.policy
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgpack
from websockets.asyncio.client import connect

from tests.integration.server import ServedHouse

PATIENCE_S = 90.0


async def buy(house: ServedHouse, address: str) -> dict[str, Any]:
    """The best seat of performance 1, paid by a test card."""
    session = await house.ask("/api/session", {})
    async with connect(f"{house.url.replace('http', 'ws', 1)}/ws", compression=None) as socket:
        await socket.send(msgpack.packb(["hello", session["token"], "en"]))
        assert msgpack.unpackb(await socket.recv())[0] == "welcome"
        id, token = os.urandom(16), os.urandom(16)
        await socket.send(msgpack.packb(["best", id, 1, token, 1]))
        while (reply := msgpack.unpackb(await socket.recv()))[0] != "reply":
            pass
    held = reply[2]
    assert held[0] == "held", held
    order = {
        "id": os.urandom(16).hex(),
        "baskets": [{"performance": 1, "token": token.hex(), "lines": [[held[2][0], -1, "adult"]]}],
        "buyer": {"name": "Ada Lovelace", "email": address, "language": "en"},
    }
    await house.ask("/api/orders", order, session["token"])
    pay = {"method": "test_card", "attempt": "1"}
    paid = await house.ask(f"/api/orders/{order['id']}/pay", pay)
    assert paid["order"]["state"] == "paid"
    found: dict[str, Any] = paid["order"]
    return found


async def mail_to(house: ServedHouse, address: str) -> EmailMessage:
    """The mail to this address, once it is there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for file in (house.data / "mail").glob("*.eml"):
                read = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                if read["To"] == address:
                    assert isinstance(read, EmailMessage)
                    return read
            await asyncio.sleep(0.1)


async def test_a_sale_becomes_a_mail_also_when_its_sender_is_killed(tmp_path: Path) -> None:
    with ServedHouse(tmp_path / "house") as house:
        order = await buy(house, "one@house.example")
        message = await mail_to(house, "one@house.example")
        assert str(order["number"]) in message["Subject"]
        kinds = [one.get_content_type() for one in message.iter_attachments()]
        assert kinds == ["application/pdf", "text/calendar"]
        body = message.get_body(("plain",))
        assert body is not None and f"/o/{order['id']}" in body.get_content()

        assert house.kill("MailerProcess") == 1
        await buy(house, "two@house.example")
        await mail_to(house, "two@house.example")

        login = await house.ask(
            "/api/login", {"name": "caisse", "password": house.logins["cashier"]}
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                mails = await house.ask("/api/mails", token=login["token"])
                if [mail["state"] for mail in mails] == ["sent", "sent"]:
                    break
                await asyncio.sleep(0.1)
        again = await house.ask(f"/api/orders/{order['id']}/mail", {"id": "a"}, login["token"])
        assert again["kind"] == "tickets" and again["recipient"] == "one@house.example"
