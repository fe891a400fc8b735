"""Papers in Postgres: numbered without gaps, one for each cause, never changed; settlements."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from engine.ledger import FactKind
from engine.orders import LineFee, LineState, Order, OrderState, Terms, TermsKind
from engine.papers import (
    Paper,
    PaperKind,
    PaperRefusal,
    PaperRefused,
    PaperRow,
    by_rate,
    name_of,
    read_name,
)
from engine.payments import PaymentMethod
from engine.settlement import Settlement, rates, totals
from persistence import papers as papers_module
from persistence.orders import OrderConflict
from persistence.papers import Papers
from persistence.rewind import rewind
from persistence.url import sqlalchemy_url
from tests.fakes.papers import check_papers, wording_of
from tests.persistence.houses import Opened
from tests.persistence.test_ledger import DAY_MS, NOON_MS, Books
from tests.persistence.test_orders import new_order

FIRST, SECOND = "2026-11-20", "2026-11-21"


class Accounts(Books):
    """Books, and the papers that are made of them."""

    def __init__(self, url: str, opened: Opened) -> None:
        super().__init__(url, opened)
        self.papers = Papers(self.engine, self.clock)
        self.second = opened.second

    async def invoice(self, order: Order) -> PaperRow:
        row = await self.papers.invoice(order.id, wording_of(order))
        assert isinstance(row, PaperRow), row
        return row

    async def paper(self, name: str) -> Paper:
        found = await self.papers.get(self.house, name)
        assert isinstance(found, Paper)
        return found

    async def numbers(self, kind: PaperKind = PaperKind.INVOICE) -> list[int]:
        """Those of a kind, as they were given."""
        rows = await self.papers.issued(self.house, kind=kind)
        return [named[2] for row in rows if (named := read_name(row.name))]

    async def settled(
        self, from_day: str = FIRST, to_day: str = FIRST, performance: int = 0
    ) -> Settlement:
        found = await self.papers.settlement(self.house, from_day, to_day, performance)
        assert isinstance(found, Settlement)
        return found


@pytest.fixture
async def accounts(database_url: str, opened: Opened) -> AsyncIterator[Accounts]:
    made = Accounts(database_url, opened)
    await made.execute("UPDATE house SET settings = settings || '{\"vat_bp\": 550}'")
    yield made
    await made.engine.dispose()


def without_gaps(numbers: Sequence[int]) -> bool:
    return sorted(numbers) == list(range(1, len(numbers) + 1))


# Invoices and credit notes -------------------------------------------------------------


async def test_the_contract(accounts: Accounts) -> None:
    order = await accounts.sell(3, 4)
    refund = lambda: accounts.refund(order, 2)  # noqa: E731
    await check_papers(accounts.papers, accounts.house, order, refund)  # type: ignore[arg-type]


async def test_a_paper_keeps_what_the_house_and_the_order_were(accounts: Accounts) -> None:
    order = await accounts.sell(3, 4)
    invoice = await accounts.invoice(order)
    told = await accounts.paper(invoice.name)
    assert told.seller.address == ("1, place du Strapontin",)
    assert by_rate(told.items) == {550: 4_000}
    assert [(rate.net, rate.vat) for rate in told.rates] == [(3_791, 209)]
    assert [(one.method, one.amount) for one in told.received] == [("cash", 4_000)]
    await accounts.execute("UPDATE house SET name = 'Another', settings = '{\"vat_bp\": 2000}'")
    await accounts.refund(order, 2)
    assert await accounts.paper(invoice.name) == told
    [_, note] = await accounts.papers.of_order(order.number)
    credited = await accounts.paper(note.name)
    assert credited.seller.name == "Another"
    assert by_rate(credited.items) == {550: -2_000}, "at the rate of the sale"


async def test_what_is_not_sold_has_no_invoice_and_a_reservation_has(accounts: Accounts) -> None:
    order = await accounts.save(new_order(accounts.performance, 3))
    refused = await accounts.papers.invoice(order.id, wording_of(order))
    assert refused == PaperRefused(PaperRefusal.INVOICE_NOT_READY, "open")
    lines = tuple(structs.replace(one, state=LineState.RESERVED) for one in order.lines)
    terms = Terms(TermsKind.INVOICE, until_ms=NOON_MS + DAY_MS)
    order = await accounts.save(order, state=OrderState.AWAITING_PAYMENT, lines=lines, terms=terms)
    invoice = await accounts.paper((await accounts.invoice(order)).name)
    assert (invoice.due_ms, invoice.received) == (NOON_MS + DAY_MS, ())
    order = await accounts.save(order, state=OrderState.EXPIRED)
    gone = tuple(structs.replace(one, state=LineState.CANCELLED) for one in order.lines)
    await accounts.save(order, lines=gone)
    rows = await accounts.papers.of_order(order.number)
    assert [row.total for row in rows] == [2_000, -2_000]


async def test_what_comes_by_an_exchange_is_named_by_its_performance(accounts: Accounts) -> None:
    order = await accounts.sell(3, 4)
    await accounts.invoice(order)
    gone = structs.replace(order.lines[0], state=LineState.REFUNDED)
    comes = structs.replace(order.lines[1], number=3, performance=accounts.second, ticket=12)
    lines = (gone, order.lines[1], structs.replace(comes, amount=2_500))
    await accounts.save(order, state=OrderState.EXCHANGED, lines=lines)
    [_, more] = await accounts.papers.of_order(order.number)
    told = await accounts.paper(more.name)
    assert (more.kind, more.total) == (PaperKind.INVOICE, 500)
    [_, new] = told.items
    assert (new.label, new.ticket, new.performance) == ("Full price", 12, accounts.second)
    assert [one.title for one in told.performances] == ["The Test", "Le Misanthrope"]


async def test_a_refund_of_what_was_never_billed_makes_no_paper(accounts: Accounts) -> None:
    await accounts.refund(await accounts.sell(3, 4), 2)
    assert await accounts.papers.issued(accounts.house) == []


async def test_a_year_has_its_own_numbers_by_the_houses_clocks(accounts: Accounts) -> None:
    one, two, three = [await accounts.sell(seat) for seat in range(3)]
    midnight_ms = NOON_MS - 12 * 3_600_000 + 42 * DAY_MS
    accounts.clock.now_ms = midnight_ms - 1
    names = [(await accounts.invoice(one)).name]
    accounts.clock.now_ms = midnight_ms
    names += [(await accounts.invoice(order)).name for order in (two, three)]
    assert names == ["F2026-000001", "F2027-000001", "F2027-000002"]


async def test_no_paper_is_older_than_one_with_a_lower_number(accounts: Accounts) -> None:
    one, two = await accounts.sell(1), await accounts.sell(2)
    first = await accounts.invoice(one)
    accounts.clock.now_ms -= 3_600_000  # a clock that is set back
    second = await accounts.invoice(two)
    assert second.at_ms == first.at_ms


# Numbers -------------------------------------------------------------------------------


async def issue_at_once(accounts: Accounts, orders: Sequence[Order]) -> list[PaperRow]:
    """Four processes, each of which asks for every invoice."""
    engines = [create_async_engine(sqlalchemy_url(accounts.url), pool_size=4) for _ in range(4)]
    issuers = [Papers(engine, accounts.clock) for engine in engines]
    try:
        asked = [one.invoice(order.id, wording_of(order)) for order in orders for one in issuers]
        rows = await asyncio.gather(*asked)
    finally:
        for engine in engines:
            await engine.dispose()
    assert all(isinstance(row, PaperRow) for row in rows)
    return rows  # type: ignore[return-value]


async def test_invoices_asked_for_at_once_have_each_number_once(accounts: Accounts) -> None:
    orders = [await accounts.sell(seat) for seat in range(8)]
    rows = await issue_at_once(accounts, orders)
    assert len(rows) == 32 and len({row.name for row in rows}) == 8
    assert without_gaps(await accounts.numbers())
    assert Counter(row.order for row in rows) == {order.number: 4 for order in orders}


class Careless(papers_module._Series):
    """Looks which number was the last, and takes the next; two do so at once."""

    ready: ClassVar[asyncio.Barrier]

    async def next(self, kind: PaperKind, known: dict[tuple[int, str], int]) -> Any:
        last = sa.select(sa.func.coalesce(sa.func.max(papers_module.papers.c.number), 0))
        number = await self._connection.scalar(last.where(papers_module.papers.c.kind == kind))
        await self.ready.wait()
        issue = await super().next(kind, known)
        return structs.replace(issue, name=name_of(kind, 2026, (number or 0) + 1))


async def test_two_who_look_for_the_last_number_at_once_would_collide(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the lock of the series, only the second wall is left."""
    monkeypatch.setattr(papers_module, "_Series", Careless)
    monkeypatch.setattr(Careless, "ready", asyncio.Barrier(2), raising=False)
    orders = [await accounts.sell(seat) for seat in range(2)]
    asked = [accounts.papers.invoice(order.id, wording_of(order)) for order in orders]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, IntegrityError) for one in found) == 1


async def test_refunds_of_several_at_once_leave_no_gap(accounts: Accounts) -> None:
    orders = [await accounts.sell(2 * seat, 2 * seat + 1) for seat in range(6)]
    for order in orders:
        await accounts.invoice(order)
    others = [Accounts(accounts.url, Opened(accounts.house, 0, accounts.performance, 0))
              for _ in range(3)]  # fmt: skip
    try:
        await asyncio.gather(
            *(others[at % 3].refund(order, 1) for at, order in enumerate(orders)),
            *(others[at % 3].sell(40 + at) for at in range(4)),
        )
    finally:
        for other in others:
            await other.engine.dispose()
    assert without_gaps(await accounts.numbers(PaperKind.CREDIT_NOTE))
    assert len(await accounts.numbers(PaperKind.CREDIT_NOTE)) == 6


async def test_an_invoice_and_a_refund_at_once_agree(accounts: Accounts) -> None:
    """Whoever comes first, the papers say what stands."""
    for seat in range(6):
        order = await accounts.sell(2 * seat, 2 * seat + 1)
        await asyncio.gather(accounts.refund(order, 1), accounts.invoice(order))
        rows = await accounts.papers.of_order(order.number)
        assert sum(row.total for row in rows) == 2_000
    assert without_gaps(await accounts.numbers())


class Cut(Exception):
    """The process dies here."""


async def cut_at(accounts: Accounts, step: int, order: Order, *, sequence: bool = False) -> int:
    """Ask for an invoice on a connection that is killed before a statement; how many there were."""
    engine = create_async_engine(sqlalchemy_url(accounts.url), pool_size=1)
    asked = itertools.count(1)

    def cut(*_: Any) -> None:
        if next(asked) == step:
            raise Cut

    sa.event.listen(engine.sync_engine, "before_cursor_execute", cut)
    try:
        await Papers(engine, accounts.clock).invoice(order.id, wording_of(order))
    except Cut:
        pass
    finally:
        sa.event.remove(engine.sync_engine, "before_cursor_execute", cut)
        await engine.dispose()
    return next(asked) - 1


async def test_a_process_that_dies_at_any_step_takes_no_number_with_it(accounts: Accounts) -> None:
    statements = await cut_at(accounts, 0, await accounts.sell(0))
    assert statements == 6
    for step in range(1, statements + 1):
        order = await accounts.sell(step)
        await cut_at(accounts, step, order)
        assert await accounts.papers.of_order(order.number) == []
        await accounts.invoice(order)  # as who asks again does
    assert await accounts.numbers() == list(range(1, statements + 2))


class Counting(papers_module._Series):
    """Numbers from a sequence of Postgres, which a rollback does not give back."""

    async def next(self, kind: PaperKind, known: dict[tuple[int, str], int]) -> Any:
        number = await self._connection.scalar(sa.text("SELECT nextval('careless')"))
        issue = await super().next(kind, known)
        return structs.replace(issue, name=name_of(kind, 2026, int(number or 0)))


async def test_numbers_of_a_sequence_would_have_gaps(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the check above sees the gap that a death leaves."""
    await accounts.execute("CREATE SEQUENCE careless")
    monkeypatch.setattr(papers_module, "_Series", Counting)
    statements = await cut_at(accounts, 0, await accounts.sell(0))
    order = await accounts.sell(1)
    await cut_at(accounts, statements, order)
    await accounts.invoice(order)
    assert not without_gaps(await accounts.numbers())


async def test_a_refund_that_is_not_saved_makes_no_paper(accounts: Accounts) -> None:
    order = await accounts.sell(3, 4)
    await accounts.invoice(order)
    await accounts.refund(order, 1)
    with pytest.raises(OrderConflict):
        await accounts.refund(order, 2)  # it was saved since
    assert await accounts.numbers(PaperKind.CREDIT_NOTE) == [1]


async def test_going_back_in_time_takes_no_paper_back_and_the_next_sets_it_right(
    accounts: Accounts,
) -> None:
    order = await accounts.sell(3, 4)
    await accounts.invoice(order)
    before_ms = accounts.clock.now_ms
    accounts.clock.now_ms += 1_000
    await accounts.refund(order, 1)
    async with accounts.engine.begin() as connection:
        await rewind(connection, before_ms, lambda *_: None)
    rows = await accounts.papers.of_order(order.number)
    assert [row.total for row in rows] == [4_000, -2_000]
    anew = Accounts(accounts.url, Opened(accounts.house, 0, accounts.performance, 0))
    try:
        anew.clock.now_ms = accounts.clock.now_ms
        back = await anew.orders.get(order.id)
        assert back is not None and back.revision == order.revision
        await anew.refund(back, 2)
    finally:
        await anew.engine.dispose()
    assert sum(row.total for row in await accounts.papers.of_order(order.number)) == 2_000
    assert without_gaps(await accounts.numbers(PaperKind.CREDIT_NOTE))


# Settlements ---------------------------------------------------------------------------


async def a_day(accounts: Accounts) -> None:
    """Sales in two performances, by several ways, with fees, a refund and a part payment."""
    one = await accounts.sell(1, 2, 3)
    await accounts.sell(4, method=PaymentMethod.CARD_TERMINAL)
    await accounts.refund(one, 2)
    other = new_order(accounts.second, 7, 8)
    fees = (LineFee("service", 150), LineFee("card", 30, absorbed=True))
    lines = tuple(
        structs.replace(line, fees=fees, state=LineState.SOLD, ticket=line.number)
        for line in other.lines
    )
    await accounts.save(other, lines=lines, state=OrderState.PAID, total=4_300)


async def raw_sums(accounts: Accounts) -> dict[str, int]:
    """What the tables of orders say, which know nothing of the ledger."""
    statements = {
        "places": "SELECT coalesce(sum(amount), 0) FROM order_lines WHERE state = 'sold'",
        "money": "SELECT coalesce(sum(captured - refunded), 0) FROM payments",
        "fees": """
            SELECT coalesce(sum(CAST(fee ->> 1 AS int8)), 0)
            FROM orders o, jsonb_array_elements(o.body -> 'lines') line,
                jsonb_array_elements(line -> 'fees') fee
            WHERE line ->> 'state' = 'sold' AND coalesce(fee ->> 2, 'false') = 'false'""",
    }
    async with accounts.engine.connect() as connection:
        return {
            name: int(await connection.scalar(sa.text(statement)) or 0)
            for name, statement in statements.items()
        }


async def test_a_settlement_is_what_the_tables_of_orders_say(accounts: Accounts) -> None:
    await a_day(accounts)
    found, raw = totals(await accounts.settled(), "EUR"), await raw_sums(accounts)
    assert raw == {"places": 10_000, "money": 6_000, "fees": 300}
    assert {"places": found.places, "money": found.money, "fees": found.fees} == raw
    assert found.open == -4_300 and found.absorbed == 60
    [rate] = rates(await accounts.settled(), "EUR")
    assert (rate.tax_bp, rate.gross) == (550, 10_300)


async def test_a_settlement_of_a_performance_is_its_part(accounts: Accounts) -> None:
    await a_day(accounts)
    parts = [
        await accounts.settled(performance=one) for one in (accounts.performance, accounts.second)
    ]
    whole = totals(await accounts.settled(), "EUR")
    assert sum(totals(part, "EUR").earned for part in parts) == whole.earned
    assert [totals(part, "EUR").money for part in parts] == [0, 0]
    assert [[one.titles for one in part.performances] for part in parts] == [
        [{"fr": "Le Misanthrope"}]
    ] * 2


async def test_days_are_told_apart_and_add_up(accounts: Accounts) -> None:
    await accounts.sell(1)
    accounts.clock.now_ms += DAY_MS
    await accounts.sell(2, 3)
    for closed in (False, True):
        if closed:
            accounts.clock.now_ms += DAY_MS
            assert await accounts.ledger.close_due() == 2
        first, second = await accounts.settled(), await accounts.settled(SECOND, SECOND)
        both = await accounts.settled(FIRST, SECOND)
        earned = [totals(one, "EUR").earned for one in (first, second, both)]
        assert earned == [2_000, 4_000, 6_000]
        assert (first.first, first.last, second.first, second.last) == (1, 2, 3, 5)
        assert (both.first, both.last) == (1, 5)
    assert (await accounts.settled("2026-11-01", "2026-11-19")).sums == ()
    assert (await accounts.settled("2026-11-22", "2026-12-19")).sums == ()


async def test_what_comes_after_an_early_closing_is_in_the_next_day(accounts: Accounts) -> None:
    await accounts.sell(1)
    await accounts.ledger.close(accounts.house, early=True)
    await accounts.sell(2)
    assert totals(await accounts.settled(), "EUR").earned == 2_000
    assert totals(await accounts.settled(SECOND, SECOND), "EUR").earned == 2_000
    [period] = await accounts.periods()
    assert (await accounts.settled()).last == period.last


async def test_a_settlement_gets_its_number_when_its_days_are_closed(accounts: Accounts) -> None:
    await a_day(accounts)
    refused = await accounts.papers.issue_settlement(accounts.house, FIRST, FIRST)
    assert refused == PaperRefused(PaperRefusal.PERIOD_OPEN, "")
    assert (await accounts.settled()).name == ""
    accounts.clock.now_ms += DAY_MS
    await accounts.ledger.close_due()
    row = await accounts.papers.issue_settlement(accounts.house, FIRST, FIRST)
    assert isinstance(row, PaperRow) and row.name == "D2026-000001"
    accounts.clock.now_ms += DAY_MS
    assert await accounts.papers.issue_settlement(accounts.house, FIRST, FIRST) == row
    issued = await accounts.papers.get(accounts.house, row.name)
    assert issued == await accounts.settled() and issued.name == row.name
    of_one = await accounts.papers.issue_settlement(
        accounts.house, FIRST, FIRST, accounts.performance
    )
    assert isinstance(of_one, PaperRow) and of_one.name == "D2026-000002"
    later = await accounts.papers.issue_settlement(accounts.house, FIRST, SECOND)
    assert later == PaperRefused(PaperRefusal.PERIOD_OPEN, FIRST)


async def test_a_settlement_asked_for_at_once_is_one_paper(accounts: Accounts) -> None:
    await accounts.sell(1)
    accounts.clock.now_ms += DAY_MS
    await accounts.ledger.close_due()
    asked = [accounts.papers.issue_settlement(accounts.house, FIRST, FIRST) for _ in range(3)]
    assert len({msgspec.json.encode(row) for row in await asyncio.gather(*asked)}) == 1
    assert await accounts.numbers(PaperKind.SETTLEMENT) == [1]


async def test_a_period_with_too_much_to_tell_apart_is_refused(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_day(accounts)
    monkeypatch.setattr("persistence.settlement.MAX_SETTLEMENT_ROWS", 2)
    refused = await accounts.papers.settlement(accounts.house, FIRST, FIRST)
    assert refused == PaperRefused(PaperRefusal.PERIOD_TOO_LARGE)


async def test_every_kind_of_record_that_moves_money_is_in_a_settlement(
    accounts: Accounts,
) -> None:
    await a_day(accounts)
    kinds = {one.kind for one in (await accounts.settled()).sums}
    recorded = {FactKind(one.kind) for one in await accounts.records() if one.amount}
    assert kinds == recorded
