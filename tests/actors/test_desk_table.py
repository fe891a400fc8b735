"""Every state of an order against everything that may be asked of it, asked twice."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from msgspec.structs import replace

from engine.actors.desk import OrderDesk
from engine.commands import Channel, Hold, Line
from engine.ordering import advance
from engine.orders import (
    ExchangeRequest,
    Order,
    OrderHold,
    OrderRefused,
    OrderState,
    PlaceOrder,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.payments import Standing, start_stripe
from tests.actors.desks import ADULT, World, paid, placed, request

TILL = Channel.BOX_OFFICE
State = OrderState
Made = tuple[PlaceOrder, Order]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


# How an order comes into each state; two places of performance 1 -----------------------


async def opened(world: World, desk: OrderDesk) -> Made:
    wanted = request(await world.hold(1, 0, 1, channel=TILL), channel=TILL)
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
    return wanted, paid(await desk.pay(order.id, "cash", "first", 2 * ADULT, operator="ada"))


async def partly_back(world: World, desk: OrderDesk) -> Made:
    wanted, order = await sold(world, desk)
    return wanted, placed(await desk.refund(order.id, RefundRequest("first", (1,), "", "ada")))


async def given_back(world: World, desk: OrderDesk) -> Made:
    wanted, order = await sold(world, desk)
    return wanted, placed(await desk.refund(order.id, RefundRequest("first", (), "", "ada")))


async def exchanging(world: World, desk: OrderDesk) -> Made:
    """The second line for two others, which cost more."""
    wanted, order = await sold(world, desk)
    return wanted, placed(await desk.exchange(order.id, await others(world, 5, 6)))


async def exchanged(world: World, desk: OrderDesk) -> Made:
    wanted, order = await sold(world, desk)
    return wanted, placed(await desk.exchange(order.id, await others(world, 5)))


async def others(world: World, *seats: int) -> ExchangeRequest:
    return ExchangeRequest("others", (2,), await world.hold(2, *seats, channel=TILL), "ada")


async def cancelled(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    return wanted, placed(await desk.cancel(order.id))


async def expired(world: World, desk: OrderDesk) -> Made:
    wanted, order = await opened(world, desk)
    world.now_ms = order.expires_ms
    refused = await desk.pay(order.id, "cash", "first", 2 * ADULT, operator="ada")
    assert isinstance(refused, OrderRefused)
    found = await desk.get(order.id)
    assert found is not None
    return wanted, found


async def failed(world: World, desk: OrderDesk) -> Made:
    """Its money came after all, and the provider that has to give it back does not answer."""
    wanted, order = await cancelled(world, desk)
    late = start_stripe(f"{order.id}-late", order.id, 1, 2 * ADULT, "EUR", world.now_ms)
    late = replace(late, captured=2 * ADULT, intent="pi", standing=Standing.CLOSED)
    owed = advance(replace(order, state=State.FAILED, payments=(late,)))
    [kept] = await world.orders.save([owed])
    await desk.close()
    return wanted, kept


MADE = {
    State.OPEN: opened,
    State.AWAITING_APPROVAL: to_approve,
    State.AWAITING_PAYMENT: to_pay,
    State.PAID: sold,
    State.PART_REFUNDED: partly_back,
    State.REFUNDED: given_back,
    State.EXCHANGING: exchanging,
    State.EXCHANGED: exchanged,
    State.CANCELLED: cancelled,
    State.EXPIRED: expired,
    State.FAILED: failed,
}


# What may be asked ---------------------------------------------------------------------

Ask = Callable[[OrderDesk, Made], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "place": lambda desk, made: desk.place(made[0]),
    "cash": lambda desk, made: desk.pay(made[1].id, "cash", "a", 9_000, operator="ada"),
    "part": lambda desk, made: desk.pay(made[1].id, "cash", "a", 500, operator="ada", amount=500),
    "credit": lambda desk, made: desk.pay(made[1].id, "store_credit", "a", reference="no code"),
    "reserve": lambda desk, made: desk.reserve(made[1].id, Terms(TermsKind.INVOICE), "ada"),
    "approve": lambda desk, made: desk.approve(made[1].id),
    "cancel": lambda desk, made: desk.cancel(
        made[1].id, "others" if made[1].exchange is not None else ""
    ),
    "refund": lambda desk, made: desk.refund(made[1].id, RefundRequest("r", (), "", "ada")),
    "refund a line": lambda desk, made: desk.refund(
        made[1].id, RefundRequest("r", (2,), "", "ada")
    ),
    "refund an amount": lambda desk, made: desk.refund(
        made[1].id, RefundRequest("r", (), "", "ada", 700)
    ),
    "keep as credit": lambda desk, made: desk.refund(
        made[1].id, RefundRequest("r", (), "", "ada", to_credit=True)
    ),
    "reissue": lambda desk, made: desk.reissue(made[1].id, "n", (), "ada"),
    "print": lambda desk, made: desk.print_tickets(made[1].id, "p", (), "ada"),
    "undo": lambda desk, made: desk.refund(
        made[1].id, RefundRequest("u", (), "", "ada", unprinted=True)
    ),
    "exchange": lambda desk, made: desk.exchange(made[1].id, PRICIER),
    "another price": lambda desk, made: desk.exchange(made[1].id, AS_CHILD),
}
PRICIER = ExchangeRequest(
    "e", (1,), OrderHold(2, f"{77:032x}", (Line(0, -1, "adult"), Line(1, -1, "adult"))), "ada"
)
AS_CHILD = ExchangeRequest("c", (1,), OrderHold(1, "", (Line(0, -1, "child"),)), "ada")
SELLABLE = {
    "cash": State.PAID, "part": State.AWAITING_PAYMENT, "credit": "credit_unknown",
    "refund": "nothing_to_refund", "refund a line": "nothing_to_refund",
    "refund an amount": "nothing_to_refund", "keep as credit": "nothing_to_refund",
    "reissue": "line_not_sold", "cancel": State.CANCELLED, "exchange": "order_closed",
    "print": "line_not_sold", "undo": "nothing_to_refund", "another price": "order_closed",
}  # fmt: skip
OVER = {
    "cash": "order_closed", "part": "order_closed", "credit": "order_closed",
    "reserve": "order_closed", "approve": "order_closed", "cancel": "order_closed",
    "refund": "nothing_to_refund", "refund a line": "nothing_to_refund",
    "refund an amount": "nothing_to_refund", "keep as credit": "nothing_to_refund",
    "reissue": "line_not_sold", "exchange": "order_closed", "print": "line_not_sold",
    "undo": "nothing_to_refund", "another price": "order_closed",
}  # fmt: skip
TICKETED = {
    "cash": "order_closed", "part": "order_closed", "credit": None,
    "reserve": "order_closed", "approve": "order_closed", "cancel": "order_closed",
    "refund": State.REFUNDED, "refund an amount": State.PART_REFUNDED,
    "keep as credit": State.REFUNDED, "reissue": None, "exchange": State.EXCHANGING,
    "print": None, "undo": State.REFUNDED, "another price": State.EXCHANGED,
}  # fmt: skip
# What is asked of an order in a state: its state then (None: as before), or the refusal's code.
TABLE: dict[OrderState, dict[str, OrderState | str | None]] = {
    State.OPEN: SELLABLE | {
        "place": None, "reserve": State.AWAITING_PAYMENT, "approve": "order_closed",
    },
    State.AWAITING_APPROVAL: SELLABLE | {
        "place": None, "part": None, "credit": "not_approved", "reserve": "order_closed",
        "approve": State.AWAITING_PAYMENT,
    },
    State.AWAITING_PAYMENT: SELLABLE | {
        "place": None, "part": None, "reserve": "order_closed", "approve": None,
    },
    State.PAID: TICKETED | {"place": None, "refund a line": State.PART_REFUNDED},
    State.PART_REFUNDED: TICKETED | {
        # Its first line is gone.
        "place": None, "refund a line": State.REFUNDED, "exchange": "line_not_sold",
        "another price": "line_not_sold",
    },
    State.EXCHANGING: OVER | {
        "place": None, "cash": State.EXCHANGED, "part": "part_not_offered",
        "credit": "credit_unknown", "cancel": State.PAID, "reissue": None, "print": None,
    },
    State.EXCHANGED: TICKETED | {
        # Its second line is gone.
        "place": None, "refund a line": "line_not_sold",
    },
    State.REFUNDED: OVER | {"place": None},
    State.CANCELLED: OVER | {"place": None, "cancel": None},
    State.EXPIRED: OVER | {"place": None, "cancel": None},
    State.FAILED: OVER | {"place": None},
}  # fmt: skip


def test_the_table_is_whole() -> None:
    # While an order is being sold it is nobody's to change: what is asked waits until it is.
    assert TABLE.keys() == MADE.keys() == set(State) - {State.SELLING}
    assert {state: set(row) for state, row in TABLE.items()} == {
        state: set(ASKED) for state in TABLE
    }


@pytest.mark.parametrize("state", TABLE)
@pytest.mark.parametrize("what", ASKED)
async def test_what_is_asked_of_an_order_in_each_state(
    world: World, state: OrderState, what: str
) -> None:
    made = await MADE[state](world, world.desk())
    assert made[1].state is state
    token = bytes.fromhex(PRICIER.hold.token)
    await world.ask(2, Hold(token, token, "somebody", TILL, (0, 1)))
    desk = world.desk()
    wanted = TABLE[state][what]
    before = await world.orders.get(made[1].id)
    for _ in range(2):  # and asked again it is answered the same
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
