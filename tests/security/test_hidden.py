"""A performance that the house hides does not exist to the public, whoever guesses its number."""

import asyncio
import secrets
from typing import Any

import pytest
from msgspec.json import encode

from engine.settings import SaleStatus
from gateway import replica as replica_module
from gateway import shown as shown_module
from tests.actors.houses import settings, small_plan
from tests.gateway.client import new_id, until
from tests.gateway.conftest import Running

HIDDEN, NOTHING = 2, 77


@pytest.fixture
async def house(gateway: Running) -> Running:
    """Performance 1 is public, performance 2 is hidden and one seat of it is sold."""
    gateway.fake.add_performance(small_plan(), settings(status=SaleStatus.HIDDEN))
    return gateway


async def watched(gateway: Running, token: str, performance: int) -> list[Any]:
    socket = await gateway.socket(token)
    await socket.send("watch", performance)
    frame: list[Any] = await socket.next("snapshot", "error")
    return frame


@pytest.mark.parametrize(
    "path", ["", "/queue", "/queue/log", "/settings", "/journal"], ids=lambda path: path or "itself"
)
async def test_http_does_not_tell_a_hidden_performance_from_none(house: Running, path: str) -> None:
    for token in ("", house.buyer_token()):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answers = []
        for number in (HIDDEN, NOTHING):
            url = f"/api/performances/{number}{path}"
            async with house.http.get(url, headers=headers) as answer:
                answers.append((answer.status, (await answer.text()).replace(str(number), "N")))
        assert answers[0] == answers[1] and answers[0][0] in (401, 403, 404)
    assert [one["id"] for one in await house.json("GET", "/api/performances")] == [1]


async def test_its_feed_is_shown_to_staff_and_to_nobody_else(house: Running) -> None:
    cashier = await house.fake.operator_token("Ada", "cashier")
    assert (await watched(house, cashier, HIDDEN))[0] == "snapshot"
    for _ in range(2):  # also while somebody of the house looks at it
        told = await watched(house, house.buyer_token(), HIDDEN)
        assert told[:2] == ["error", "performance_unknown"]
    unknown = await watched(house, house.buyer_token(), NOTHING)
    assert unknown[:2] == ["error", "performance_unknown"]
    assert unknown[2].replace(str(NOTHING), "") == told[2].replace(str(HIDDEN), "")
    assert (await watched(house, house.buyer_token(), 1))[0] == "snapshot"


async def test_a_guess_starts_no_actor(house: Running) -> None:
    polls = house.fake.performances.polls
    await watched(house, house.buyer_token(), HIDDEN)
    assert house.fake.performances.polls == polls
    await until(lambda: HIDDEN not in house.edge.hub.feeds._feeds)


@pytest.mark.parametrize("kind", ["hold", "best", "release", "basket"])
async def test_no_command_tells_a_hidden_performance_from_none(house: Running, kind: str) -> None:
    """Nor does one reach its actor, which a guess would start."""
    token = new_id()
    rest: dict[str, tuple[Any, ...]] = {"hold": ([6],), "best": (2,)}
    buyer = await house.socket()
    batches = len(house.fake.performances.batches)
    told = []
    for number in (HIDDEN, NOTHING):
        for _ in range(2):  # before it is known, and after
            answer = await buyer.ask(kind, number, token, *rest.get(kind, ()))
            told.append(repr(answer).replace(str(number), "N"))
    assert len(set(told)) == 1 and "there is no performance N" in told[0]
    assert len(house.fake.performances.batches) == batches
    assert (await buyer.ask(kind, 1, new_id(), *rest.get(kind, ())))[0] in ("held", "refused")
    assert len(house.fake.performances.batches) == batches + 1


async def test_commands_keep_their_order_while_it_is_found_out(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()
    load = house.edge.programme._load

    async def slowly(performance: int) -> Any:
        await asked.wait()
        return await load(performance)

    monkeypatch.setattr(house.edge.programme, "_load", slowly)
    buyer, token = await house.socket(), new_id()
    ids = [new_id() for _ in range(4)]
    await buyer.send("hold", ids[0], 1, token, [5])
    await buyer.send("basket", ids[1], 1, token)
    await buyer.send("release", ids[2], 1, token)
    await buyer.send("basket", ids[3], 1, token)
    await buyer.send("ping", 1)
    await buyer.next("pong")
    assert not [frame for frame in buyer.kept if frame[0] == "reply"]
    asked.set()
    replies = [await buyer.next("reply") for _ in range(4)]
    assert [frame[1] for frame in replies] == ids
    assert [frame[2][0] for frame in replies] == ["held", "basket_is", "released", "refused"]


async def test_what_nobody_knows_is_asked_again_and_what_was_known_stays(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_module, "PUBLIC_CHECK_S", 0.0)
    house.edge.programme._entries.clear()
    house.fake.catalogue.down = True
    buyer = await house.socket()
    await buyer.send("hold", new_id(), 1, new_id(), [5])
    assert (await buyer.next("shed"))[2] == "unavailable"
    house.fake.catalogue.down = False
    assert (await buyer.hold(1, 5))[0] == "held"
    house.edge.programme._entries.clear()
    house.fake.catalogue.down = True
    assert (await buyer.hold(1, 6))[0] == "held"
    house.fake.catalogue.down = False
    house.fake.catalogue.performances[1].settings = encode(settings(status=SaleStatus.HIDDEN))
    for _ in range(100):
        told = (await buyer.hold(1, 7))[:2]
        if told == ["refused", "malformed"]:
            break
        await asyncio.sleep(0.05)
    assert told == ["refused", "malformed"]


async def test_the_memory_of_what_is_public_is_bounded(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_module, "MAX_CACHED_PERFORMANCES", 5)
    buyer = await house.socket()
    for number in range(100, 140):
        await buyer.hold(number, 1)
    assert len(house.edge.hub.shown._known) <= 5


@pytest.mark.parametrize("number", [HIDDEN, NOTHING])
async def test_an_order_tells_no_hidden_performance_from_none(house: Running, number: int) -> None:
    lines = [[5, -1, "adult", 1]]
    body = {
        "id": secrets.token_hex(16),
        "baskets": [{"performance": number, "token": new_id().hex(), "lines": lines}],
    }
    told = await house.json("POST", "/api/orders", body, house.buyer_token(), expect=404)
    assert told["code"] == "performance_unknown"


async def test_who_watches_when_it_is_hidden_is_sent_away(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "PUBLIC_CHECK_S", 0.05)
    monkeypatch.setattr(house.edge.programme._entries, "_life_s", 0.0)
    socket = await house.socket()
    await socket.send("watch", 1)
    await socket.next("snapshot")
    hidden = settings(status=SaleStatus.HIDDEN)
    house.fake.catalogue.performances[1].settings = encode(hidden)
    assert (await socket.next("error"))[1] == "performance_unknown"
    staff = await house.socket(await house.fake.operator_token("Ada", "cashier"))
    await staff.hold(1, 5)
    await asyncio.sleep(0.1)
    await socket.send("ping", 1)
    await socket.next("pong")
    assert not [frame for frame in socket.kept if frame[0] in ("delta", "snapshot")]


async def test_while_nobody_knows_whether_it_is_public_outsiders_see_nothing(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.fake.catalogue.down = True
    house.edge.programme._entries.clear()
    socket = await house.socket()
    await socket.send("watch", 1)
    await asyncio.sleep(0.1)
    await socket.send("ping", 1)
    await socket.next("pong")
    assert socket.kept == []
    house.fake.catalogue.down = False
    await socket.next("snapshot")


async def test_its_sold_seats_are_not_told_by_refusals(house: Running) -> None:
    cashier = await house.socket(await house.fake.operator_token("Ada", "cashier"))
    await cashier.send("watch", HIDDEN)
    await cashier.next("snapshot")
    feed = house.edge.hub.feeds._feeds[HIDDEN]
    assert feed.replica is not None
    feed.replica.statuses[5] = 2  # sold
    buyer = await house.socket()
    for seat in (5, 6):
        assert (await buyer.hold(HIDDEN, seat))[:2] == ["refused", "malformed"]
    assert (await cashier.hold(HIDDEN, 6))[:2] == ["refused", "not_on_sale"]
    # The control: of a public performance the same picture refuses at once.
    await buyer.send("watch", 1)
    await buyer.next("snapshot")
    public = house.edge.hub.feeds._feeds[1]
    assert public.replica is not None
    public.replica.statuses[5] = 2
    assert (await buyer.hold(1, 5))[:3] == ["refused", "seat_taken", [5]]


async def test_a_device_sees_the_hidden_ones_that_it_serves(house: Running) -> None:
    serves = await house.fake.device_token("door 1", "", HIDDEN)
    other = await house.fake.device_token("door 2", "", 1)
    await house.json("GET", f"/api/performances/{HIDDEN}", token=serves)
    await house.json("GET", f"/api/performances/{HIDDEN}", token=other, expect=404)
    seen = await house.json("GET", "/api/performances", token=other)
    assert [one["id"] for one in seen] == [1]
