"""A house that is really served, with a payment provider, while parts of it die.

From a sale to its mail; a card at a reader; a cancelled performance; a waiting room. One house for
all four: to serve one takes longer than any of them.
"""

import asyncio
import email
import email.policy
import json
import os
import sys
import tempfile
import time
import urllib.error
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgpack
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.fakes.stripe_server import FakeStripe
from tests.integration.server import CHECKOUT, ServedHouse
from tests.integration.test_rooms import nobody_loses_a_place

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
PATIENCE_S = 90.0
CANCELLED = 2
PATH = f"/api/performances/{CANCELLED}/cancellation"
Served = tuple[ServedHouse, FakeStripe]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Served]:
    # Not under pytest's own folder, which it closes to the user that Postgres runs as.
    with (
        tempfile.TemporaryDirectory(prefix="strapontin-test-") as folder,
        pytest.MonkeyPatch.context() as surroundings,
    ):
        os.chmod(folder, 0o755)
        async with FakeStripe() as stripe:  # of which no webhook ever comes
            surroundings.setenv("STRAPONTIN_STRIPE_KEY", stripe.api_key)
            surroundings.setenv("STRAPONTIN_STRIPE_WEBHOOK_SECRET", stripe.webhook_secret)
            surroundings.setenv("STRAPONTIN_STRIPE_API_BASE", stripe.url)
            house = ServedHouse(Path(folder) / "data")
            await asyncio.to_thread(house.start)
            try:
                surroundings.setenv("STRAPONTIN_PASSWORD", house.logins["admin"])
                yield house, stripe
            finally:
                await asyncio.to_thread(house.stop)


async def buy(served: Served, address: str, performance: int = 1) -> dict[str, Any]:
    """The best seat of a performance, paid on the provider's page."""
    house, stripe = served
    session = await house.ask("/api/session", {})
    async with connect(f"{house.url.replace('http', 'ws', 1)}/ws", compression=None) as socket:
        await socket.send(msgpack.packb(["hello", session["token"], "en"]))
        assert msgpack.unpackb(await socket.recv())[0] == "welcome"
        id, token = os.urandom(16), os.urandom(16)
        await socket.send(msgpack.packb(["best", id, performance, token, 1]))
        while (reply := msgpack.unpackb(await socket.recv()))[0] != "reply":
            pass
    held = reply[2]
    assert held[0] == "held", held
    order = {
        "id": os.urandom(16).hex(),
        "baskets": [
            {
                "performance": performance,
                "token": token.hex(),
                "lines": [[held[2][0], -1, "adult"]],
            }
        ],
        "buyer": {"name": "Ada Lovelace", "email": address, "language": "en"},
    }
    await house.ask("/api/orders", order, session["token"])
    pay = {"method": "stripe", "attempt": "1"}
    asked = await house.ask(f"/api/orders/{order['id']}/pay", pay)
    stripe.pay(asked["redirect_url"].rpartition("/")[2])
    paid = await house.ask(f"/api/orders/{order['id']}/pay", pay)  # it looks at the page
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


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Asked again while a part that was killed is not back."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if await true():
                    return
            except (urllib.error.HTTPError, OSError):
                pass
            await asyncio.sleep(0.2)


async def strapontin(*arguments: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    command = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("strapontin")), *arguments),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await command.communicate()
    assert command.returncode is not None
    return command.returncode, printed.decode()


async def test_a_sale_becomes_a_mail_also_when_its_sender_is_killed(served: Served) -> None:
    house, _ = served
    order = await buy(served, "one@house.example")
    message = await mail_to(house, "one@house.example")
    assert str(order["number"]) in message["Subject"]
    kinds = [one.get_content_type() for one in message.iter_attachments()]
    assert kinds == ["application/pdf", "text/calendar"]
    body = message.get_body(("plain",))
    assert body is not None and f"/o/{order['id']}" in body.get_content()

    assert house.kill("MailerProcess") == 1
    await buy(served, "two@house.example")
    await mail_to(house, "two@house.example")

    login = await house.ask("/api/login", {"name": "caisse", "password": house.logins["cashier"]})
    async with asyncio.timeout(PATIENCE_S):
        while True:
            mails = await house.ask("/api/mails", token=login["token"])
            if [mail["state"] for mail in mails] == ["sent", "sent"]:
                break
            await asyncio.sleep(0.1)
    again = await house.ask(f"/api/orders/{order['id']}/mail", {"id": "a"}, login["token"])
    assert again["kind"] == "tickets" and again["recipient"] == "one@house.example"


async def test_a_desk_that_is_killed_while_a_card_is_charged_sells_once(served: Served) -> None:
    """No webhook reaches the house, and the reader tells of a failure: the money is found."""
    house, stripe = served
    reader = stripe.terminal.add_reader("Foyer")
    who = ("--server", house.url, "--login", "admin")
    code, listed = await strapontin("terminal", "list", *who)
    assert code == 0 and "Foyer" in listed
    paid = ("--best", "2", "--pay", "stripe_terminal", "--reference", reader, "--json")
    sale = asyncio.create_task(strapontin("order", "sell", "1", *paid, *who))
    async with asyncio.timeout(60):
        while not stripe.terminal.shows(reader):  # noqa: ASYNC110 - not ours to signal
            await asyncio.sleep(0.05)
    assert house.kill("DeskProcess") == 1
    stripe.terminal.present(reader, told=False)
    code, printed = await asyncio.wait_for(sale, 90)
    assert code == 0, printed
    order = json.loads(printed)
    [payment] = order["payments"]
    [intent] = stripe.terminal.intents.values()
    assert (order["state"], payment["intent"]) == ("paid", intent["id"])
    assert payment["captured"] == order["total"] == intent["amount_received"]
    assert all(line["ticket"] >= 0 for line in order["lines"])


async def test_all_is_given_back_also_when_the_desk_is_killed(served: Served) -> None:
    house, _ = served
    orders = [await buy(served, f"buyer{number}@house.example", CANCELLED) for number in range(6)]
    paid = sum(order["paid"] for order in orders)
    admin = {"name": "admin", "password": house.logins["admin"]}
    token = (await house.ask("/api/login", admin))["token"]
    preview = await house.ask(f"{PATH}/preview", token=token)
    assert (preview["orders"], preview["back"]) == (6, {"stripe": paid})

    queue = f"/api/performances/{CANCELLED}/queue"
    soon_ms = int(time.time() * 1_000) + 600_000
    await house.ask(queue, {"opens_ms": soon_ms, "on_sale_ms": soon_ms + 1_000}, token)
    await house.ask(PATH, {"reason": "ill"}, token)
    assert house.kill("DeskProcess") == 1

    async def is_cancelled() -> bool:
        shown = await house.ask(f"/api/performances/{CANCELLED}")
        return bool(shown["status"] == "cancelled")

    async def has_ended() -> bool:
        return bool((await house.ask(PATH, token=token))["ended_ms"])

    await until(is_cancelled)
    assert house.kill("DeskProcess") <= 1
    await until(has_ended)

    async def has_no_room() -> bool:
        try:
            await house.ask(queue)
        except urllib.error.HTTPError as error:
            return error.code == 404
        return False

    await until(has_no_room)
    views: list[dict[str, Any]] = []

    async def are_seen() -> bool:
        views[:] = [await house.ask(f"/api/orders/{order['id']}") for order in orders]
        return True

    await until(are_seen)
    for view in views:
        assert (view["state"], view["paid"]) == ("refunded", 0)
        assert [one["id"] for one in view["refunds"]] == [f"cancelled-{CANCELLED}"]
    mails = await house.ask("/api/mails?limit=200", token=token)
    told = [mail["order_number"] for mail in mails if mail["kind"] == "called_off"]
    assert sorted(told) == [order["number"] for order in orders]
    assert "refunded" not in {mail["kind"] for mail in mails}

    async def is_written() -> bool:
        files = (house.data / "mail").glob("*.eml")
        return sum(b"\r\nSubject: Cancelled: " in file.read_bytes() for file in files) == 6

    await until(is_written)

    # Anybody may look, from anywhere, by the same command.
    who = ("--server", house.url, "--token", token, "--json")
    code, said = await strapontin("performance", "cancel", str(CANCELLED), *who)
    assert code == 0
    seen = json.loads(said)["cancellation"]
    assert seen["orders"] == {"todo": 0, "waiting": 0, "done": 6, "left": 0}
    assert seen["amount"] == paid and seen["untold"] == 0


async def test_nobody_loses_a_place_whatever_is_killed(served: Served) -> None:
    await nobody_loses_a_place(served[0])
