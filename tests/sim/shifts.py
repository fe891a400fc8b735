"""Till sessions of a world: cashiers who open, move cash, count, close and begin again.

The sessions are the fake that keeps the contract of `persistence.tills`, over the world's tables
of orders, which refuse what would move money in a session that is closed. Which session is open
a gateway asks whenever it passes a call on, as `gateway.http_tills.at_till` does.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from engine.currency import DENOMINATIONS
from engine.ledger import FactKind, facts_of
from engine.orders import Order
from engine.payments import TILL_METHODS
from engine.tills import (
    NO_TILL,
    AddEntry,
    AtTill,
    CloseTill,
    EntryKind,
    OpenTill,
    TillRefusal,
    TillRefused,
    TillReport,
)
from tests.engine.small import NOW_MS
from tests.fakes.tills import FakeTills
from tests.sim.calling_off import without_waiting
from tests.sim.desk import Tables
from tests.sim.judge import Broken
from tests.sim.loop import Simulation

CASHIERS: Final = ("ada", "bob")
CURRENCY: Final = "EUR"
TAKES_A_TILL: Final = ("pay", "buy", "cancel", "refund", "exchange")
"""Calls of the desk that a gateway passes on with the till of whoever is asking."""
FLOAT: Final = 10_000
GAP_S: Final = 0.15
"""Between two shifts, and between two tries to close."""


class Shifts:
    """See the module. `required` is the house's wish: nobody takes money without a session."""

    def __init__(self, tables: Tables, simulation: Simulation, chance: Random) -> None:
        self._simulation = simulation
        self._chance = chance
        self._tables = tables
        self.required = chance.random() < 0.7
        self.tills = FakeTills(_Ours(tables))
        tables.is_open = self._is_open
        self._number = 0
        self.is_over = False
        self.tell: Callable[[str], None] = lambda _: None

    def at_till(self, operator: str) -> AtTill:
        """Where this operator takes money just now; the empty one is nobody's till."""
        if not operator:
            return NO_TILL
        for one in self.tills.sessions.values():
            if one.operator == operator and one.closing is None:
                return AtTill(one.id, one.currency, self.required)
        return AtTill(required=self.required)

    def _is_open(self, session: str) -> bool:
        found = self.tills.sessions.get(session)
        return found is not None and found.closing is None

    def begin(self) -> None:
        """They come, each at a till."""
        for operator in CASHIERS:
            self._simulation.after(0.0, self._open, operator)

    def _open(self, operator: str) -> None:
        if self.is_over:
            return
        self._number += 1
        wanted = OpenTill(f"{self._number:032x}", f"Till {operator}", CURRENCY, FLOAT, operator)
        told = without_waiting(self.tills.open(wanted, self._now_ms()))
        assert isinstance(told, TillReport), told
        self._later(self._work, operator, told.session.id)

    def _work(self, operator: str, session: str) -> None:
        """Cash in, out, counted; or the end of the shift."""
        if not self._is_open(session):
            return None
        chance = self._chance
        if self.is_over or chance.random() < 0.5:
            return self._close(operator, session)
        kind = chance.choice((EntryKind.IN, EntryKind.OUT, EntryKind.COUNT))
        is_count = kind is EntryKind.COUNT
        report = self._report(session)
        wanted = AddEntry(
            f"{self._now_ms()}",
            kind,
            operator,
            0 if is_count else 500,
            "" if is_count else "change",
            pieces(report.expected) if is_count and report.expected >= 0 else (),
        )
        without_waiting(self.tills.enter(session, wanted, self._now_ms()))
        return self._later(self._work, operator, session)

    def _close(self, operator: str, session: str) -> None:
        """Once nothing moves in it any more; now and then something is missing."""
        if not self._is_open(session):
            return
        missing = 50 if self._chance.random() < 0.2 else 0
        counted = max(0, self._report(session).expected - missing)
        closing = CloseTill("end", operator, pieces=pieces(counted), explanation="as it is")
        told = without_waiting(self.tills.close(session, closing, self._now_ms()))
        if isinstance(told, TillRefused):
            assert told.code is TillRefusal.TILL_BUSY, told
            if not self.is_over:  # else `ends` asks again
                self._simulation.after(GAP_S, self._close, operator, session)
            return
        self.tell(f"{operator} closes {session[-4:]} with {told.session.closing}")
        self._simulation.after(GAP_S, self._open, operator)

    def ends(self) -> None:
        """Everybody goes home. Nothing moves any more, and so every session can be closed."""
        self.is_over = True
        for session in list(self.tills.sessions.values()):
            if session.closing is None:
                self._close(session.operator, session.id)
                if self._is_open(session.id):
                    raise Broken("till", f"nothing moves, and {session} is busy")

    def judge(self, orders: Iterable[list[Order]]) -> None:
        """The drawers are what they were when they were closed, and together what the ledger says.

        `orders` are the histories of all orders. Raises Broken.
        """
        books: Counter[str] = Counter()
        without: Counter[str] = Counter()
        for history in orders:
            for before, after in zip([None, *history], history, strict=False):
                for fact in facts_of(before, after):
                    if fact.kind in (FactKind.PAYMENT, FactKind.REPAYMENT):
                        books[fact.method] += fact.amount
            for payment in history[-1].payments:
                if payment.method not in TILL_METHODS:
                    continue
                moved = [("" if not payment.captured else payment.till, payment.captured)]
                moved += [(refund.till, -refund.amount) for refund in payment.refunds]
                for till, amount in moved:
                    if amount and not till:
                        without[payment.method] += amount
                        if self.required:
                            raise Broken("till", f"{amount} in no till session: {payment}")
        drawers = without.copy()
        for session in self.tills.sessions.values():
            report, closing = self._report(session.id), session.closing
            assert closing is not None
            if report.expected != closing.expected:
                raise Broken("till", f"{report.expected} is in {session} by now")
            for one in report.methods:
                drawers[one.method] += one.taken - one.handed_back
        for method in TILL_METHODS:
            if books[method] != drawers[method]:
                why = f"{drawers[method]} in the tills, {books[method]} in the ledger"
                raise Broken("till", f"{method}: {why}")

    def _report(self, session: str) -> TillReport:
        report = without_waiting(self.tills.report(session))
        assert isinstance(report, TillReport)
        return report

    def _later(self, what: Callable[[str, str], None], operator: str, session: str) -> None:
        self._simulation.after(0.2 + 1.5 * self._chance.random(), what, operator, session)

    def _now_ms(self) -> int:
        return NOW_MS + int(1_000 * self._simulation.now_s)


class _Ours:
    """The tables as `FakeTills` reads them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @property
    def by_id(self) -> dict[str, Order]:
        return {order.id: order for order in self._tables.all}


def pieces(amount: int) -> tuple[tuple[int, int], ...]:
    """Notes and coins that are this much."""
    found = []
    for one in DENOMINATIONS[CURRENCY]:
        found.append((one, amount // one))
        amount %= one
    return tuple((one, many) for one, many in found if many)
