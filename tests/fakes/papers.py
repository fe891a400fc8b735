"""Papers in memory, written by the same pure rules as the real ones.

`check_papers` is the contract, for these and for `persistence.papers`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from engine.ledger import GENESIS, NO_TAX, FactKind
from engine.orders import Order
from engine.papers import (
    Client,
    Issue,
    Names,
    Paper,
    PaperKind,
    PaperRefusal,
    PaperRefused,
    PaperRow,
    Rates,
    Shown,
    Wording,
    bill,
    correction,
    follow,
    kind_of,
    may_be_billed,
    name_of,
    seller_of,
)
from engine.settlement import Settlement, Sum
from gateway.backend import BackendUnavailable
from tests.fakes.ledger import BEGAN_MS

YEAR = 2026


class FakePapers:
    """Implements `gateway.backend.Papers` over a desk's orders and a ledger. While `down`, every
    call fails. What changed of an order is found out when its papers are asked for."""

    def __init__(self, orders: Any, ledger: Any, catalogue: Any) -> None:
        self._orders, self._ledger, self._catalogue = orders, ledger, catalogue
        self.kept: dict[str, Paper | Settlement] = {}
        self.down = False

    async def invoice(self, order: str, wording: Wording) -> PaperRow | PaperRefused:
        await self._look()
        found = await self._orders.get(order)
        if found is None:
            return PaperRefused(PaperRefusal.ORDER_UNKNOWN)
        if known := self._of(found.number):
            return _row(known[0])
        if not may_be_billed(found):
            return PaperRefused(PaperRefusal.INVOICE_NOT_READY, found.state.value)
        return self._keep(bill(found, wording, await self._issue(PaperKind.INVOICE)))

    async def of_order(self, order: int) -> list[PaperRow]:
        await self._look()
        return [_row(one) for one in self._of(order)]

    async def issued(
        self,
        organiser: int,
        *,
        kind: PaperKind | None = None,
        after: str = "",
        limit: int = 1_000,
    ) -> list[PaperRow]:
        await self._look()
        rows = [_row(one) for one in self.kept.values() if kind in (None, one.kind)]
        names = [row.name for row in rows]
        begins = names.index(after) + 1 if after in names else 0
        return rows[begins:][:limit]

    async def get(self, organiser: int, name: str) -> Paper | Settlement | None:
        await self._look()
        return self.kept.get(name)

    async def settlement(
        self, organiser: int, from_day: str, to_day: str, performance: int = 0
    ) -> Settlement | PaperRefused:
        await self._look()
        for one in self.kept.values():
            if isinstance(one, Settlement) and one.from_day == from_day and one.to_day == to_day:
                return one
        return await self._settle(from_day, to_day)

    async def issue_settlement(
        self, organiser: int, from_day: str, to_day: str, performance: int = 0
    ) -> PaperRow | PaperRefused:
        found = await self.settlement(organiser, from_day, to_day, performance)
        assert isinstance(found, Settlement)
        if found.name:
            return _row(found)
        if to_day > found.closed_to:
            return PaperRefused(PaperRefusal.PERIOD_OPEN, found.closed_to)
        issue = await self._issue(PaperKind.SETTLEMENT)
        return self._keep(replace(found, name=issue.name, at_ms=issue.at_ms))

    async def _settle(self, from_day: str, to_day: str) -> Settlement:
        house = await self._catalogue.house()
        records = self._ledger.all
        day = self._ledger._standing.day
        return Settlement(
            at_ms=BEGAN_MS,
            time_zone=house.time_zone,
            seller=seller_of(house.name, house.settings),
            from_day=from_day,
            to_day=to_day,
            closed_to="" if day is None else day.label,
            first=1,
            last=len(records),
            last_hash=records[-1].hash if records else GENESIS,
            sums=tuple(
                Sum(
                    *(one.currency, FactKind(one.kind), one.performance, one.price_type),
                    *(one.channel, one.method, one.tax_bp, 1, one.amount),
                )
                for one in records
                if one.currency
            ),
            performances=(),
            price_types={},
            fees={},
        )

    async def _look(self) -> None:
        if self.down:
            raise BackendUnavailable("no database")
        for number in sorted({one.order for one in self.kept.values() if one.order}):
            papers = self._of(number)
            [order] = [one for one in self._orders.by_id.values() if one.number == number]
            house = await self._catalogue.house()
            items = correction(papers, order, Rates({}, _tax_bp(house)))
            if items:
                issue = await self._issue(kind_of(items))
                self._keep(follow(papers, items, order, issue, Names()))

    async def _issue(self, kind: PaperKind) -> Issue:
        house = await self._catalogue.house()
        number = sum(one.kind is kind for one in self.kept.values()) + 1
        return Issue(
            name_of(kind, YEAR, number),
            BEGAN_MS + len(self.kept),
            house.time_zone,
            seller_of(house.name, house.settings),
            Rates({}, _tax_bp(house)),
        )

    def _of(self, order: int) -> list[Paper]:
        of_order = [one for one in self.kept.values() if one.order == order]
        return [one for one in of_order if isinstance(one, Paper)]

    def _keep(self, paper: Paper | Settlement) -> PaperRow:
        self.kept[paper.name] = paper
        return _row(paper)


def _row(one: Paper | Settlement) -> PaperRow:
    return PaperRow(one.name, one.kind, one.at_ms, one.order, one.currency, one.total)


def _tax_bp(house: Any) -> int:
    rate = house.settings.get("vat_bp")
    return rate if isinstance(rate, int) else NO_TAX


def wording_of(order: Order) -> Wording:
    """Words for an order of which nobody asked what its places are called."""
    performances = sorted({line.performance for line in order.lines})
    names = Names(
        tuple(Shown(number, "The Test", BEGAN_MS) for number in performances),
        {"full": "Full price"},
        {"service": "Booking fee"},
    )
    client = Client(order.buyer.name, ("1, rue Courte", "75001 Paris"), order.buyer.email)
    return Wording("en", client, names, {line.number: ("Stalls", "", "") for line in order.lines})


async def check_papers(
    papers: FakePapers, organiser: int, order: Order, refund: Callable[[], Awaitable[object]]
) -> None:
    """The contract, on an order that is sold with two lines at one price; `refund` one of them."""
    assert await papers.of_order(order.number) == []
    unknown = await papers.invoice("0" * 32, wording_of(order))
    assert unknown == PaperRefused(PaperRefusal.ORDER_UNKNOWN)
    invoice = await papers.invoice(order.id, wording_of(order))
    assert isinstance(invoice, PaperRow)
    assert (invoice.name[0], invoice.name[-6:]) == ("F", "000001")
    assert (invoice.total, invoice.order, invoice.kind) == (order.total, order.number, "invoice")
    other = replace(wording_of(order), client=Client("Somebody else"))
    assert await papers.invoice(order.id, other) == invoice
    await refund()
    both = await papers.of_order(order.number)
    assert both[0] == invoice
    [note] = both[1:]
    assert (note.kind, note.total) == ("credit_note", -order.lines[1].amount)
    assert await papers.issued(organiser) == both
    assert await papers.issued(organiser, kind=PaperKind.CREDIT_NOTE) == [note]
    assert await papers.issued(organiser, after=invoice.name, limit=1) == [note]
    assert await papers.issued(organiser, after=note.name) == []
    first, second = [await papers.get(organiser, row.name) for row in both]
    assert isinstance(first, Paper) and isinstance(second, Paper)
    assert second.corrects == first.name and first.client.name == order.buyer.name
    assert await papers.get(organiser, "F2026-999999") is None
    assert await papers.get(organiser, "nothing") is None
