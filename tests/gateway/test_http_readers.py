"""Card readers over HTTP: which there are, where they stand, and money taken at one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.actors.payments import StripeGateway
from engine.actors.saga import Shop
from tests.fakes.stripe_server import FakeStripe
from tests.gateway.conftest import Running
from tests.gateway.test_http_tills import opening, person, placed
from tests.security.endpoints import LOOK


async def title(performance: int) -> str:
    return f"Performance {performance}"


@pytest.fixture
async def stripe(gateway: Running) -> AsyncIterator[FakeStripe]:
    async with FakeStripe(webhook_url=f"{gateway.url}/api/stripe/webhook") as server:
        keys = StripeGateway(server.api_key, server.webhook_secret, server.url)
        await gateway.fake.desk.take_cards(keys, Shop(gateway.url, title))
        yield server


def at_reader(reader: str, attempt: str = "1") -> dict[str, Any]:
    return {"method": "stripe_terminal", "attempt": attempt, "reference": reader}


async def test_a_reader_stands_at_the_tills_that_somebody_says(
    gateway: Running, stripe: FakeStripe
) -> None:
    ada, chief = await person(gateway, "Ada"), await person(gateway, "the chief", "supervisor")
    first, second = stripe.terminal.add_reader("Foyer"), stripe.terminal.add_reader("Bar")
    assert await gateway.json("GET", "/api/readers", token=ada) == [
        {
            "id": first,
            "label": "Foyer",
            "device_type": "simulated_wisepos_e",
            "is_online": True,
            "tills": [],
        },
        {
            "id": second,
            "label": "Bar",
            "device_type": "simulated_wisepos_e",
            "is_online": True,
            "tills": [],
        },
    ]

    async def bind(reader: str, *tills: str, expect: int = 200) -> Any:
        body = {"tills": list(tills)}
        return await gateway.json("PUT", f"/api/readers/{reader}", body, chief, expect=expect)

    async def tills() -> list[list[str]]:
        found = await gateway.json("GET", "/api/readers", token=ada)
        return [one["tills"] for one in found]

    assert await bind(first, "Till 1", " Till 2 ") == {"id": first, "tills": ["Till 1", "Till 2"]}
    await bind(second, "TILL 2")
    assert await tills() == [["Till 1"], ["TILL 2"]], "a till has one reader"
    assert (await bind("tmr_of_nobody", expect=404))["code"] == "reader_unknown"
    await gateway.json("PUT", "/api/house", LOOK, await person(gateway, "the admin", "admin"))
    assert await tills() == [["Till 1"], ["TILL 2"]], "they are no part of the house's look"
    await gateway.json("POST", "/api/tills", opening(1, "till 1"), ada, expect=201)
    assert (await gateway.json("GET", "/api/tills/mine", token=ada))["reader"] == first
    await bind(first)
    assert await tills() == [[], ["TILL 2"]]
    assert (await gateway.json("GET", "/api/tills/mine", token=ada))["reader"] == ""


async def test_a_card_is_read_and_the_order_goes_on(gateway: Running, stripe: FakeStripe) -> None:
    ada, chief = await person(gateway, "Ada"), await person(gateway, "the chief", "supervisor")
    reader = stripe.terminal.add_reader()
    report = await gateway.json("POST", "/api/tills", opening(1), ada, expect=201)
    order = await placed(gateway, ada, 5)
    path = f"/api/orders/{order['id']}"
    waiting = await gateway.json("POST", f"{path}/pay", at_reader(reader), ada)
    [payment] = waiting["order"]["payments"]
    assert (payment["state"], payment["reference"]) == ("pending", reader)
    closing = {"id": "c", "pieces": [[10_000, 1]]}
    till = f"/api/tills/{report['session']['id']}"
    busy = await gateway.json("POST", f"{till}/close", closing, ada, expect=409)
    assert busy["code"] == "till_busy"
    declined = {"number": "4000000000009995"}
    await gateway.json("POST", f"/api/readers/{reader}/present", declined, chief)
    await stripe.drained()
    refused = await gateway.json("POST", f"{path}/pay", at_reader(reader), ada, expect=409)
    assert (refused["code"], refused["detail"]) == ("payment_refused", "insufficient_funds")
    await gateway.json("POST", f"{path}/pay", at_reader(reader, "2"), ada)
    await gateway.json("POST", f"/api/readers/{reader}/present", {}, chief)
    await stripe.drained()
    paid = await gateway.json("POST", f"{path}/pay", at_reader(reader, "2"), ada)
    assert paid["order"]["state"] == "paid"
    methods = (await gateway.json("GET", till, token=ada))["methods"]
    assert [(one["method"], one["taken"]) for one in methods] == [
        ("stripe_terminal", order["total"])
    ]
    assert (await gateway.json("POST", f"{till}/close", closing, ada))["session"]["closing"]


async def test_a_payment_at_a_reader_is_stopped(gateway: Running, stripe: FakeStripe) -> None:
    ada = await person(gateway, "Ada")
    reader = stripe.terminal.add_reader()
    order = await placed(gateway, ada, 5)
    path = f"/api/orders/{order['id']}"
    await gateway.json("POST", f"{path}/pay", at_reader(reader), ada)
    stopped = await gateway.json("POST", f"{path}/stop", {"attempt": "1"}, ada)
    assert (stopped["state"], stopped["payments"][0]["state"]) == ("open", "expired")
    assert stripe.terminal.shows(reader) == ""
    unknown = f"/api/orders/{'f' * 32}/stop"
    assert (await gateway.json("POST", unknown, {"attempt": "1"}, ada, expect=404))["code"] == (
        "order_unknown"
    )


async def test_a_buyer_cannot_have_a_reader_ask(gateway: Running, stripe: FakeStripe) -> None:
    ada = await person(gateway, "Ada")
    reader = stripe.terminal.add_reader()
    order = await placed(gateway, ada, 5)
    path = f"/api/orders/{order['id']}/pay"
    buyer = gateway.buyer_token()
    await gateway.json("POST", path, at_reader(reader), buyer, expect=403)
    assert stripe.terminal.shows(reader) == ""


async def test_a_house_without_stripe_has_no_readers(gateway: Running) -> None:
    ada = await person(gateway, "Ada")
    refused = await gateway.json("GET", "/api/readers", token=ada, expect=409)
    assert refused["code"] == "method_not_offered"
    order = await placed(gateway, ada, 5)
    path = f"/api/orders/{order['id']}/pay"
    refused = await gateway.json("POST", path, at_reader("tmr_1"), ada, expect=409)
    assert refused["code"] == "method_not_offered"
