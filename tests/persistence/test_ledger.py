"""The ledger: what is recorded of an order, without gaps, with the order or not at all."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import structs
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from engine.ledger import NO_TAX, Record
from engine.ledger_check import Findings, PeriodReader, RecordReader
from engine.ledger_periods import Period, PeriodKind, read_period, totals_of
from engine.orders import Charge, LineFee, LineState, Order, OrderRefund, OrderState
from engine.payments import Payment, PaymentMethod, Refund, RefundState, Standing
from persistence import ledger as ledger_module
from persistence.ledger import Ledger
from persistence.orders import OrderConflict, Orders
from persistence.url import sqlalchemy_url
from tests.persistence.houses import Opened
from tests.persistence.test_orders import new_order

DAY_MS = 24 * 3_600_000
NOON_MS = 1_795_172_400_000
"""2026-11-20T12:00 in Paris."""


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


class Books:
    """Orders and their ledger, at a time of our own."""

    def __init__(self, url: str, opened: Opened) -> None:
        self.url = url
        self.clock = Clock()
        self.house = opened.organiser
        self.performance = opened.first
        self.engine: AsyncEngine = create_async_engine(sqlalchemy_url(url), pool_size=3)
        self.orders = Orders(self.engine, self.clock)
        self.ledger = Ledger(self.engine, self.clock)

    async def save(self, order: Order, **changes: Any) -> Order:
        [saved] = await self.orders.save([structs.replace(order, **changes)])
        return saved

    async def sell(self, *seats: int, method: PaymentMethod = PaymentMethod.CASH) -> Order:
        """Place, pay and confirm: what the desk saves."""
        order = await self.save(new_order(self.performance, *seats))
        payment = Payment(
            id=f"{order.id}-1",
            order=order.id,
            method=method,
            amount=order.total,
            currency="EUR",
            captured=order.total,
            given=order.total if method is PaymentMethod.CASH else 0,
            reference="" if method is PaymentMethod.CASH else "T-77",
        )
        order = await self.save(order, state=OrderState.SELLING, payments=(payment,))
        lines = tuple(
            structs.replace(line, state=LineState.SOLD, ticket=line.number) for line in order.lines
        )
        confirmed = structs.replace(payment, standing=Standing.CONFIRMED)
        return await self.save(order, state=OrderState.PAID, lines=lines, payments=(confirmed,))

    async def refund(self, order: Order, *lines: int) -> Order:
        refund = OrderRefund("r1", lines, "ill", "ada", 1, done=True, undone=lines)
        amount = sum(line.amount for line in order.lines if line.number in lines)
        [payment] = order.payments
        back = Refund("r1", amount, RefundState.SUCCEEDED)
        return await self.save(
            order,
            refunds=(refund,),
            lines=tuple(
                structs.replace(line, state=LineState.REFUNDED) if line.number in lines else line
                for line in order.lines
            ),
            payments=(structs.replace(payment, refunds=(back,)),),
        )

    async def records(self) -> list[Record]:
        return (await self.ledger.records(self.house, 0))[1]

    async def periods(self) -> list[Period]:
        return [read_period(one.body) for one in (await self.ledger.periods(self.house, 0))[1]]

    async def verify(self) -> Findings:
        """As whoever audits does it: everything is read, nothing believed."""
        found = Findings()
        head, closed = await self.ledger.periods(self.house, 0)
        if head is None:
            return found
        periods = PeriodReader(found, signed, head.key)
        for one in closed:
            periods.read(one)
        periods.end(head)
        head, records = await self.ledger.records(self.house, 0)
        assert head is not None
        reader = RecordReader(found, periods.days)
        for record in records:
            reader.read(record)
        reader.end(head)
        return found

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(sa.text(statement), values)


def signed(key: str, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.fixture
async def books(database_url: str, opened: Opened) -> AsyncIterator[Books]:
    made = Books(database_url, opened)
    yield made
    await made.engine.dispose()


def told(records: list[Record]) -> list[tuple[str, int, int]]:
    return [(one.kind, one.line, one.amount) for one in records]


# What is recorded ----------------------------------------------------------------------


async def test_a_sale_and_a_refund_are_recorded_with_their_money(books: Books) -> None:
    order = await books.sell(3, 4)
    await books.refund(order, 2)
    records = await books.records()
    assert told(records) == [
        ("payment", 0, 4_000),
        ("sale", 1, 2_000),
        ("sale", 2, 2_000),
        ("refund", 2, -2_000),
        ("repayment", 0, -2_000),
    ]
    assert [one.number for one in records] == [1, 2, 3, 4, 5]
    assert {(one.order, one.currency, one.at_ms) for one in records} == {
        (order.number, "EUR", NOON_MS)
    }
    payment, sale, _, refund, repayment = records
    assert (payment.method, payment.performance) == ("cash", -1)
    assert (sale.price_type, sale.ticket, sale.channel) == ("full", 1, "web")
    assert (refund.operator, refund.ref, repayment.ref) == ("ada", "r1", "r1")
    assert order.id not in str(records), "an order's id opens its page"
    assert (await books.verify()).kept == []


async def test_nothing_is_recorded_of_an_order_that_only_waits(books: Books) -> None:
    order = await books.save(new_order(books.performance, 5))
    assert await books.ledger.head(books.house) is None
    lines = tuple(structs.replace(one, state=LineState.CANCELLED) for one in order.lines)
    await books.save(order, state=OrderState.CANCELLED, lines=lines)
    assert told(await books.records()) == [("cancellation", 0, 0)]


async def test_a_repayment_that_bounces_is_recorded_as_money_that_is_here_again(
    books: Books,
) -> None:
    order = await books.refund(await books.sell(3), 1)
    [payment] = order.payments
    bounced = Refund("r1", 2_000, RefundState.FAILED)
    await books.save(order, payments=(structs.replace(payment, refunds=(bounced,)),))
    assert told(await books.records())[-1] == ("repayment", 0, 2_000)


async def test_coins_that_do_not_exist_are_a_fact_of_their_own(books: Books) -> None:
    order = await books.save(new_order(books.performance, 5))
    payment = Payment(f"{order.id}-1", order.id, PaymentMethod.CASH, 1_998, "CHF",
                      captured=1_998, given=2_000)  # fmt: skip
    await books.save(order, state=OrderState.SELLING, payments=(payment,))
    assert [(one.kind, one.amount, one.currency) for one in await books.records()] == [
        ("payment", 1_998, "CHF"),
        ("rounding", 2, "CHF"),
    ]


async def test_a_refund_has_the_tax_rate_of_its_sale(books: Books) -> None:
    await books.execute("UPDATE house SET settings = '{\"vat_bp\": 550}'")
    order = await books.sell(3)
    await books.execute("UPDATE house SET settings = '{\"vat_bp\": 2000}'")
    await books.refund(order, 1)
    rates = {one.kind: one.tax_bp for one in await books.records()}
    assert rates == {"payment": -1, "sale": 550, "refund": 550, "repayment": -1}


async def test_what_an_order_was_sold_at_counts_and_not_what_the_house_says(
    books: Books,
) -> None:
    await books.execute("UPDATE house SET settings = '{\"vat_bp\": 2000}'")
    order = new_order(books.performance, 3, 4, 5)
    rates = (210, 0, NO_TAX)
    lines = tuple(
        structs.replace(line, tax_bp=rate, fees=(LineFee("service", 150, tax_bp=810),))
        for line, rate in zip(order.lines, rates, strict=True)
    )
    order = await books.save(structs.replace(order, lines=lines))
    sold = await books.save(
        order,
        state=OrderState.PAID,
        lines=tuple(structs.replace(one, state=LineState.SOLD, ticket=one.number) for one in lines),
    )
    allowance = Charge(1, "allowance", -100, "allowance", state=LineState.SOLD, tax_bp=210)
    sold = await books.save(sold, charges=(allowance,))
    back = tuple(structs.replace(one, state=LineState.REFUNDED) for one in sold.lines[1:])
    await books.save(sold, lines=(*sold.lines[:1], *back), state=OrderState.PART_REFUNDED)
    await books.ledger.close(books.house, early=True)
    [day] = await books.periods()
    sums = Counter[tuple[str, int]]()
    for one in day.totals:
        sums[one.kind, one.tax_bp] += one.amount
    assert sums == {
        ("sale", 210): 2_000, ("sale", 0): 2_000, ("sale", NO_TAX): 2_000,
        ("refund", 0): -2_000, ("refund", NO_TAX): -2_000,
        ("fee", 810): 150, ("allowance", 210): -100,
    }  # fmt: skip


async def test_orders_saved_at_once_by_several_leave_no_gap(books: Books) -> None:
    others = [Orders(books.engine, books.clock) for _ in range(3)]
    made = [await books.save(new_order(books.performance, seat)) for seat in range(24)]

    async def cancel(orders: Orders, order: Order) -> None:
        await orders.save([structs.replace(order, state=OrderState.CANCELLED)])

    await asyncio.gather(*(cancel(others[n % 3], order) for n, order in enumerate(made)))
    assert [one.number for one in await books.records()] == list(range(1, 25))
    assert (await books.verify()).kept == []


# Exactly once --------------------------------------------------------------------------


class Cut(Exception):
    """The writer dies here."""


@pytest.mark.parametrize("step", range(9))
async def test_a_writer_that_dies_at_any_step_neither_loses_nor_doubles_a_record(
    books: Books, step: int
) -> None:
    """Its connection is killed before the statement of that number; step 0 is none."""
    order = await books.sell(1)
    engine = create_async_engine(sqlalchemy_url(books.url), pool_size=1)
    orders = Orders(engine, books.clock)
    [payment] = order.payments
    back = Refund("r1", 2_000, RefundState.SUCCEEDED)
    changed = structs.replace(
        order,
        state=OrderState.REFUNDED,
        lines=(structs.replace(order.lines[0], state=LineState.REFUNDED),),
        payments=(structs.replace(payment, refunds=(back,)),),
    )
    asked = itertools.count(1)

    def cut(*_: Any) -> None:
        if next(asked) == step:
            raise Cut

    sa.event.listen(engine.sync_engine, "before_cursor_execute", cut)
    died = False
    try:
        await orders.save([changed])
    except Cut:
        died = True
    finally:
        sa.event.remove(engine.sync_engine, "before_cursor_execute", cut)
        await engine.dispose()
    statements = next(asked) - 1
    assert died == (1 <= step <= statements) and (died or statements == 7)
    known = await books.orders.get(order.id)
    assert known is not None and (known.revision == order.revision) == died
    if died:
        assert len(await books.records()) == 2
        await books.save(changed)  # as the desk that follows does
    else:
        with pytest.raises(OrderConflict):
            await books.save(changed)
    kinds = [one.kind for one in await books.records()]
    assert kinds == ["payment", "sale", "refund", "repayment"]
    assert (await books.verify()).kept == []


async def test_a_commit_whose_answer_is_lost_is_recorded_once(books: Books) -> None:
    order = await books.sell(1)
    engine = create_async_engine(sqlalchemy_url(books.url), pool_size=1)
    orders = Orders(engine, books.clock)
    cancelled = structs.replace(order, state=OrderState.FAILED)

    def lose(connection: Any) -> None:
        connection.connection.driver_connection.terminate()

    # After the statement of COMMIT was prepared to run: whether it ran, nobody is told.
    sa.event.listen(engine.sync_engine, "commit", lose)
    with pytest.raises((DBAPIError, Exception)):
        await orders.save([cancelled])
    await engine.dispose()
    known = await books.orders.get(order.id)
    assert known is not None
    if known.revision == order.revision:
        await books.save(cancelled)
    assert [one.kind for one in await books.records()] == ["payment", "sale", "cancellation"]


# Closed periods ------------------------------------------------------------------------


async def test_a_day_is_closed_with_its_totals_and_what_was_sold_ever(books: Books) -> None:
    await books.sell(1, 2)
    assert await books.ledger.close_due() == 0
    books.clock.now_ms += DAY_MS
    assert await books.ledger.close_due() == 1
    await books.sell(3, method=PaymentMethod.CARD_TERMINAL)
    books.clock.now_ms += DAY_MS
    assert await books.ledger.close_due() == 1
    first, second = await books.periods()
    assert (first.label, first.first, first.last) == ("2026-11-20", 1, 3)
    assert (second.label, second.first, second.last) == ("2026-11-21", 4, 5)
    assert first.until_ms == second.from_ms
    records = await books.records()
    assert first.totals == totals_of(records[:3]) and second.totals == totals_of(records[3:])
    sums = {(one.kind, one.method): one.amount for one in second.totals}
    assert sums == {("payment", "card_terminal"): 2_000, ("sale", ""): 2_000}
    assert {one.kind: one.amount for one in second.perpetual} == {"payment": 6_000, "sale": 6_000}
    assert (await books.verify()).kept == []


async def test_months_and_years_are_closed_with_their_last_day(books: Books) -> None:
    await books.sell(1)
    books.clock.now_ms += 45 * DAY_MS
    await books.sell(2)
    await books.ledger.close_due()
    periods = await books.periods()
    labels = [one.label for one in periods if one.kind is not PeriodKind.DAY]
    assert labels == ["2026-11", "2026-12", "2026"]
    days = [one for one in periods if one.kind is PeriodKind.DAY]
    assert days[-1].label == "2027-01-03" and len(days) == 45
    november, _, year = [one for one in periods if one.kind is not PeriodKind.DAY]
    assert (november.first, november.last, november.from_ms) == (1, 2, days[0].from_ms)
    assert year.totals == november.totals
    assert periods.index(year) == periods.index(days[-3]) - 1
    assert await books.ledger.close_due() == 0
    assert (await books.verify()).kept == []


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-20", 24)]
)
async def test_days_are_those_of_the_houses_clocks(books: Books, day: str, hours: int) -> None:
    from zoneinfo import ZoneInfo

    from persistence.ledger_days import begin_ms

    begins_ms = begin_ms(day, ZoneInfo("Europe/Paris"))
    books.clock.now_ms = begins_ms
    await books.sell(1)
    books.clock.now_ms = begins_ms + hours * 3_600_000 - 1
    await books.sell(2)
    assert await books.ledger.close_due() == 0
    books.clock.now_ms += 1
    await books.sell(3)
    assert await books.ledger.close_due() == 1
    [period] = await books.periods()
    assert (period.label, period.last) == (day, 4)
    assert period.until_ms - period.from_ms == hours * 3_600_000


async def test_what_comes_late_goes_to_the_open_day(books: Books) -> None:
    await books.sell(1)
    [closed] = await books.ledger.close(books.house, early=True)
    assert await books.ledger.close(books.house, early=True) == [], "tomorrow is not closed today"
    books.clock.now_ms -= 3_600_000  # a clock that is set back changes nothing
    await books.sell(2)
    books.clock.now_ms += 2 * DAY_MS
    await books.ledger.close_due()
    today, tomorrow = await books.periods()
    assert read_period(closed.body) == today
    assert (today.label, today.last) == ("2026-11-20", 2)
    assert (tomorrow.label, tomorrow.first, tomorrow.last) == ("2026-11-21", 3, 4)
    assert (await books.records())[2].at_ms >= today.until_ms
    assert (await books.verify()).kept == []


async def test_a_day_without_sales_is_closed_too(books: Books) -> None:
    await books.sell(1)
    books.clock.now_ms += 3 * DAY_MS
    await books.ledger.close_due()
    periods = await books.periods()
    assert [(one.first, one.last) for one in periods] == [(1, 2), (3, 2), (3, 2)]
    assert periods[-1].perpetual == periods[0].perpetual and periods[-1].totals == ()
    assert (await books.verify()).kept == []


async def test_orders_are_saved_while_days_are_closed(books: Books) -> None:
    """Every record is in one day, whoever came first."""
    books.clock.now_ms += DAY_MS // 2 - 5

    async def sell(seat: int) -> None:
        await books.sell(seat)
        books.clock.now_ms += 1

    async def close() -> None:
        for _ in range(10):
            await books.ledger.close_due()

    await asyncio.gather(close(), *(sell(seat) for seat in range(12)))
    books.clock.now_ms += 2 * DAY_MS
    await books.ledger.close_due()
    periods = await books.periods()
    assert sum(one.last - one.first + 1 for one in periods) == 24
    assert (await books.verify()).kept == []


async def test_a_whole_year_is_closed_a_month_at_a_time(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "MAX_DAYS_PER_CLOSING", 7)
    await books.sell(1)
    books.clock.now_ms += 30 * DAY_MS
    closed = await books.ledger.close(books.house)
    assert [one.number for one in closed] == list(range(1, 32))
    assert (await books.verify()).kept == []
