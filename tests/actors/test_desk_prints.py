"""Prints: what was on paper before is a copy, and a sale on paper is not undone."""

from engine.commands import Channel
from engine.order_changes import MAX_PRINTS_PER_ORDER, copies
from engine.orders import ExchangeRequest, Order, OrderRefused, OrderState, RefundRequest
from tests.actors.desks import World, paid, placed, request

TILL = Channel.BOX_OFFICE


async def bought(world: World, performance: int = 1) -> Order:
    desk = world.desk()
    wanted = request(await world.hold(performance, 0, 1, channel=TILL), channel=TILL)
    order = placed(await desk.place(wanted))
    return paid(await desk.pay(order.id, "cash", "a", 9_000, "", "ada"))


async def test_a_ticket_that_was_printed_is_a_copy_the_next_time(world: World) -> None:
    desk, order = world.desk(), await bought(world)
    first = placed(await desk.print_tickets(order.id, "p1", (1,), "ada"))
    assert copies(first, "p1") == {1: 0}
    # The printer was out of paper: the same print again is no copy.
    assert placed(await desk.print_tickets(order.id, "p1", (1,), "ada")) == first
    both = placed(await desk.print_tickets(order.id, "p2", (), "bob"))
    assert copies(both, "p2") == {1: 1, 2: 0}
    # A new ticket, whose paper was lost, is none.
    placed(await desk.reissue(order.id, "n1", (1,), "ada"))
    anew = placed(await desk.print_tickets(order.id, "p3", (), "ada"))
    assert copies(anew, "p3") == {1: 0, 2: 1}
    wanted = ExchangeRequest("x", (2,), await world.hold(1, 5, channel=TILL), "ada")
    placed(await desk.exchange(order.id, wanted))
    given = await desk.print_tickets(order.id, "p4", (2,), "ada")
    assert isinstance(given, OrderRefused) and given.code == "line_not_sold"
    last = placed(await desk.print_tickets(order.id, "p4", (), "ada"))
    assert copies(last, "p4") == {1: 1, 3: 0}
    bad = await desk.print_tickets(order.id, "p_5", (), "ada")
    assert isinstance(bad, OrderRefused) and bad.code == "malformed"


async def test_a_sale_is_undone_until_a_ticket_of_it_is_printed(world: World) -> None:
    desk, order = world.desk(), await bought(world)
    undo = RefundRequest("u", (), "undone", "ada", unprinted=True)
    placed(await desk.print_tickets(order.id, "p1", (1,), "ada"))
    refused = await desk.refund(order.id, undo)
    assert isinstance(refused, OrderRefused) and refused.code == "printed"
    other = await bought(world, 2)
    undone = placed(await desk.refund(other.id, undo))
    assert (undone.state, undone.paid) == (OrderState.REFUNDED, 0)
    assert placed(await desk.refund(other.id, undo)) == undone
    # What is undone has no ticket to be printed.
    late = await desk.print_tickets(other.id, "p1", (), "ada")
    assert isinstance(late, OrderRefused) and late.code == "line_not_sold"


async def test_prints_that_are_kept_have_a_bound(world: World) -> None:
    desk, order = world.desk(), await bought(world)
    for number in range(MAX_PRINTS_PER_ORDER + 2):
        order = placed(await desk.print_tickets(order.id, f"p{number}", (), "ada"))
    assert len(order.prints) == MAX_PRINTS_PER_ORDER
    assert copies(order, f"p{MAX_PRINTS_PER_ORDER + 1}")[1] == MAX_PRINTS_PER_ORDER - 1
