"""The order desk with gift cards: they are there once they are paid, and once only."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from engine import credit
from engine.actors.desk import OrderDesk
from engine.commands import Channel
from engine.gift_cards import MAX_AMOUNT, MAX_PER_ORDER, MIN_AMOUNT, gift_cards_of
from engine.ordering import advance
from engine.orders import (
    DeskRefusal,
    LineState,
    Order,
    OrderRefused,
    OrderState,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.payments import Standing, start_stripe
from tests.actors.desks import ADULT, World, gift_cards, paid, placed, request
from tests.actors.shops import Shop, shop_of
from tests.actors.test_desk_table import ASKED, OVER, SELLABLE, TICKETED, Made

TILL = Channel.BOX_OFFICE
State = OrderState
ALL = RefundRequest("r", (), "", "ada")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def bought(world: World, desk: OrderDesk, *amounts: int) -> Order:
    order = placed(await desk.place(gift_cards(*amounts)))
    assert (order.state, order.total, order.seller) == (State.OPEN, sum(amounts), 1)
    return paid(await desk.pay(order.id, "cash", "a", sum(amounts), operator="ada"))


async def spend(world: World, desk: OrderDesk, code: str, *seats: int) -> Order:
    order = placed(await desk.place(request(await world.hold(2, *seats))))
    answer = await desk.pay(order.id, "store_credit", "a", reference=code)
    return paid(answer)


async def test_a_gift_card_is_there_once_it_is_paid_and_buys_places(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(gift_cards(5_000, 1_500)))
    first, second = gift_cards_of(order)
    assert world.orders.credits.balances == {}
    refused = await desk.pay(order.id, "store_credit", "z", reference=first.code)
    assert refused == OrderRefused(DeskRefusal.CREDIT_UNKNOWN), "it is not paid yet"
    order = paid(await desk.pay(order.id, "card_terminal", "a", 0, "4711", "ada"))
    assert (order.state, order.due, order.value) == (State.PAID, 0, 0)
    assert world.orders.credits.balances == {first.code: 5_000, second.code: 1_500}
    assert first.code != second.code
    spent = await spend(world, desk, first.code, 0, 1)
    assert (spent.state, world.orders.credits.balances[first.code]) == (State.PAID, 1_000)
    assert await world.violations() == []


@pytest.mark.parametrize(
    ("amounts", "why"),
    [
        ((MIN_AMOUNT - 1,), "500 to 100000"),
        ((MAX_AMOUNT + 1,), "500 to 100000"),
        ((-500,), "500 to 100000"),
        ((500,) * (MAX_PER_ORDER + 1), "20 at most"),
        ((), "baskets: 1 to"),
    ],
)
async def test_what_is_no_gift_card(world: World, amounts: tuple[int, ...], why: str) -> None:
    refused = await world.desk().place(gift_cards(*amounts))
    assert isinstance(refused, OrderRefused) and why in refused.detail
    nowhere = await world.desk().place(gift_cards(500, performance=-1))
    assert isinstance(nowhere, OrderRefused) and nowhere.code == "malformed"


async def test_asked_twice_it_is_one_order_and_of_other_amounts_none(world: World) -> None:
    desk = world.desk()
    wanted = gift_cards(5_000)
    order = placed(await desk.place(wanted))
    assert placed(await desk.place(wanted)) == order
    other = await desk.place(replace(wanted, gift_cards=(6_000,)))
    assert isinstance(other, OrderRefused) and other.code == "id_reused"


async def test_places_and_a_gift_card_in_one_order(world: World) -> None:
    """Sold all or none; the place alone may be paid from a credit, and goes back alone."""
    desk = world.desk()
    code = gift_cards_of(await bought(world, desk, 1_500))[0].code
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(gift_cards(5_000, baskets=(hold,))))
    assert (order.total, order.performance, order.seller) == (5_000 + ADULT, -1, 1)
    part = paid(await desk.pay(order.id, "store_credit", "c", reference=code))
    assert (part.due, part.state) == (5_000 + 500, State.OPEN)
    order = paid(await desk.pay(order.id, "cash", "a", 5_500, operator="ada"))
    [card] = gift_cards_of(order)
    assert world.orders.credits.balances == {code: 0, card.code: 5_000}
    assert len(await world.tickets()) == 1
    back = placed(await desk.refund(order.id, RefundRequest("l", (1,), "", "ada")))
    assert (back.state, back.paid, back.due) == (State.PART_REFUNDED, 5_000, 0)
    assert world.orders.credits.balances[card.code] == 5_000
    rest = placed(await desk.refund(order.id, ALL))
    assert (rest.state, rest.paid) == (State.REFUNDED, 0)
    assert world.orders.credits.balances[card.code] == 0
    assert await world.violations() == []


async def test_a_gift_card_of_lost_seats_never_comes_into_being(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(gift_cards(5_000, baskets=(hold,))))
    await world.lose(order, hold)
    answer = await desk.pay(order.id, "cash", "a", 7_000, operator="ada")
    assert answer == OrderRefused(DeskRefusal.GIVE_MONEY_BACK)
    [stored] = world.orders.all
    assert {one.state for one in stored.charges} == {LineState.CANCELLED}
    assert world.orders.credits.balances == {} and stored.paid == 0
    assert await world.violations() == []


async def test_what_is_not_spent_goes_back_and_cannot_be_spent_any_more(world: World) -> None:
    desk = world.desk()
    order = await bought(world, desk, 5_000)
    code = order.charges[0].card
    await spend(world, desk, code, 0)
    back = placed(await desk.refund(order.id, ALL))
    assert placed(await desk.refund(order.id, ALL)) == back, "asked twice, it is given back once"
    assert (back.state, back.paid, back.due) == (State.PART_REFUNDED, ADULT, 0)
    assert back.refunds[0].gift_cards == ((1, 3_000),)
    assert world.orders.credits.balances == {code: 0}
    late = placed(await desk.place(request(await world.hold(2, 5))))
    refused = await desk.pay(late.id, "store_credit", "a", reference=code)
    assert refused == OrderRefused(DeskRefusal.CREDIT_TOO_SMALL, "0")
    paid(await desk.pay(late.id, "test_card", "b"))
    more = await desk.refund(order.id, RefundRequest("r2", (), "", "ada"))
    assert more == OrderRefused(DeskRefusal.GIFT_CARD_SPENT)
    assert await world.violations() == []


async def test_money_of_a_place_that_it_paid_returns_to_it(world: World) -> None:
    desk = world.desk()
    order = await bought(world, desk, 5_000)
    code = order.charges[0].card
    spent = await spend(world, desk, code, 0)
    placed(await desk.refund(order.id, ALL))
    placed(await desk.refund(spent.id, ALL))
    assert world.orders.credits.balances == {code: ADULT}
    last = placed(await desk.refund(order.id, RefundRequest("r2", (), "", "ada")))
    assert (last.state, last.paid, world.orders.credits.balances) == (State.REFUNDED, 0, {code: 0})
    assert await world.violations() == []


async def spent_and_given_back(world: World) -> list[OrderRefused]:
    """A gift card is spent in the moment in which it is given back: what was refused."""
    desk = world.desk()
    order = await bought(world, desk, ADULT)
    sale = placed(await desk.place(request(await world.hold(2, 0))))
    pays = desk.pay(sale.id, "store_credit", "a", reference=order.charges[0].card)
    answers = await asyncio.gather(pays, desk.refund(order.id, ALL))
    await desk.cancel(sale.id)
    return [one for one in answers if isinstance(one, OrderRefused)]


async def test_of_a_refund_and_a_sale_at_once_one_has_the_money(world: World) -> None:
    [refused] = await spent_and_given_back(world)
    assert refused.code in ("credit_too_small", "gift_card_spent")
    assert list(world.orders.credits.balances.values()) == [0]
    assert await world.violations() == []


async def test_money_that_is_taken_back_too_late_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: the wish for a refund must take what it gives back."""
    monkeypatch.setattr(credit, "_taken_back", lambda before, after: iter(()))
    assert await spent_and_given_back(world) == []
    assert any("credit" in one for one in await world.violations())


async def test_a_sale_is_undone_until_its_card_is_printed(world: World) -> None:
    desk = world.desk()
    undo = RefundRequest("u", (), "undone", "ada", unprinted=True)
    order = await bought(world, desk, 5_000)
    undone = placed(await desk.refund(order.id, undo))
    assert (undone.state, undone.paid) == (State.REFUNDED, 0)
    other = await bought(world, desk, 5_000)
    printed = placed(await desk.print_tickets(other.id, "p", (), "ada"))
    assert printed.prints[0].gift_cards == (1,) and printed.prints[0].tickets == ()
    assert await desk.refund(other.id, undo) == OrderRefused(DeskRefusal.PRINTED)
    assert placed(await desk.refund(other.id, ALL)).state is State.REFUNDED
    assert await world.violations() == []


async def test_to_a_credit_go_places_alone(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(gift_cards(5_000, baskets=(hold,))))
    paid(await desk.pay(order.id, "cash", "a", 7_000, operator="ada"))
    back = placed(await desk.refund(order.id, RefundRequest("c", (), "", "ada", to_credit=True)))
    assert (back.state, back.paid, back.value) == (State.PART_REFUNDED, 7_000, 0)
    assert sorted(world.orders.credits.balances.values()) == [ADULT, 5_000]
    asked = RefundRequest("d", (), "", "ada", to_credit=True, gift_cards=(1,))
    refused = await desk.refund(order.id, asked)
    assert isinstance(refused, OrderRefused) and refused.code == "malformed"
    assert await world.violations() == []


async def test_a_deposit_and_the_rest(world: World) -> None:
    """The card waits for all of its money; given up, it never is."""
    desk = world.desk()
    order = placed(await desk.place(gift_cards(5_000)))
    part = paid(await desk.pay(order.id, "cash", "a", 1_000, operator="ada", amount=1_000))
    assert (part.state, part.due) == (State.AWAITING_PAYMENT, 4_000)
    assert world.orders.credits.balances == {} and await world.violations() == []
    done = paid(await desk.pay(order.id, "cheque", "b", 0, "77", "ada"))
    assert done.state is State.PAID
    assert list(world.orders.credits.balances.values()) == [5_000]
    other = placed(await desk.place(gift_cards(6_000)))
    paid(await desk.pay(other.id, "cash", "a", 1_000, operator="ada", amount=1_000))
    given_up = placed(await desk.cancel(other.id))
    assert (given_up.paid, len(world.orders.credits.balances)) == (0, 1)
    assert await world.violations() == []


async def test_a_called_off_reservation_leaves_its_gift_card_to_be_paid(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(gift_cards(5_000, baskets=(hold,))))
    terms = Terms(TermsKind.PICK_UP, until_ms=world.now_ms + 100_000)
    placed(await desk.reserve(order.id, terms, "ada"))
    off = RefundRequest("cancelled-1", (1,), "", "ada", called_off=True)
    left = placed(await desk.refund(order.id, off))
    assert (left.state, left.due) == (State.AWAITING_PAYMENT, 5_000)
    done = paid(await desk.pay(order.id, "cash", "a", 5_000, operator="ada"))
    assert (done.state, list(world.orders.credits.balances.values())) == (State.PAID, [5_000])
    assert await world.violations() == []


async def test_a_cancelled_performance_leaves_a_gift_card_what_it_is(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(gift_cards(5_000, baskets=(hold,))))
    paid(await desk.pay(order.id, "cash", "a", 7_000, operator="ada"))
    off = RefundRequest("cancelled-1", (1,), "", "ada", called_off=True)
    left = placed(await desk.refund(order.id, off))
    assert (left.state, left.paid) == (State.PART_REFUNDED, 5_000)
    assert list(world.orders.credits.balances.values()) == [5_000]
    assert await world.violations() == []


async def test_paid_on_a_page_that_says_what_it_is_for(world: World) -> None:
    async with shop_of(world, Shop) as shop:
        hold = await world.hold(1, 0)
        wanted = gift_cards(5_000, channel=Channel.WEB, operator="", baskets=(hold,))
        for order in (placed(await shop.desk.place(wanted)), await alone(shop)):
            session = await shop.page(order)
            items = shop.server.sessions[session]["_form"]["line_items"].values()
            told = {one["price_data"]["product_data"]["name"] for one in items}
            assert told == {"Performance -1"} | ({"Performance 1"} if order.lines else set())
            shop.server.pay(session)
            await shop.server.drained()
            await shop.until(order, State.PAID)
        assert list(world.orders.credits.balances.values()) == [5_000, 3_000]


async def alone(shop: Shop) -> Order:
    return placed(await shop.desk.place(gift_cards(3_000, channel=Channel.WEB, operator="")))


# Every state against everything that may be asked, of gift cards alone -----------------


async def opened(world: World, desk: OrderDesk) -> Made:
    wanted = gift_cards(2_000, 2_000)
    return wanted, placed(await desk.place(wanted))


async def to_approve(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    terms = Terms(TermsKind.ON_SITE, first_ms=1_000, interval_ms=1_000)
    return wanted, placed(await desk.reserve(order.id, terms, ""))


async def to_pay(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    terms = Terms(TermsKind.PICK_UP, until_ms=world.now_ms + 1_000)
    return wanted, placed(await desk.reserve(order.id, terms, "ada"))


async def sold(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    return wanted, paid(await desk.pay(order.id, "cash", "first", 4_000, operator="ada"))


async def partly_back(world: World, desk: OrderDesk) -> Made:
    wanted, order = await sold(world, desk)
    asked = RefundRequest("first", (), "", "ada", gift_cards=(1,))
    return wanted, placed(await desk.refund(order.id, asked))


async def given_back(world: World, desk: OrderDesk) -> Made:
    wanted, order = await sold(world, desk)
    return wanted, placed(await desk.refund(order.id, RefundRequest("first", (), "", "ada")))


async def cancelled(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    return wanted, placed(await desk.cancel(order.id))


async def expired(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    world.now_ms = order.expires_ms
    refused = await desk.pay(order.id, "cash", "first", 4_000, operator="ada")
    assert isinstance(refused, OrderRefused)
    found = await desk.get(order.id)
    assert found is not None
    return wanted, found


async def failed(world: World, desk: OrderDesk) -> Made:
    wanted, order = await cancelled(world, desk)
    late = start_stripe(f"{order.id}-late", order.id, 1, 4_000, "EUR", world.now_ms)
    late = replace(late, captured=4_000, intent="pi", standing=Standing.CLOSED)
    [kept] = await world.orders.save(
        [advance(replace(order, state=State.FAILED, payments=(late,)))]
    )
    await desk.close()
    return wanted, kept


MADE = {
    State.OPEN: opened,
    State.AWAITING_APPROVAL: to_approve,
    State.AWAITING_PAYMENT: to_pay,
    State.PAID: sold,
    State.PART_REFUNDED: partly_back,
    State.REFUNDED: given_back,
    State.CANCELLED: cancelled,
    State.EXPIRED: expired,
    State.FAILED: failed,
}
NO_CREDIT = "credit_buys_no_credit"
OPEN = SELLABLE | {"credit": NO_CREDIT}
LIVE = TICKETED | {
    "place": None, "reissue": "line_not_sold", "exchange": "line_not_sold",
    "another price": "line_not_sold",
    "refund a line": "line_not_sold", "refund an amount": "more_than_value",
    "keep as credit": "nothing_to_refund",
}  # fmt: skip
TABLE: dict[OrderState, dict[str, OrderState | str | None]] = {
    State.OPEN: OPEN | {
        "place": None, "reserve": State.AWAITING_PAYMENT, "approve": "order_closed",
    },
    State.AWAITING_APPROVAL: OPEN | {
        "place": None, "part": None, "credit": "not_approved", "reserve": "order_closed",
        "approve": State.AWAITING_PAYMENT,
    },
    State.AWAITING_PAYMENT: OPEN | {
        "place": None, "part": None, "reserve": "order_closed", "approve": None,
    },
    State.PAID: LIVE,
    State.PART_REFUNDED: LIVE,
    State.REFUNDED: OVER | {"place": None},
    State.CANCELLED: OVER | {"place": None, "cancel": None},
    State.EXPIRED: OVER | {"place": None, "cancel": None},
    State.FAILED: OVER | {"place": None},
}  # fmt: skip


def test_the_table_is_whole() -> None:
    # Nothing is exchanged for a gift card, nor a gift card for anything.
    by_exchange = {State.SELLING, State.EXCHANGING, State.EXCHANGED}
    assert TABLE.keys() == MADE.keys() == set(State) - by_exchange
    assert all(row.keys() == ASKED.keys() for row in TABLE.values())


@pytest.mark.parametrize("state", TABLE)
@pytest.mark.parametrize("what", ASKED)
async def test_what_is_asked_of_gift_cards_in_each_state(
    world: World, state: OrderState, what: str
) -> None:
    desk = world.desk()
    made = await MADE[state](world, desk)
    assert made[1].state is state
    if what == "credit":
        other = await bought(world, world.desk(), 5_000)
        code = other.charges[0].card
    desk = world.desk()
    wanted = TABLE[state][what]
    before = await world.orders.get(made[1].id)
    for _ in range(2):  # and asked again it is answered the same
        if what == "credit":
            answer: object = await desk.pay(made[1].id, "store_credit", "a", reference=code)
        else:
            answer = await ASKED[what](desk, made)
        stored = await world.orders.get(made[1].id)
        assert stored is not None
        if isinstance(answer, OrderRefused):
            assert answer.code == wanted
            assert stored == before, "a refused call changes nothing"
        else:
            assert stored.state is (wanted or state)
    [line, *_] = await world.violations() or [""]
    assert not line or state is State.FAILED or "stuck" in line
