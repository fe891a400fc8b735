"""The outbox: kept with the order, each mail once, claimed by one sender at a time."""

import asyncio
import itertools
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import structs

from engine.mails import KEPT_MS, MAX_TRIES_KEPT, Due, MailKind, MailState
from engine.orders import Buyer, LineState, Order, OrderState, Terms, TermsKind
from persistence.mails import LEASE_MS, Mails, stop_all
from persistence.orders import OrderConflict
from persistence.rewind import rewind
from persistence.store import Store
from tests.persistence.houses import NOW_MS, Opened
from tests.persistence.test_orders import new_order

W = MailState.WAITING


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(store: Store, clock: Clock) -> Mails:
    """As the store's, at our own time."""
    store.orders._clock_ms = clock
    store.ledger._clock_ms = clock
    return Mails(store._engine, clock)


async def save(store: Store, order: Order, **changes: Any) -> Order:
    [saved] = await store.orders.save([structs.replace(order, **changes)])
    return saved


async def paid(store: Store, performance: int, *seats: int, **changes: Any) -> Order:
    order = new_order(performance, *(seats or (1,)), **changes)
    order = await save(store, order, state=OrderState.SELLING)
    lines = tuple(structs.replace(line, state=LineState.SOLD) for line in order.lines)
    return await save(store, order, state=OrderState.PAID, lines=lines)


async def kinds(outbox: Mails) -> list[tuple[int, MailKind, str, MailState]]:
    rows = await outbox.list()
    return [(row.order_number, row.kind, row.recipient, row.state) for row in rows]


async def sent(outbox: Mails, due: Due | None) -> None:
    assert due is not None
    assert await outbox.settle(due, MailState.SENT, 0, "", due.attempts)


async def test_a_mail_is_there_with_the_change_that_causes_it(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    order = await paid(store, opened.first)
    told = (order.number, MailKind.PAID, order.buyer.email, W)
    assert await kinds(outbox) == [told]
    # Saved again, or by another desk from the same state: the mail is there once.
    order = await save(store, order, total=1)
    with pytest.raises(OrderConflict):
        await save(store, order, revision=1, state=OrderState.PAID)
    assert await kinds(outbox) == [told]
    due = await outbox.claim()
    assert due is not None and due.order == order
    assert (due.kind, due.recipient, due.attempts, due.again) == (MailKind.PAID, "", 1, False)


async def test_a_save_that_is_refused_leaves_no_mail(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    order = await save(store, new_order(opened.first, 1), state=OrderState.SELLING)
    other = await save(store, new_order(opened.first, 2))
    stale = structs.replace(other, revision=7)
    with pytest.raises(OrderConflict):
        await store.orders.save([structs.replace(order, state=OrderState.PAID), stale])
    assert await kinds(outbox) == []


async def test_reminders_are_mails_of_their_own(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    terms = Terms(TermsKind.INVOICE, reminders=2)
    order = await save(store, new_order(opened.first, 1), state=OrderState.SELLING, terms=terms)
    order = await save(store, order, state=OrderState.AWAITING_PAYMENT)
    for reminded in (1, 2):
        order = await save(store, order, terms=structs.replace(terms, reminded=reminded))
    rows = await outbox.list(order=order.number)
    assert [(row.kind, row.cause) for row in rows] == [
        (MailKind.REMINDER, "2"),
        (MailKind.REMINDER, "1"),
        (MailKind.RESERVED, ""),
    ]


# Claims --------------------------------------------------------------------------


async def test_claims_go_by_age_and_nobody_has_two_of_one(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    orders = []
    for seat in range(12):
        clock.now_ms += 1
        orders.append(await paid(store, opened.first, seat))
    rival = Mails(store._engine, clock)
    claimed = await asyncio.gather(*(one.claim() for one in (outbox, rival) * 7))
    numbers = [due.order.number for due in claimed if due is not None and due.order is not None]
    assert sorted(numbers) == [order.number for order in orders]
    assert claimed.count(None) == 2


async def test_a_claim_ends_with_its_lease_and_then_settles_nothing(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    await paid(store, opened.first)
    first = await outbox.claim()
    clock.now_ms += LEASE_MS - 1
    assert await outbox.claim() is None
    clock.now_ms += 1
    second = await outbox.claim()
    assert first is not None and second is not None
    assert (second.id, second.attempts, second.again) == (first.id, 2, True)
    assert not await outbox.settle(first, MailState.FAILED, 0, "late", 1)
    assert await outbox.settle(second, MailState.SENT, 0, "", 2)
    assert not await outbox.settle(second, MailState.SENT, 0, "", 2)
    [row] = await outbox.list()
    assert (row.state, row.tries, row.due_ms, row.ended_ms) == (
        *(MailState.SENT, (), 0, clock.now_ms),
    )


async def test_a_mail_that_was_deferred_is_due_again_and_keeps_why(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    await paid(store, opened.first)
    for attempt in range(1, MAX_TRIES_KEPT + 3):
        due = await outbox.claim()
        assert due is not None and due.attempts == attempt
        reason = f"450 later {attempt}\0" + "x" * 1_000
        assert await outbox.settle(due, W, 60_000, reason, due.attempts)
        assert await outbox.claim() is None
        clock.now_ms += 60_000
    [row] = await outbox.list()
    assert len(row.tries) == MAX_TRIES_KEPT
    assert row.tries[-1].reason.startswith(f"450 later {MAX_TRIES_KEPT + 2}x")
    assert row.tries[0].reason.startswith("450 later 3x")
    assert max(len(one.reason) for one in row.tries) <= 300
    assert await outbox.waiting() == (1, NOW_MS)


async def test_what_failed_may_be_tried_again_by_a_person(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    await paid(store, opened.first)
    due = await outbox.claim()
    assert due is not None
    assert not await outbox.retry(due.id)  # somebody is at it
    assert await outbox.settle(due, MailState.FAILED, 0, "550 no", 1)
    assert await outbox.claim() is None
    clock.now_ms += 5
    assert await outbox.retry(due.id)
    again = await outbox.claim()
    assert again is not None and (again.since_ms, again.attempts) == (clock.now_ms, 2)
    assert again.created_ms == NOW_MS  # so its Message-ID is the same
    await sent(outbox, again)
    assert not await outbox.retry(due.id)
    assert not await outbox.retry(99)


async def test_tickets_may_be_sent_again_once_for_each_asking(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    order = await paid(store, opened.first)
    for cause in ("x", "x", "y"):
        row = await outbox.send_tickets(order, cause)
        assert (row.kind, row.cause, row.state) == (MailKind.TICKETS, cause, W)
    assert len(await outbox.list()) == 3


async def test_lists_are_pages_of_what_is_asked_for(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    first, second = [await paid(store, opened.first, seat) for seat in (1, 2)]
    [one] = await outbox.list(order=first.number)
    assert one.order == first.id
    assert [row.order for row in await outbox.list(limit=1)] == [second.id]
    assert [row.order for row in await outbox.list(before=(await outbox.list())[0].id)] == [
        first.id
    ]
    await sent(outbox, await outbox.claim())
    assert [row.order for row in await outbox.list(state="sent")] == [first.id]
    assert await outbox.get(one.id) == (await outbox.list(state="sent"))[0]
    assert await outbox.get(99) is None


async def test_old_mails_are_forgotten_and_what_waits_is_not(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    for seat in range(3):
        await paid(store, opened.first, seat)
    await sent(outbox, await outbox.claim())
    clock.now_ms += KEPT_MS
    assert await outbox.prune() == 0
    clock.now_ms += 1
    assert await outbox.prune() == 1
    assert [state for *_, state in await kinds(outbox)] == [W, W]


async def test_what_waits_in_a_copy_is_left_to_a_person(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    await paid(store, opened.first)
    async with store._engine.begin() as connection:
        await stop_all(connection, "restored")
    [row] = await outbox.list()
    assert (row.state, row.tries[0].reason) == (MailState.FAILED, "restored")
    assert await outbox.claim() is None
    assert await outbox.retry(row.id)


async def test_a_way_back_forgets_what_had_not_happened(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    early = await paid(store, opened.first, 1, created_ms=NOW_MS)
    clock.now_ms += 1_000
    late = await paid(store, opened.first, 2, created_ms=clock.now_ms)
    assert {row.order for row in await outbox.list()} == {early.id, late.id}
    async with store._engine.begin() as connection:
        await rewind(connection, NOW_MS + 500, lambda *told: None)
    assert [row.order for row in await outbox.list()] == [early.id]


# To the house --------------------------------------------------------------------

_SET = sa.text("UPDATE house SET settings = settings || CAST(:more AS jsonb)")
_sets = itertools.count()


async def wants(store: Store, when: str, *addresses: str) -> None:
    import json

    more = json.dumps({"sales_mail": {"to": addresses, "when": when}})
    async with store._engine.begin() as connection:
        await connection.execute(_SET, {"more": more})


async def test_the_house_is_told_of_each_sale_where_it_wants_that(
    store: Store, opened: Opened, outbox: Mails
) -> None:
    nobody = Buyer("Ada", "")
    await paid(store, opened.first, 1, buyer=nobody)
    assert await kinds(outbox) == []
    await wants(store, "at_once", "a@house.example", "b@house.example")
    order = await paid(store, opened.first, 2, buyer=nobody)
    rows = await kinds(outbox)
    assert sorted(row[1:] for row in rows) == [
        (MailKind.SALE, "a@house.example", W),
        (MailKind.SALE, "b@house.example", W),
    ]
    assert {row[0] for row in rows} == {order.number}
    await wants(store, "daily", "a@house.example")
    await paid(store, opened.first, 3, buyer=nobody)
    assert len(await kinds(outbox)) == 2


async def test_a_day_is_told_when_it_is_closed_and_something_was_sold(
    store: Store, opened: Opened, outbox: Mails, clock: Clock
) -> None:
    day_ms = 86_400_000
    await paid(store, opened.first, 1, 2)
    clock.now_ms += day_ms
    await store.ledger.close_due()
    assert [row for row in await kinds(outbox) if row[1] is MailKind.DIGEST] == []
    await wants(store, "daily", "a@house.example", "b@house.example")
    order = await paid(store, opened.second, 3)
    refunded = tuple(structs.replace(line, state=LineState.REFUNDED) for line in order.lines)
    await save(store, order, state=OrderState.REFUNDED, lines=refunded)
    clock.now_ms += 3 * day_ms
    await store.ledger.close_due()
    await store.ledger.close_due()
    told = [row for row in await outbox.list() if row.kind is MailKind.DIGEST]
    assert sorted(row.recipient for row in told) == ["a@house.example", "b@house.example"]
    assert {row.order_number for row in told} == {0}
    [number] = {int(row.cause) for row in told}
    closed = await store.ledger.period(opened.organiser, number)
    assert closed is not None
    from engine.ledger_periods import read_period

    day = read_period(closed.body)
    [sold] = await store.ledger.by_performance(opened.organiser, day.first, day.last)
    assert structs.astuple(sold) == (opened.second, "EUR", 1, 2_000, 1, -2_000)
    due = None
    while (one := await outbox.claim()) is not None:
        due = one if one.kind is MailKind.DIGEST else due
    assert due is not None and due.order is None and due.recipient
