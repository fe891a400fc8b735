"""Who sells in which channel: what is kept for it, what it costs there, whose orders one sees."""

import secrets
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine.commands import Allocate, Channel
from engine.settings import Fee, FeeKind, FeePer, Price, PriceType, SaleStatus, Settings
from gateway.http import EDGE
from tests.actors.houses import settings, small_plan
from tests.gateway.client import Socket, new_id
from tests.gateway.conftest import Running, Start

ADULT, STAFF = PriceType("adult", {"en": "Adult"}), PriceType("staff", {}, box_office_only=True)
HOUSE = settings(
    price_types=(ADULT, STAFF),
    prices=tuple(Price(at, kind, 2_000) for at in (0, 1) for kind in ("adult", "staff")),
    fees=(
        Fee("phone", {}, fixed=100, channels=("phone",)),
        Fee("agency", {}, fixed=300, channels=("reseller",)),
        Fee("till", {}, fixed=50, per=FeePer.ORDER, channels=("box_office",)),
    ),
)
PHONE, AGENCY, FREE = 3, 5, 8
"""Seats: kept for the phone, kept for resellers, kept for nobody."""


@pytest.fixture
async def house(gateway: Running) -> Running:
    sells(gateway, HOUSE)
    for name, channel, seat in (("calls", "phone", PHONE), ("agencies", "reseller", AGENCY)):
        await gateway.fake.performances.ask(
            1, Allocate(new_id(), name, (Channel(channel),), (seat,))
        )
    return gateway


def sells(gateway: Running, rules: Settings) -> None:
    """Performance 1 is sold by these rules."""
    gateway.fake.performances.add(1, small_plan(), rules)
    kept = gateway.fake.catalogue.performances
    kept[1] = replace(kept[1], settings=msgspec.json.encode(rules))
    gateway.app[EDGE].programme.changed()


async def people(house: Running) -> dict[str, str]:
    return {
        "cashier": await house.fake.operator_token("Ada", "cashier"),
        "reseller": await house.fake.operator_token("Agency", "reseller"),
        "buyer": house.buyer_token(),
    }


async def held(socket: Socket, seat: int, channel: str | None = None) -> tuple[str, bytes]:
    """How a hold of a seat is answered, and its token."""
    token = new_id()
    answer = await socket.ask("hold", 1, token, [seat], [], channel)
    return (answer[0] if answer[0] == "held" else answer[1]), token


def order_of(token: bytes, seat: int, kind: str = "adult", **more: Any) -> dict[str, Any]:
    basket = {"performance": 1, "token": token.hex(), "lines": [[seat, -1, kind, 1]]}
    return {"id": secrets.token_hex(16), "baskets": [basket], **more}


async def test_what_is_kept_for_a_channel_is_for_whoever_sells_there(house: Running) -> None:
    tokens = await people(house)
    sockets = {who: await house.socket(token) for who, token in tokens.items()}
    table = [
        ("cashier", PHONE, None, "seat_blocked"), ("cashier", AGENCY, "phone", "seat_blocked"),
        ("buyer", PHONE, None, "seat_blocked"), ("buyer", AGENCY, None, "seat_blocked"),
        ("reseller", PHONE, None, "seat_blocked"), ("reseller", FREE, "reseller", "held"),
        ("reseller", AGENCY, None, "held"), ("cashier", PHONE, "phone", "held"),
    ]  # fmt: skip
    for who, seat, channel, wanted in table:
        assert (await held(sockets[who], seat, channel))[0] == wanted, (who, seat, channel)
    best = await sockets["cashier"].ask("best", 1, new_id(), 1, [], [], -1, 0, -1, "phone")
    assert best[0] == "held"


@pytest.mark.parametrize(
    ("who", "channel"),
    [("buyer", "phone"), ("buyer", "box_office"), ("reseller", "phone"), ("reseller", "web"),
     ("cashier", "web"), ("cashier", "reseller")],
)  # fmt: skip
async def test_nobody_sells_in_a_channel_of_others(house: Running, who: str, channel: str) -> None:
    socket = await house.socket((await people(house))[who])
    await socket.send("hold", new_id(), 1, new_id(), [FREE], [], channel)
    assert (await socket.next("error"))[1] == "forbidden"
    await socket.send("best", new_id(), 1, new_id(), 1, [], [], -1, 0, -1, channel)
    assert (await socket.next("error"))[1] == "forbidden"


@pytest.mark.parametrize("held_in", [None, "phone"])
async def test_an_order_costs_what_its_channel_costs(house: Running, held_in: str | None) -> None:
    """Also where the channel was chosen when the place was held already."""
    cashier = (await people(house))["cashier"]
    _, token = await held(await house.socket(cashier), FREE, held_in)
    by_phone = order_of(token, FREE, channel="phone")
    placed = await house.json("POST", "/api/orders", by_phone, cashier, expect=201)
    assert (placed["channel"], placed["total"], placed["operator"]) == ("phone", 2_100, "Ada")
    until = {"kind": "pick_up", "until_ms": 2**50}
    kept = await house.json("POST", f"/api/orders/{placed['id']}/reserve", until, cashier)
    assert kept["state"] == "awaiting_payment"


async def test_at_the_box_office_the_same_place_costs_what_it_costs_there(house: Running) -> None:
    cashier = (await people(house))["cashier"]
    _, token = await held(await house.socket(cashier), FREE, "phone")
    placed = await house.json("POST", "/api/orders", order_of(token, FREE), cashier, expect=201)
    assert (placed["channel"], placed["total"]) == ("box_office", 2_050)


async def test_a_sale_at_once_may_be_by_phone(house: Running) -> None:
    cashier = (await people(house))["cashier"]
    socket = await house.socket(cashier)
    basket = [1, new_id(), [[PHONE, -1, "adult", 1]]]
    await socket.send("buy", new_id(), [basket], 5_000, "", "", "en", "phone")
    assert (await socket.next("bought"))[3:5] == [2_100, 2_900]
    [sale] = await house.json("GET", "/api/sales", token=cashier)
    assert sale["channel"] == "phone"


async def test_a_reseller_sells_at_its_prices_and_fees(house: Running) -> None:
    reseller = (await people(house))["reseller"]
    _, token = await held(await house.socket(reseller), AGENCY)
    refused = await house.json(
        "POST", "/api/orders", order_of(token, AGENCY, "staff"), reseller, expect=409
    )
    assert refused["code"] == "no_price"
    # Whatever it says of itself.
    body = order_of(token, AGENCY, channel="web", operator="Ada", session="0" * 32)
    placed = await house.json("POST", "/api/orders", body, reseller, expect=201)
    told = [placed[name] for name in ("channel", "operator", "total")]
    assert told == ["reseller", "Agency", 2_300]


async def test_a_reseller_sees_and_gives_up_its_own_orders_alone(house: Running) -> None:
    tokens = await people(house)
    placed = {}
    for who, seat in (("cashier", FREE), ("reseller", AGENCY)):
        _, hold = await held(await house.socket(tokens[who]), seat)
        body = order_of(hold, seat, buyer={"name": f"Buyer of {who}"})
        placed[who] = await house.json("POST", "/api/orders", body, tokens[who], expect=201)
    for query in ("", "?q=Buyer", "?performance=1"):
        found = await house.json("GET", f"/api/sales{query}", token=tokens["reseller"])
        assert [one["id"] for one in found] == [placed["reseller"]["id"]], query
        every = await house.json("GET", f"/api/sales{query}", token=tokens["cashier"])
        assert len(every) == 2
    for who, status in (("cashier", 403), ("reseller", 200)):
        path = f"/api/orders/{placed[who]['id']}/cancel"
        await house.json("POST", path, {}, tokens["reseller"], expect=status)


async def test_a_reseller_is_told_of_what_is_kept_for_resellers(house: Running) -> None:
    tokens = await people(house)
    path = "/api/performances/1/allocations"
    told = await house.json("GET", f"{path}?name=agencies", token=tokens["reseller"])
    assert [one["name"] for one in told["allocations"]] == ["agencies"]
    assert told["allocations"][0]["indices"] == [AGENCY] and told.keys() == {"allocations"}
    other = await house.json("GET", f"{path}?name=calls", token=tokens["reseller"])
    assert "indices" not in repr(other)
    every = await house.json("GET", path, token=tokens["cashier"])
    assert [one["name"] for one in every["allocations"]] == ["agencies", "calls"]


async def test_what_is_hidden_is_hidden_from_resellers_too(start: Start) -> None:
    gateway = await start()
    hidden = settings(status=SaleStatus.HIDDEN)
    number = gateway.fake.add_performance(small_plan(), hidden)
    reseller = await gateway.fake.operator_token("Agency", "reseller")
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    for token, status in ((cashier, 200), (reseller, 404)):
        await gateway.json("GET", f"/api/performances/{number}", token=token, expect=status)
    await gateway.json("GET", f"/api/performances/{number}/allocations", token=reseller, expect=404)
    seen = await gateway.json("GET", "/api/performances", token=reseller)
    assert number not in [one["id"] for one in seen] and all("sold" not in one for one in seen)
    socket = await gateway.socket(reseller)
    answer = await socket.ask("hold", number, new_id(), [FREE])
    assert answer[:2] == ["refused", "malformed"]
    body = order_of(new_id(), FREE) | {}
    body["baskets"][0]["performance"] = number
    await gateway.json("POST", "/api/orders", body, reseller, expect=404)


async def test_a_reseller_has_no_other_role(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Boss", "admin")
    account = {"name": "Agency", "password": "correct horse", "roles": ["reseller", "cashier"]}
    refused = await gateway.json("POST", "/api/operators", account, admin, expect=422)
    assert refused["field"] == "$.roles"
    await gateway.json(
        "POST", "/api/operators", account | {"roles": ["reseller"]}, admin, expect=201
    )


async def test_a_basket_is_priced_with_its_fees_before_it_is_ordered(house: Running) -> None:
    tokens = await people(house)
    asked = {"baskets": [{"performance": 1, "lines": [[FREE, -1, "adult", 1]]}]}
    table = [
        ("buyer", None, 2_000, []), ("cashier", None, 2_050, [("till", 50)]),
        ("cashier", "phone", 2_100, [("phone", 100)]), ("reseller", None, 2_300, [("agency", 300)]),
    ]  # fmt: skip
    for who, channel, total, fees in table:
        told = await house.json("POST", "/api/quote", asked | {"channel": channel}, tokens[who])
        assert (told["currency"], told["total"]) == ("EUR", total), who
        assert [(one["fee"], one["amount"]) for one in told["fees"]] == fees
        assert all(one["total"] == total for one in told["ways"])
    assert (await held(await house.socket(tokens["buyer"]), FREE))[0] == "held", "nobody holds it"


async def test_a_quote_says_what_each_way_to_deliver_and_to_pay_costs(gateway: Running) -> None:
    rules = settings(
        price_types=(ADULT,),
        prices=(Price(0, "adult", 2_000),),
        fees=(
            Fee("post", {"en": "Postage"}, FeeKind.DELIVERY, 500, per=FeePer.ORDER, ways=("post",)),
            Fee("card", {}, FeeKind.PAYMENT, 80, per=FeePer.ORDER, ways=("test_card",)),
            Fee("borne", {}, fixed=30, absorbed=True),
        ),
    )
    sells(gateway, rules)
    buyer = gateway.buyer_token()
    asked = {"baskets": [{"performance": 1, "lines": [[0, -1, "adult", 1]]}]}
    told = await gateway.json("POST", "/api/quote", asked | {"delivery": "post"}, buyer)
    post = {"fee": "post", "names": {"en": "Postage"}, "amount": 500}
    assert (told["total"], told["fees"]) == (2_500, [post])
    card, credit = told["ways"]
    assert (card["method"], card["total"], len(card["fees"])) == ("test_card", 2_580, 2)
    assert (credit["method"], credit["total"]) == ("store_credit", 2_500)
    # And that is what it costs.
    _, token = await held(await gateway.socket(buyer), 0)
    order = order_of(token, 0, delivery="post")
    placed = await gateway.json("POST", "/api/orders", order, buyer, expect=201)
    [way] = placed["ways"]
    assert (placed["total"], way["method"], way["total"]) == (2_500, "test_card", 2_580)
    assert (way["due"], way["fees"]) == (2_580, [{"fee": "card", "amount": 80}])
    pay = {"method": "test_card", "attempt": "1"}
    paid = await gateway.json("POST", f"/api/orders/{placed['id']}/pay", pay, buyer)
    assert (paid["order"]["paid"], paid["order"]["ways"]) == (2_580, [])


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ([FREE, -1, "staff", 1], 409, "no_price"), ([10**6, -1, "adult", 1], 422, "malformed"),
        ([-1, 0, "adult", 10**9], 422, "invalid"),
    ],
)  # fmt: skip
async def test_what_has_no_price_is_not_quoted(
    house: Running, line: list[Any], status: int, code: str
) -> None:
    asked = {"baskets": [{"performance": 1, "lines": [line]}]}
    refused = await house.json("POST", "/api/quote", asked, house.buyer_token(), expect=status)
    assert refused["code"] == code
