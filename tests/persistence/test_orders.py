"""Orders: saved together, never over somebody else's change, found again after a crash."""

import asyncio
import itertools
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from engine.commands import Channel, Line
from engine.orders import (
    Buyer,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderState,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState
from persistence.orders import OrderConflict, words
from persistence.store import Store
from persistence.url import connect
from tests.persistence.houses import NOW_MS, Opened

_ids = itertools.count(1)


def new_order(performance: int, *seats: int, **changes: Any) -> Order:
    order = Order(
        id=f"{next(_ids):032x}",
        number=0,
        state=OrderState.OPEN,
        channel=Channel.WEB,
        currency="EUR",
        total=2_000 * len(seats),
        created_ms=NOW_MS,
        expires_ms=NOW_MS + 900_000,
        buyer=Buyer("Éléonore d'Aquitaine", "eleonore@poitiers.example", "fr"),
        operator="",
        session="a session",
        holds=(OrderHold(performance, "ab" * 16, (Line(3, -1, "full"),)),),
        lines=tuple(
            OrderLine(number, performance, seat, -1, "full", 2_000)
            for number, seat in enumerate(seats, 1)
        ),
    )
    return structs.replace(order, **changes)


def paying(order: Order, **changes: Any) -> Payment:
    payment = Payment(
        id=f"{order.id}-1",
        order=order.id,
        method=PaymentMethod.STRIPE,
        amount=order.total,
        currency="EUR",
        reference="cs_1",
        intent="pi_1",
    )
    return structs.replace(payment, **changes)


async def test_an_order_comes_back_as_it_was_saved(store: Store, opened: Opened) -> None:
    order = new_order(opened.first, 3, 4)
    order = structs.replace(
        order,
        payments=(paying(order, refunds=(Refund("r1", 500, RefundState.PENDING),)),),
        refunds=(OrderRefund("r1", (1,), "ill", "ada", NOW_MS),),
    )
    [saved] = await store.orders.save([order])
    assert (saved.number, saved.revision) == (1001, 1)
    assert structs.replace(saved, number=0, revision=0) == order
    assert await store.orders.get(order.id) == saved
    assert await store.orders.by_intent("pi_1") == saved
    assert await store.orders.by_intent("") is None
    assert await store.orders.get("no such order") is None


async def test_many_are_saved_together_and_keep_their_places(store: Store, opened: Opened) -> None:
    first = [new_order(opened.first, seat) for seat in range(20)]
    saved = await store.orders.save(first[::-1])
    assert [order.id for order in saved] == [order.id for order in first[::-1]]
    assert len({order.number for order in saved}) == 20
    paid = [structs.replace(order, state=OrderState.SELLING) for order in saved]
    mixed = await store.orders.save([new_order(opened.first, 50), *paid])
    assert [order.revision for order in mixed] == [1] + [2] * 20
    assert [order.number for order in mixed[1:]] == [order.number for order in saved]
    assert await store.orders.save([]) == []


async def test_a_change_that_is_not_based_on_what_is_stored_is_refused_with_its_group(
    store: Store, opened: Opened
) -> None:
    mine, other = await store.orders.save([new_order(opened.first, 1), new_order(opened.first, 2)])
    theirs = structs.replace(mine, state=OrderState.CANCELLED)
    [theirs] = await store.orders.save([theirs])
    for late in (
        structs.replace(mine, state=OrderState.SELLING),
        structs.replace(mine, revision=0),  # placed a second time
        structs.replace(mine, revision=7),
    ):
        with pytest.raises(OrderConflict) as caught:
            await store.orders.save([structs.replace(other, state=OrderState.SELLING), late])
        assert caught.value.ids == (mine.id,)
    assert await store.orders.get(mine.id) == theirs
    assert await store.orders.get(other.id) == other  # nothing of the group was saved


async def test_of_two_desks_one_wins(store: Store, opened: Opened) -> None:
    [order] = await store.orders.save([new_order(opened.first, 1)])
    rivals = [
        structs.replace(order, state=state) for state in (OrderState.SELLING, OrderState.CANCELLED)
    ]
    results = await asyncio.gather(
        *(store.orders.save([rival]) for rival in rivals), return_exceptions=True
    )
    assert {type(result) for result in results} == {list, OrderConflict}


async def test_an_order_is_saved_once_in_a_transaction(store: Store, opened: Opened) -> None:
    order = new_order(opened.first, 1)
    with pytest.raises(ValueError, match="once"):
        await store.orders.save([order, order])


async def test_lines_and_payments_follow_the_order(
    store: Store, opened: Opened, database_url: str
) -> None:
    order = new_order(opened.first, 3, 4)
    [order] = await store.orders.save([structs.replace(order, payments=(paying(order),))])
    sold = structs.replace(
        order,
        state=OrderState.PAID,
        lines=tuple(
            # Its seat is another where its own was lost.
            structs.replace(line, seat=line.seat + 5, state=LineState.SOLD, ticket=line.number + 10)
            for line in order.lines
        ),
        payments=(paying(order, captured=4_000),),
    )
    await store.orders.save([sold])
    connection = await connect(database_url)
    lines = await connection.fetch("SELECT seat, state, ticket FROM order_lines ORDER BY number")
    money = await connection.fetch("SELECT state, captured, refunded, intent FROM payments")
    await connection.close()
    assert [tuple(line) for line in lines] == [(8, "sold", 11), (9, "sold", 12)]
    assert [tuple(payment) for payment in money] == [("paid", 4_000, 0, "pi_1")]


async def test_the_database_refuses_states_and_sums_that_cannot_be(
    store: Store, opened: Opened, database_url: str
) -> None:
    await store.orders.save([new_order(opened.first, 3)])
    connection = await connect(database_url)
    for change in ("state = 'lost'", "total = -1", "revision = 0", "channel = 'street'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE orders SET {change}")
    await connection.close()


async def test_unfinished_orders_are_those_with_a_step_left(store: Store, opened: Opened) -> None:
    def refund(state: RefundState) -> tuple[Payment, ...]:
        return (paying(new_order(opened.first, 1), refunds=(Refund("r", 1, state),)),)

    going_on = [
        new_order(opened.first, 1),
        new_order(opened.first, 1, state=OrderState.SELLING),
        new_order(
            opened.first,
            1,
            state=OrderState.PAID,
            refunds=(OrderRefund("r", (1,), "", "", NOW_MS),),
        ),
        new_order(opened.first, 1, state=OrderState.PAID, payments=refund(RefundState.REQUESTED)),
    ]
    over = [
        new_order(opened.first, 1, state=OrderState.PAID),
        new_order(opened.first, 1, state=OrderState.CANCELLED),
        new_order(opened.first, 1, state=OrderState.REFUNDED),
        new_order(
            opened.first,
            1,
            state=OrderState.PAID,
            refunds=(OrderRefund("r", (1,), "", "", NOW_MS, done=True),),
        ),
        new_order(opened.first, 1, state=OrderState.PAID, payments=refund(RefundState.SUCCEEDED)),
    ]
    saved = await store.orders.save([*going_on, *over])
    found = await store.orders.unfinished()
    assert {order.id for order in found} == {order.id for order in going_on}
    done = [structs.replace(order, state=OrderState.CANCELLED) for order in saved[:2]]
    await store.orders.save(done)
    assert len(await store.orders.unfinished()) == 2


async def test_a_session_has_its_own_orders_newest_first(store: Store, opened: Opened) -> None:
    mine = [new_order(opened.first, seat, session="mine") for seat in (1, 2)]
    await store.orders.save([mine[0], new_order(opened.first, 9, session="theirs")])
    await store.orders.save([mine[1], new_order(opened.first, 8, session="")])
    found = await store.orders.by_session("mine")
    assert [order.id for order in found] == [mine[1].id, mine[0].id]
    assert await store.orders.by_session("") == []


async def test_a_name_with_a_character_that_cannot_be_kept_loses_that_character(
    store: Store, opened: Opened
) -> None:
    buyer = Buyer("Ada\0 \\u0000 Lovelace", "ada@\0example", "en")
    [saved] = await store.orders.save([new_order(opened.first, 1, buyer=buyer)])
    assert saved.buyer == Buyer("Ada \\u0000 Lovelace", "ada@example", "en")
    assert await store.orders.get(saved.id) == saved


async def test_what_a_provider_sends_twice_is_kept_once(store: Store, database_url: str) -> None:
    event = store.orders.provider_event
    assert await event("stripe", "evt_1", b"{}", NOW_MS)
    assert not await event("stripe", "evt_1", b"{}", NOW_MS + 1)
    assert await event("other", "evt_1", b"\x00\xff", NOW_MS)


async def test_a_lost_connection_is_replaced(
    store: Store, opened: Opened, database_url: str
) -> None:
    [order] = await store.orders.save([new_order(opened.first, 1)])
    connection = await connect(database_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
    assert await store.orders.get(order.id) == order


async def test_more_callers_than_connections_are_served_in_turn(store: Store) -> None:
    found = await asyncio.gather(*(store.orders.unfinished() for _ in range(50)))
    assert found == [[]] * 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Éléonore  D'AQUITAINE", ["eleonore", "d'aquitaine", "d", "aquitaine"]),
        ("Ada.Byron@Example.org", ["ada.byron@example.org", "ada", "byron", "example", "org"]),
        ("Straße ﬁn", ["strasse", "fin"]),
        ("Anna Anna", ["anna"]),
    ],
)
def test_words_by_which_a_buyer_is_found(text: str, expected: list[str]) -> None:
    assert words(text) == expected
