"""Another price for the same places: cheaper and dearer, refused, given up, and in the books."""

from engine.commands import (
    Channel,
    Line,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
)
from engine.ledger import FactKind, facts_of
from engine.mails import Mail, MailKind
from engine.orders import LineState, Order, OrderHold, OrderRefused, OrderState, RefundRequest
from engine.performance import Performance
from engine.settings import Fee, FeeKind, PriceType, Quota
from tests.actors.desks import ADULT, CHILD, PLAN, World, id_of, paid, placed, request, settings
from tests.actors.test_desk_exchange import bought


def priced(kind: str, *seats: int, performance: int = 1) -> OrderHold:
    return OrderHold(performance, "", tuple(Line(seat, -1, kind) for seat in seats))


def told(order: Order) -> list[tuple[int, int, str, LineState, int, int]]:
    return [
        (line.number, line.seat, line.price_type, line.state, line.ticket, line.version)
        for line in order.lines
    ]


async def shown(world: World, ticket: int, version: int) -> ScanOutcome:
    asked = Scan(id_of(0), "", "", 1, ticket, version, ScanMode.LOOK_UP)
    seen = await world.ask(1, asked)
    assert isinstance(seen, Scanned)
    return seen.result


async def test_what_is_cheaper_goes_back_and_the_ticket_stays_under_a_new_secret(
    world: World,
) -> None:
    counter = await bought(world)
    order = placed(await counter.exchange(priced("child", 1), 2, fee=100))
    assert order.state is OrderState.EXCHANGED
    assert told(order) == [
        (1, 0, "adult", LineState.SOLD, 1, 0),
        (2, 1, "adult", LineState.REFUNDED, -1, 0),
        (3, 1, "child", LineState.SOLD, 2, 1),
    ]
    assert order.payments[0].refunded == ADULT - CHILD - 100
    assert order.paid == order.worth == ADULT + CHILD + 100
    assert await shown(world, 2, 0) is ScanOutcome.REVOKED
    assert await shown(world, 2, 1) is ScanOutcome.ADMITTED
    again = await counter.exchange(priced("child", 1), 2, fee=100)
    assert again == order, "asked again, it is answered alike"
    refunded = placed(await counter.desk.refund(order.id, RefundRequest("r", (3,), "", "ada")))
    assert refunded.paid == ADULT + 100


async def test_what_is_dearer_waits_for_the_difference_and_the_old_ticket_is_good_until_then(
    world: World,
) -> None:
    counter = await bought(world, kind="child")
    order = placed(await counter.exchange(priced("adult", 0, 1), 1, 2))
    assert (order.state, order.due) == (OrderState.EXCHANGING, 2 * (ADULT - CHILD))
    assert await shown(world, 1, 0) is ScanOutcome.ADMITTED
    order = paid(await counter.desk.pay(order.id, "cash", "b", 9_000, "", "ada"))
    assert (order.state, order.paid) == (OrderState.EXCHANGED, 2 * ADULT)
    assert [line.ticket for line in order.lines] == [-1, -1, 1, 2]


async def test_to_a_credit_and_from_it(world: World) -> None:
    counter = await bought(world)
    order = placed(await counter.exchange(priced("child", 0), 1, to_credit=True))
    [card] = {one.card for one in order.charges if one.card}
    assert world.orders.credits.balances == {card: ADULT - CHILD}
    order = placed(await counter.exchange(priced("adult", 0), 3, id="y"))
    order = paid(await counter.desk.pay(order.id, "store_credit", "b", 0, card))
    assert order.state is OrderState.EXCHANGED
    assert world.orders.credits.balances == {card: 0}


async def test_places_of_an_area_one_by_one(world: World) -> None:
    counter = await bought(world)
    hold = await world.hold(1, places=3, channel=Channel.BOX_OFFICE)
    order = placed(await counter.exchange(hold, 2))  # three children for an adult
    order = paid(await counter.desk.pay(order.id, "cash", "b", 9_000, "", "ada"))
    kinds = OrderHold(1, "", (Line(-1, 0, "guest"), Line(-1, 0, "adult")))
    order = placed(await counter.exchange(kinds, 5, 4, id="y"))
    assert order.state is OrderState.EXCHANGED
    assert [(line.number, line.price_type) for line in order.lines[5:]] == [
        (6, "guest"),
        (7, "adult"),
    ]
    assert [order.lines[at].ticket for at in (3, 4, 5, 6)] == [-1, -1, 4, 5]


async def test_a_price_type_of_the_tills_alone_for_a_ticket_of_the_web(world: World) -> None:
    types = [PriceType(kind, {"en": kind}) for kind in ("adult", "child")]
    student = PriceType("guest", {"en": "guest"}, box_office_only=True)
    world.cores[1] = Performance(1, PLAN, settings(price_types=(*types, student)))
    counter = await bought(world, channel=Channel.WEB)
    buyer = await counter.exchange(priced("guest", 0), 1, channel=Channel.WEB)
    assert isinstance(buyer, OrderRefused) and buyer.code == "no_price"
    placed(await counter.exchange(priced("guest", 0), 1))


async def test_a_quota_that_is_full_when_the_money_comes_leaves_all_as_it_was(
    world: World,
) -> None:
    quota = Quota("adults", {"en": "Adults"}, 1, price_types=("adult",))
    world.cores[1] = Performance(1, PLAN, settings(quotas=(quota,)))
    counter = await bought(world, kind="child")
    order = placed(await counter.exchange(priced("adult", 0), 1))
    # Somebody else buys the last one meanwhile.
    wanted = request(await world.hold(1, 5, channel=Channel.BOX_OFFICE), channel=Channel.BOX_OFFICE)
    other = placed(await counter.desk.place(wanted))
    paid(await counter.desk.pay(other.id, "cash", "a", 9_000, "", "ada"))
    refused = await counter.desk.pay(order.id, "cash", "b", 9_000, "", "ada")
    assert isinstance(refused, OrderRefused) and refused.code == "give_money_back"
    order = await counter.now()
    assert (order.state, order.exchanges[0].refused) == (OrderState.PAID, "quota_full")
    assert order.paid == 2 * CHILD


async def test_given_up_and_out_of_time_leave_all_as_it_was(world: World) -> None:
    counter = await bought(world, kind="child")
    placed(await counter.exchange(priced("adult", 0), 1))
    order = placed(await counter.desk.cancel(counter.order.id, "x"))
    assert (order.state, order.worth) == (OrderState.PAID, 2 * CHILD)
    order = placed(await counter.exchange(priced("adult", 0), 1, id="y"))
    assert order.exchange is not None
    world.now_ms = order.exchange.expires_ms
    refused = await counter.desk.pay(order.id, "cash", "b", 9_000, "", "ada")
    assert isinstance(refused, OrderRefused)
    assert told(await counter.now())[0] == (1, 0, "child", LineState.SOLD, 1, 0)


async def test_the_price_is_that_of_the_time_when_it_was_asked_for(world: World) -> None:
    early = PriceType("adult", {"en": "adult"}, until_ms=world.now_ms + 1_000)
    types = (early, PriceType("child", {"en": "child"}))
    world.cores[1] = Performance(1, PLAN, settings(price_types=types))
    counter = await bought(world, kind="child")
    order = placed(await counter.exchange(priced("adult", 0), 1))
    world.pass_s(60)
    order = paid(await counter.desk.pay(order.id, "cash", "b", 9_000, "", "ada"))
    assert order.state is OrderState.EXCHANGED


async def test_fees_stay_once_with_a_place_that_stays(world: World) -> None:
    fees = (
        Fee("booking", {"en": "Booking"}, FeeKind.SERVICE, 100, refundable=False),
        Fee("share", {"en": "Share"}, FeeKind.SERVICE, percent_bp=1_000),
    )
    world.cores[1] = Performance(1, PLAN, settings(fees=fees))
    counter = await bought(world)
    assert counter.order.total == 2 * (ADULT + 100 + ADULT // 10)
    order = placed(await counter.exchange(priced("child", 0), 1))
    assert order.paid == order.worth == ADULT + CHILD + 200 + (ADULT + CHILD) // 10
    assert not order.charges


async def test_the_books_and_the_buyer_are_told(world: World) -> None:
    counter = await bought(world, channel=Channel.WEB)
    order = placed(await counter.exchange(priced("child", 1), 2))
    facts = facts_of(counter.order, order)
    assert [(one.kind, one.amount, one.line, one.ticket, one.price_type) for one in facts] == [
        (FactKind.REFUND, -ADULT, 2, -1, "adult"),
        (FactKind.SALE, CHILD, 3, 2, "child"),
        (FactKind.REPAYMENT, CHILD - ADULT, 0, -1, ""),
    ]
    assert world.mails(order.id).count(Mail(MailKind.EXCHANGED, "x")) == 1


async def test_what_may_not_have_another_price_is_refused_with_its_reason(world: World) -> None:
    counter = await bought(world)
    rows = [
        (priced("child", 1), (1,), "malformed"),  # another seat
        (priced("child", 0, performance=2), (1,), "malformed"),
        (priced("child", 0), (1, 2), "malformed"),
        (priced("child", 1, 0), (1, 2), "malformed"),  # not in the lines' order
        (OrderHold(1, "", (Line(0, -1, "child", 2),)), (1,), "malformed"),
        (priced("adult", 0), (1,), "malformed"),  # it has that price
        (priced("child", 7), (3,), "line_not_sold"),
        (priced("nobody", 0), (1,), "no_price"),
    ]
    for hold, lines, code in rows:
        refused = await counter.exchange(hold, *lines)
        assert isinstance(refused, OrderRefused) and refused.code == code, (hold, refused)
    await world.ask(1, Scan(id_of(8), "", "", 1, 1, 0, ScanMode.MARK))
    refused = await counter.exchange(priced("child", 0), 1)
    assert isinstance(refused, OrderRefused) and refused.code == "ticket_used"
    assert await counter.now() == counter.order
