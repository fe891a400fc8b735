"""Till sessions in memory, decided by the same rules as the real ones.

`check_tills` is the contract, for these and for `persistence.tills`.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from engine.payments import PaymentMethod
from engine.tills import (
    AddEntry,
    CloseTill,
    Entry,
    EntryKind,
    OpenTill,
    Repaid,
    Takings,
    TillRefusal,
    TillRefused,
    TillReport,
    TillSession,
    closed,
    entered,
    malformed_open,
    reckon,
)
from gateway.backend import BackendUnavailable


class FakeTills:
    """Implements `gateway.backend.Tills` over a desk's orders. While `down`, every call fails."""

    def __init__(self, orders) -> None:  # type: ignore[no-untyped-def]
        self._orders = orders
        self.sessions: dict[str, TillSession] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.down = False

    async def open(self, wanted: OpenTill, now_ms: int) -> TillReport | TillRefused:
        if problem := malformed_open(wanted):
            return TillRefused(TillRefusal.MALFORMED, problem)
        asked = (wanted.till.strip(), wanted.currency, wanted.opening_float, wanted.operator)
        known = self.sessions.get(wanted.id)
        if known is not None:
            told = (known.till, known.currency, known.opening_float, known.operator)
            same = told == asked
            return self._report(known) if same else TillRefused(TillRefusal.ID_REUSED)
        still = [one for one in self.sessions.values() if one.closing is None]
        for one in still:
            if one.operator == wanted.operator:
                return TillRefused(TillRefusal.TILL_OPEN, one.till)
        for one in still:
            if one.till.casefold() == asked[0].casefold():
                return TillRefused(TillRefusal.TILL_TAKEN, one.operator)
        number = len(self.sessions) + 1
        made = TillSession(wanted.id, number, asked[0], wanted.operator, asked[1], asked[2], now_ms)
        self.sessions[made.id], self.entries[made.id] = made, []
        return self._report(made)

    async def enter(self, session: str, wanted: AddEntry, now_ms: int) -> TillReport | TillRefused:
        report = await self.report(session)
        if report is None:
            return TillRefused(TillRefusal.TILL_UNKNOWN)
        entry = entered(wanted, report, now_ms)
        if isinstance(entry, TillRefused):
            return entry
        if entry not in report.entries:
            self.entries[session].append(entry)
        return self._report(report.session)

    async def close(self, session: str, wanted: CloseTill, now_ms: int) -> TillReport | TillRefused:
        report = await self.report(session)
        if report is None:
            return TillRefused(TillRefusal.TILL_UNKNOWN)
        closing = closed(wanted, report, now_ms)
        if isinstance(closing, TillRefused):
            return closing
        for order in self._orders.by_id.values():
            if not order.finished and order.till == session and report.session.closing is None:
                return TillRefused(TillRefusal.TILL_BUSY, str(order.number))
        self.sessions[session] = replace(report.session, closing=closing)
        return self._report(self.sessions[session])

    async def open_of(self, operator: str) -> TillSession | None:
        if self.down:
            raise BackendUnavailable("no database")
        mine = [one for one in self.sessions.values() if one.operator == operator]
        return next((one for one in mine if one.closing is None), None)

    async def report(self, session: str) -> TillReport | None:
        found = self.sessions.get(session)
        return None if found is None else self._report(found)

    async def list(
        self, *, operator: str = "", open_only: bool = False, before: int = 0, limit: int = 50
    ) -> Sequence[TillSession]:
        found = [
            one
            for one in reversed(self.sessions.values())
            if operator in ("", one.operator)
            and not (open_only and one.closing is not None)
            and (not before or one.number < before)
        ]
        return found[:limit]

    def _report(self, session: TillSession) -> TillReport:
        money = [
            (order, one)
            for order in self._orders.by_id.values()
            for one in order.payments
            if one.till == session.id and one.captured
        ]
        takings = [
            Takings(
                method.value,
                len(ours),
                sum(one.captured for one in ours),
                sum(one.given - one.change for one in ours),
            )
            for method in PaymentMethod
            if (ours := [one for _, one in money if one.method is method])
        ]
        repaid = [
            Repaid(one.method.value, refund.amount)
            for order in self._orders.by_id.values()
            for one in order.payments
            for refund in one.refunds
            if refund.till == session.id
        ]
        sales = len({order.id for order, _ in money})
        return reckon(session, self.entries[session.id], takings, repaid, sales)


def opening(number: int, till: str, operator: str, **changes: object) -> OpenTill:
    return replace(OpenTill(f"{number:032x}", till, "CHF", 15_000, operator), **changes)


def decided(found: TillReport | TillRefused) -> TillReport:
    assert isinstance(found, TillReport), found
    return found


def code_of(found: TillReport | TillRefused) -> str:
    assert isinstance(found, TillRefused), found
    return found.code.value


async def check_tills(tills: FakeTills) -> None:
    """What a gateway relies on, of any store that has no sessions yet."""
    ada = decided(await tills.open(opening(1, " Caisse 1 ", "ada"), 1_000))
    assert (ada.session.till, ada.session.opening_float, ada.expected) == (
        *("Caisse 1", 15_000),
        15_000,
    )
    assert decided(await tills.open(opening(1, "Caisse 1", "ada"), 2_000)) == ada, "once"
    assert code_of(await tills.open(opening(1, "Caisse 1", "ada", opening_float=5), 2)) == (
        "id_reused"
    )
    assert await tills.open(opening(2, "caisse 1", "bob"), 2) == TillRefused(
        TillRefusal.TILL_TAKEN, "ada"
    )
    assert await tills.open(opening(2, "Caisse 2", "ada"), 2) == TillRefused(
        TillRefusal.TILL_OPEN, "Caisse 1"
    )
    assert code_of(await tills.open(opening(2, "Caisse 2", "bob", currency="chf"), 2)) == (
        "malformed"
    )
    bob = decided(await tills.open(opening(2, "Caisse 2", "bob"), 3_000))
    assert bob.session.number > ada.session.number
    assert await tills.open_of("ada") == ada.session
    assert await tills.open_of("eve") is None

    change = AddEntry("m1", EntryKind.IN, "ada", 5_000, " change for the bar ")
    moved = decided(await tills.enter(ada.session.id, change, 4_000))
    assert (moved.expected, moved.entries[0].reason) == (20_000, "change for the bar")
    assert decided(await tills.enter(ada.session.id, change, 4_500)) == moved, "once"
    reused = replace(change, amount=6_000)
    assert code_of(await tills.enter(ada.session.id, reused, 4_500)) == "id_reused"
    assert code_of(await tills.enter("f" * 32, change, 4_500)) == "till_unknown"
    out = AddEntry("m2", EntryKind.OUT, "eve", 2_000, "to the safe")
    assert decided(await tills.enter(ada.session.id, out, 5_000)).expected == 18_000
    count = AddEntry("c1", EntryKind.COUNT, "ada", pieces=((5, 1), (10_000, 1), (1_000, 8)))
    looked = decided(await tills.enter(ada.session.id, count, 6_000)).entries[2]
    assert (looked.amount, looked.expected) == (18_005, 18_000)
    assert looked.pieces == ((10_000, 1), (1_000, 8), (5, 1)), "the largest first"
    assert decided(await tills.report(bob.session.id)).entries == (), "two tills, two drawers"

    short = CloseTill("x", "ada", pieces=((10_000, 1), (1_000, 7)))
    assert await tills.close(ada.session.id, short, 7_000) == TillRefused(
        TillRefusal.DIFFERENCE_UNEXPLAINED, "-1000"
    )
    told = replace(short, explanation="a note too much handed out")
    ended = decided(await tills.close(ada.session.id, told, 8_000))
    assert ended.session.closing is not None
    assert (ended.session.closing.difference, ended.session.closing.at_ms) == (-1_000, 8_000)
    assert decided(await tills.close(ada.session.id, told, 9_000)) == ended, "once"
    assert code_of(await tills.close(ada.session.id, short, 9_000)) == "id_reused"
    again = replace(told, id="y")
    assert code_of(await tills.close(ada.session.id, again, 9_000)) == "till_closed"
    late = replace(out, id="m3")
    assert code_of(await tills.enter(ada.session.id, late, 9_000)) == "till_closed"
    assert decided(await tills.enter(ada.session.id, out, 9_000)) == ended, "what was, was"
    assert await tills.report(ada.session.id) == ended

    assert await tills.open_of("ada") is None
    next_one = decided(await tills.open(opening(3, "CAISSE 1", "ada"), 10_000))
    numbers = [one.number for one in await tills.list()]
    assert numbers == [next_one.session.number, bob.session.number, ada.session.number]
    assert [one.operator for one in await tills.list(operator="bob")] == ["bob"]
    assert len(await tills.list(open_only=True)) == 2
    assert [one.id for one in await tills.list(before=bob.session.number)] == [ada.session.id]
    assert len(await tills.list(limit=1)) == 1
