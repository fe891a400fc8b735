"""What every backend of the edge promises, as tests: the fakes and the real thing alike.

Subclass `BackendContract` where there is a fixture `subject` giving a `Subject`:

    class TestReal(BackendContract):
        @pytest.fixture
        async def subject(self): ...

Nothing here knows more than `gateway.backend`.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from engine.commands import (
    Basket,
    BasketIs,
    Channel,
    Command,
    Event,
    Held,
    Hold,
    Line,
    Outcome,
    Refusal,
    Refused,
    Release,
    Released,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    SeatStatus,
)
from engine.feed import Applied, Replica
from engine.listing import ListFilter
from engine.orders import (
    Bought,
    Buyer,
    LineState,
    Order,
    OrderHold,
    OrderRefused,
    OrderState,
    PlaceOrder,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.plan import Plan
from engine.season import (
    Changed,
    PerformanceWanted,
    ProductionWanted,
    Programme,
    Reason,
    Unchanged,
    compare,
    fingerprint,
)
from engine.settings import Settings
from engine.status import PerformanceStatus
from gateway.backend import Backend, PerformanceUnknown, SignatureInvalid
from gateway.session import digest_of, new_token, now_ms

LONG_POLL_S = 30.0
"""A long-poll answers within this, change or no change."""


@dataclass
class Subject:
    """A backend with one performance on sale whose adult price is 20.00 and whose holds last
    `hold_ms`, a few seconds at most."""

    backend: Backend
    performance: int
    plan: Plan
    hold_ms: int


def new_id() -> bytes:
    return secrets.token_bytes(16)


def hold(*seats: int, token: bytes = b"", id: bytes = b"", holder: str = "") -> Hold:
    return Hold(id or new_id(), token or new_id(), holder or "somebody", Channel.WEB, seats)


async def submit(subject: Subject, *commands: Command) -> list[Outcome]:
    batch = msgspec.msgpack.encode(list(commands))
    reply = await subject.backend.performances.submit(subject.performance, batch)
    assert isinstance(reply, bytes)
    return msgspec.msgpack.decode(reply, type=list[Outcome])


async def watch(subject: Subject, epoch: int, seq: int) -> tuple[bytes | None, list[bytes]]:
    async with asyncio.timeout(LONG_POLL_S):
        reply = await subject.backend.performances.watch(subject.performance, epoch, seq)
    return msgspec.msgpack.decode(reply, type=tuple[bytes | None, list[bytes]])


def picture(subject: Subject) -> Replica:
    return Replica(subject.performance, len(subject.plan.seats), len(subject.plan.areas))


async def follow(subject: Subject, replica: Replica, seats: Sequence[int], status: int) -> None:
    """Watch until these seats have this status."""
    async with asyncio.timeout(LONG_POLL_S):
        while any(replica.statuses[seat] != status for seat in seats):
            frame, _ = await watch(subject, replica.epoch, replica.seq)
            if frame is not None:
                assert replica.apply(frame) in (Applied.SNAPSHOT, Applied.DELTA)


def order_of(subject: Subject, token: bytes, *seats: int, **values: Any) -> PlaceOrder:
    lines = tuple(Line(seat, -1, "adult") for seat in seats)
    basket = OrderHold(subject.performance, token.hex(), lines)
    return PlaceOrder(secrets.token_hex(16), (basket,), **values)


async def placed(subject: Subject, *seats: int, **values: Any) -> Order:
    token = new_id()
    (held,) = await submit(subject, hold(*seats, token=token))
    assert isinstance(held, Held)
    order = await subject.backend.desk.place(order_of(subject, token, *seats, **values))
    assert isinstance(order, Order), order
    return order


async def told_of(subject: Subject) -> PerformanceStatus:
    """What its performance says of itself."""
    directory = (await subject.backend.status()).directory
    assert directory is not None
    (told,) = [one for one in directory.performances if one.performance == subject.performance]
    return told


class BackendContract:
    # Performances ----------------------------------------------------------------------

    async def test_a_batch_is_answered_one_by_one_and_in_order(self, subject: Subject) -> None:
        token = new_id()
        outcomes = await submit(
            subject,
            hold(0, 1, token=token),
            hold(1, 2),
            Basket(new_id(), token),
            Release(new_id(), token, (1,)),
            Basket(new_id(), new_id()),
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Held, Refused, BasketIs, Released, Refused]
        assert outcomes[1] == Refused(Refusal.SEAT_TAKEN, (1,))
        assert await submit(subject) == []

    async def test_a_repeated_batch_gets_the_same_outcomes(self, subject: Subject) -> None:
        commands = [hold(3), hold(3, holder="another"), hold(4)]
        first = await submit(subject, *commands)
        assert await submit(subject, *commands) == first
        changed = msgspec.structs.replace(commands[0], seats=(5,))
        assert await submit(subject, changed) == [Refused(Refusal.ID_REUSED)]

    async def test_batches_at_once_sell_no_seat_twice(self, subject: Subject) -> None:
        batches = [submit(subject, *(hold(seat, holder=str(n)) for seat in range(4)))
                   for n in range(8)]  # fmt: skip
        outcomes = [one for batch in await asyncio.gather(*batches) for one in batch]
        assert sum(isinstance(outcome, Held) for outcome in outcomes) == 4

    async def test_an_unknown_performance_is_named_as_such(self, subject: Subject) -> None:
        performances = subject.backend.performances
        with pytest.raises(PerformanceUnknown):
            await performances.submit(999_999, msgspec.msgpack.encode([hold(1)]))
        with pytest.raises(PerformanceUnknown):
            await performances.watch(999_999, 0, 0)

    async def test_a_watch_begins_with_a_snapshot_and_follows_every_change(
        self, subject: Subject
    ) -> None:
        frame, _ = await watch(subject, 0, 0)
        replica = picture(subject)
        assert frame is not None and replica.apply(frame) is Applied.SNAPSHOT
        token = new_id()
        await submit(subject, hold(6, 7, token=token))
        await follow(subject, replica, (6, 7), 1)
        await submit(subject, Release(new_id(), token, (7,)))
        await follow(subject, replica, (7,), 0)
        assert replica.statuses[6] == 1
        late = picture(subject)
        frame, _ = await watch(subject, 0, 0)
        assert frame is not None and late.apply(frame) is Applied.SNAPSHOT
        assert late.statuses == replica.statuses

    async def test_a_change_ends_a_long_poll_at_once(self, subject: Subject) -> None:
        replica = picture(subject)
        frame, _ = await watch(subject, 0, 0)
        assert frame is not None
        replica.apply(frame)
        waiting = asyncio.create_task(watch(subject, replica.epoch, replica.seq))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await submit(subject, hold(8))
        async with asyncio.timeout(2.0):
            frame, _ = await waiting
        assert frame is not None and replica.apply(frame) is Applied.DELTA
        assert replica.statuses[8] == 1

    async def test_a_quiet_long_poll_ends_with_nothing(self, subject: Subject) -> None:
        replica = picture(subject)
        frame, _ = await watch(subject, 0, 0)
        assert frame is not None
        replica.apply(frame)
        assert await watch(subject, replica.epoch, replica.seq) == (None, [])

    async def test_a_hold_that_expires_is_told(self, subject: Subject) -> None:
        replica = picture(subject)
        token = new_id()
        await submit(subject, hold(9, token=token))
        await follow(subject, replica, (9,), 1)
        told: list[bytes] = []
        async with asyncio.timeout(LONG_POLL_S + subject.hold_ms / 1000):
            while token not in told:
                frame, tokens = await watch(subject, replica.epoch, replica.seq)
                told += tokens
                if frame is not None:
                    replica.apply(frame)
        await follow(subject, replica, (9,), 0)
        assert (await submit(subject, Basket(new_id(), token)))[0] == Refused(Refusal.HOLD_UNKNOWN)

    async def test_a_forged_scan_is_an_outcome(self, subject: Subject) -> None:
        (scanned,) = await submit(subject, Scan(new_id(), "", "door", -1, -1, 0, ScanMode.ADMIT))
        assert isinstance(scanned, Scanned) and scanned.result is ScanOutcome.UNKNOWN

    # The desk --------------------------------------------------------------------------

    async def test_an_order_is_placed_once_and_paid_once(self, subject: Subject) -> None:
        desk = subject.backend.desk
        token = new_id()
        await submit(subject, hold(10, 11, token=token))
        request = order_of(subject, token, 10, 11, session="s" * 32, buyer=Buyer("Ada", "a@b.c"))
        order = await desk.place(request)
        assert isinstance(order, Order)
        assert (order.state, order.total, order.channel) == (OrderState.OPEN, 4_000, "web")
        assert await desk.place(request) == order
        assert await desk.get(order.id) == order
        paid = await desk.pay(order.id, "test_card", "1")
        assert isinstance(paid, tuple) and paid[1] == ""
        assert paid[0].state is OrderState.PAID and paid[0].paid == 4_000
        assert [line.state for line in paid[0].lines] == [LineState.SOLD] * 2
        assert await desk.pay(order.id, "test_card", "1") == paid
        (scanned,) = await submit(
            subject,
            Scan(new_id(), "", "door", subject.performance, paid[0].lines[0].ticket, 0,
                 ScanMode.LOOK_UP),
        )  # fmt: skip
        assert isinstance(scanned, Scanned) and scanned.order == order.id

    async def test_a_refused_order_says_why_and_where(self, subject: Subject) -> None:
        token = new_id()
        await submit(subject, hold(12, token=token))
        refused = await subject.backend.desk.place(order_of(subject, token, 13))
        assert isinstance(refused, OrderRefused)
        assert (refused.code, refused.performance) == ("not_in_hold", subject.performance)
        gone = await subject.backend.desk.place(order_of(subject, new_id(), 12))
        assert isinstance(gone, OrderRefused) and gone.code == "hold_unknown"

    async def test_cash_names_its_operator_and_gives_change(self, subject: Subject) -> None:
        token = new_id()
        till = msgspec.structs.replace(hold(14, token=token), channel=Channel.BOX_OFFICE)
        await submit(subject, till)
        request = order_of(subject, token, 14, channel=Channel.BOX_OFFICE, operator="Ada")
        order = await subject.backend.desk.place(request)
        assert isinstance(order, Order) and order.operator == "Ada"
        paid = await subject.backend.desk.pay(order.id, "cash", "1", 5_000, "", "Ada")
        assert isinstance(paid, tuple)
        assert paid[0].payments[0].change == 3_000

    async def test_a_till_buys_at_once(self, subject: Subject) -> None:
        desk = subject.backend.desk
        request = order_of(subject, new_id(), 140, 141, channel=Channel.BOX_OFFICE, operator="Ada")
        sold = await desk.buy(request, 5_000)
        assert isinstance(sold, Bought), sold
        assert (sold.total, sold.change) == (4_000, 1_000)
        assert [(seat, amount) for _, _, seat, _, _, amount in sold.tickets] == [
            (140, 2_000),
            (141, 2_000),
        ]
        assert await desk.buy(request, 5_000) == sold
        order = await desk.get(request.id)
        assert order is not None and order.state is OrderState.PAID
        taken = order_of(subject, new_id(), 141, channel=Channel.BOX_OFFICE, operator="Ada")
        assert await desk.buy(taken, 5_000) == OrderRefused(
            "seat_taken", "", subject.performance, (141,)
        )

    async def test_an_order_is_reserved_approved_and_paid_in_parts(self, subject: Subject) -> None:
        desk = subject.backend.desk
        order = await placed(subject, 19, 20)
        terms = Terms(TermsKind.ON_SITE, first_ms=1_000_000)
        waits = await desk.reserve(order.id, terms, "")
        assert isinstance(waits, Order) and waits.state is OrderState.AWAITING_APPROVAL
        assert await desk.reserve(order.id, terms, "") == waits
        approved = await desk.approve(order.id)
        assert isinstance(approved, Order) and approved.state is OrderState.AWAITING_PAYMENT
        part = await desk.pay(order.id, "cheque", "1", 0, "77", "Ada", 1_500)
        assert isinstance(part, tuple) and part[0].due == 2_500
        assert await desk.pay(order.id, "cheque", "1", 0, "77", "Ada", 1_500) == part
        paid = await desk.pay(order.id, "cash", "2", 2_500, "", "Ada")
        assert isinstance(paid, tuple) and paid[0].state is OrderState.PAID

    async def test_an_order_given_up_leaves_its_hold_open(self, subject: Subject) -> None:
        order = await placed(subject, 15)
        cancelled = await subject.backend.desk.cancel(order.id)
        assert isinstance(cancelled, Order) and cancelled.state is OrderState.CANCELLED
        token = bytes.fromhex(order.holds[0].token)
        (more,) = await submit(subject, hold(16, token=token))
        assert isinstance(more, Held)

    async def test_lines_are_refunded_once(self, subject: Subject) -> None:
        desk = subject.backend.desk
        order = await placed(subject, 17, 18)
        await desk.pay(order.id, "test_card", "1")
        first = order.lines[0].number
        refunded = await desk.refund(order.id, RefundRequest("r1", (first,), "ill", "Ada"))
        assert isinstance(refunded, Order), refunded
        assert [line.state for line in refunded.lines] == [LineState.REFUNDED, LineState.SOLD]
        assert await desk.refund(order.id, RefundRequest("r1", (first,), "ill", "Ada")) == refunded
        rest = await desk.refund(order.id, RefundRequest("r2", (), "", "Ada"))
        assert isinstance(rest, Order) and rest.state is OrderState.REFUNDED
        nothing = await desk.refund(order.id, RefundRequest("r3", (), "", "Ada"))
        assert isinstance(nothing, OrderRefused)

    async def test_an_unknown_order_is_named_as_such(self, subject: Subject) -> None:
        desk, order = subject.backend.desk, "0" * 32
        assert await desk.get(order) is None
        for refused in (
            await desk.pay(order, "test_card", "1"),
            await desk.cancel(order),
            await desk.reserve(order, Terms(TermsKind.PICK_UP), "Ada"),
            await desk.approve(order),
            await desk.refund(order, RefundRequest("r", (), "", "Ada")),
        ):
            assert isinstance(refused, OrderRefused) and refused.code == "order_unknown"

    async def test_an_unsigned_webhook_is_refused(self, subject: Subject) -> None:
        with pytest.raises(SignatureInvalid):
            await subject.backend.desk.webhook(b"{}", "forged")

    # The queries -----------------------------------------------------------------------

    async def test_the_catalogue_knows_what_is_on(self, subject: Subject) -> None:
        catalogue = subject.backend.catalogue
        house = await catalogue.house()
        assert house is not None and house.name and house.time_zone and house.languages
        assert isinstance(house.settings, dict)
        entry = await catalogue.performance(subject.performance)
        assert entry is not None and entry.plan == subject.plan.content_hash()
        assert entry.production.titles and entry.starts_ms > 0
        assert await catalogue.performance(999_999) is None
        assert entry.id in [one.id for one in await catalogue.list_performances()]
        after = await catalogue.list_performances(from_ms=entry.starts_ms + 1)
        assert entry.id not in [one.id for one in after]
        assert await catalogue.plan(entry.plan)
        assert await catalogue.plan("0" * 64) is None
        assert entry.plan in [one.hash for one in await catalogue.list_plans()]
        with pytest.raises(LookupError):
            await catalogue.create_performance(
                999_999, plan_hash=entry.plan, starts_ms=1, settings=entry.settings, now_ms=1
            )

    async def test_a_programme_is_applied_once_and_as_it_was_compared(
        self, subject: Subject
    ) -> None:
        season, plan = subject.backend.season, subject.plan.content_hash()
        house = await subject.backend.catalogue.house()
        entry = await subject.backend.catalogue.performance(subject.performance)
        assert house is not None and entry is not None
        settings = msgspec.json.decode(entry.settings, type=Settings)
        key, currency = f"play {secrets.token_hex(4)}", settings.currency

        def wanted(*starts_ms: int, on: str = plan) -> Programme:
            shown = [PerformanceWanted(f"{ms}", ms, on, settings) for ms in starts_ms]
            made = ProductionWanted(key, {"en": "Play"}, currency, {}, tuple(shown))
            return Programme((made,))

        async def apply(
            programme: Programme, id: bytes, digest: bytes = b"d" * 32, seen: str = ""
        ) -> Changed | Unchanged:
            seen = seen or fingerprint(await season.named([key]))
            return await season.apply(
                house.id, programme, id=id, compared_with=seen, digest=digest, now_ms=1
            )

        ids = [secrets.token_bytes(16) for _ in range(6)]
        empty = fingerprint(await season.named([key]))
        unknown = await apply(wanted(2**40, on="0" * 64), ids[0])
        assert unknown == Unchanged(Reason.PLAN_UNKNOWN, plan="0" * 64)
        first = wanted(2**40, 2**40 + 1)
        assert await apply(first, ids[1]) == Changed(2, 0, 0)
        assert await apply(first, ids[1]) == Changed(2, 0, 0, again=True)
        assert await apply(first, ids[1], b"e" * 32) == Unchanged(Reason.OTHER_CONTENT)
        assert await apply(wanted(), ids[2], seen=empty) == Unchanged(Reason.STALE)
        twice = await apply(wanted(2**40, 2**40), ids[3])
        assert isinstance(twice, Unchanged) and twice.reason is Reason.FAULTY
        (made,) = await season.named([key])
        assert compare(first, [made], 1).is_empty
        assert await apply(wanted(2**40), ids[4]) == Changed(0, 0, 1)
        (made,) = await season.named([key])
        assert [one.withdrawn for one in made.performances] == [False, True]
        (coming,) = [one for one in await season.coming(2**40) if one.key == key]
        assert [one.key for one in coming.performances] == [f"{2**40}"]
        for change in await season.pending():
            await season.told(change.number)
        assert await season.pending() == []

    async def test_operators_log_in_and_are_disabled(self, subject: Subject) -> None:
        access = subject.backend.access
        house = await subject.backend.catalogue.house()
        assert house is not None
        name, at_ms = f"Ada {secrets.token_hex(4)}", now_ms()
        values = {"password_hash": "hash", "roles": ("cashier",), "language": "en"}
        made = await access.create_operator(house.id, name=name, now_ms=at_ms, **values)
        with pytest.raises(subject.backend.conflicts):
            await access.create_operator(house.id, name=name.upper(), now_ms=at_ms, **values)
        found = await access.operator_by_name(name.lower())
        assert found is not None and (found[0].name, found[1]) == (name, "hash")
        assert tuple(found[0].roles) == ("cashier",)
        assert await access.operator_by_name("nobody at all") is None
        digest = digest_of(new_token("o"))
        await access.open_session(
            made.id, token_hash=digest, expires_ms=at_ms + 1_000, now_ms=at_ms
        )
        session = await access.find_session(digest, at_ms)
        assert session is not None and (session[0].name, session[1]) == (name, at_ms + 1_000)
        assert await access.find_session(digest, at_ms + 1_000) is None
        assert await access.disable_operator(made.id)
        assert not await access.disable_operator(made.id)
        assert await access.find_session(digest, at_ms) is None
        assert await access.operator_by_name(name) is None

    async def test_a_session_ends_when_it_is_logged_out(self, subject: Subject) -> None:
        access = subject.backend.access
        house = await subject.backend.catalogue.house()
        assert house is not None
        made = await access.create_operator(
            house.id, name=secrets.token_hex(6), password_hash="", roles=(), language="fr", now_ms=1
        )
        digest = digest_of(new_token("o"))
        await access.open_session(made.id, token_hash=digest, expires_ms=2**40, now_ms=1)
        await access.end_session(digest)
        assert await access.find_session(digest, 2) is None

    async def test_devices_are_known_until_revoked(self, subject: Subject) -> None:
        access = subject.backend.access
        house = await subject.backend.catalogue.house()
        assert house is not None
        digest = digest_of(new_token("d"))
        made = await access.create_device(
            house.id, name="door", token_hash=digest, gate="A", performances=(1, 2), now_ms=1
        )
        found = await access.find_device(digest)
        assert found is not None and (found.id, found.gate) == (made.id, "A")
        assert tuple(found.performances) == (1, 2)
        assert await access.revoke_device(made.id, 2)
        assert not await access.revoke_device(made.id, 3)
        assert await access.find_device(digest) is None
        assert made.id in [one.id for one in await access.list_devices()]

    async def test_a_device_enrols_once_and_in_time(self, subject: Subject) -> None:
        access = subject.backend.access
        house = await subject.backend.catalogue.house()
        assert house is not None
        first, code, late, token = (digest_of(new_token("d")) for _ in range(4))
        made = await access.create_device(
            house.id, name="door", token_hash=first, gate="A", now_ms=1,
            enrolment_hash=code, enrolment_expires_ms=10,
        )  # fmt: skip
        assert await access.enrol_device(code, token_hash=token, now_ms=10) is None
        tried = [access.enrol_device(code, token_hash=digest_of(new_token("d")), now_ms=9)
                 for _ in range(4)]  # fmt: skip
        enrolled = [one for one in await asyncio.gather(*tried) if one is not None]
        assert [one.id for one in enrolled] == [made.id]
        assert await access.find_device(first) is None
        assert await access.offer_enrolment(made.id, enrolment_hash=late, expires_ms=20) is not None
        assert await access.enrol_device(late, token_hash=token, now_ms=19) is not None
        await access.device_seen(token, now_ms=30, kept_scans=4)
        await access.device_seen(token, now_ms=31, kept_scans=None)
        found = await access.find_device(token)
        assert found is not None and (found.seen_ms, found.kept_scans) == (31, 4)
        assert await access.offer_enrolment(made.id, enrolment_hash=code, expires_ms=40) is not None
        assert await access.revoke_device(made.id, 32)
        assert await access.enrol_device(code, token_hash=token, now_ms=33) is None
        assert await access.offer_enrolment(made.id, enrolment_hash=late, expires_ms=40) is None

    async def test_acts_are_listed_latest_first(self, subject: Subject) -> None:
        access = subject.backend.access
        acts = [
            {"at_ms": n, "who": "Ada", "act": "test", "subject": str(n), "detail": {"n": n}}
            for n in range(3)
        ]
        await access.audit(acts[:1])
        await access.audit(acts[1:])
        latest, before = (await access.list_audit(limit=2))[:2]
        assert (latest.subject, latest.detail, before.subject) == ("2", {"n": 2}, "1")
        (earlier,) = await access.list_audit(before=before.id, limit=1)
        assert earlier.subject == "0"

    async def test_sales_find_what_was_sold(self, subject: Subject) -> None:
        order = await placed(subject, 20, buyer=Buyer("Grace Hopper", "grace@example.org"))
        paid = await subject.backend.desk.pay(order.id, "test_card", "1")
        assert isinstance(paid, tuple)
        ticket = paid[0].lines[0].ticket
        sales, performance = subject.backend.sales, subject.performance

        async def ids(text: str, **values: Any) -> list[str]:
            return [sale.id for sale in await sales.search(text, **values)]

        assert order.id in [sale.id for sale in await sales.latest(performance=performance)]
        assert order.id in await ids(str(order.number))
        assert order.id in await ids("hopper")
        assert order.id in await ids("X 1", performance=performance, seats=(20,))
        assert order.id not in await ids("nobody of this name")
        assert order.id not in [
            sale.id for sale in await sales.latest(before=order.number, performance=performance)
        ]
        (by_seat,) = await sales.tickets(performance, seats=(20,))
        assert (by_seat.number, by_seat.order, by_seat.seat) == (ticket, order.id, 20)
        whole = await sales.ticket(performance, ticket)
        assert whole is not None and whole[0].number == ticket
        assert await sales.ticket(performance, 999_999) is None
        assert ticket in [one.number for one in await sales.tickets(performance, order=order.id)]

    async def test_the_list_follows_places_from_their_order_to_their_refund(
        self, subject: Subject
    ) -> None:
        listed, desk, performance = (
            subject.backend.ticket_list,
            subject.backend.desk,
            subject.performance,
        )
        order = await placed(subject, 21, 22)
        wanted = ListFilter(performances=(performance,), text=f"#{order.number}")

        async def told() -> tuple[list[str], list[int]]:
            page = await listed.page(wanted, limit=1)
            page = [*page, *await listed.page(wanted, after=page[-1].cursor, limit=9)]
            totals = await listed.totals(wanted)
            kinds = [totals.places, totals.sold, totals.paid, totals.refunded, totals.scanned]
            assert [row.line for row in page] == [1, 2]
            assert {row.seat for row in page} == {21, 22}
            return [row.status.value for row in page], kinds

        assert await told() == (["pending", "pending"], [2, 0, 0, 0, 0])
        assert isinstance(await desk.pay(order.id, "test_card", "1"), tuple)
        assert await told() == (["valid", "valid"], [2, 2, 2, 0, 0])
        assert isinstance(await desk.refund(order.id, RefundRequest("r1", (1,))), Order)
        assert await told() == (["refunded", "valid"], [2, 1, 1, 1, 0])
        found = await listed.showings([performance, 999_999])
        assert list(found) == [performance]
        nobody = ListFilter(performances=(performance,), text="nobody of this name")
        assert list(await listed.page(nobody)) == []
        (whole,) = await subject.backend.sales.orders([order.id, "0" * 32])
        assert (whole.id, whole.number) == (order.id, order.number)

    async def test_what_readiness_asks_answers(self, subject: Subject) -> None:
        assert subject.backend.checks
        for check in subject.backend.checks.values():
            await check()

    async def test_a_journal_is_read_from_any_position(self, subject: Subject) -> None:
        page, performance = subject.backend.history.page, subject.performance
        commands = [hold(0, 1), hold(1), hold(3)]
        for command in commands:
            await submit(subject, command)
        told, seq = [], 0
        while (found := await page(performance, seq)) is not None and found.batches:
            for batch in found.batches:
                assert batch.prev_seq == seq and batch.epoch >= 1
                seq = batch.seq
                told += msgspec.msgpack.decode(batch.events, type=list[Event])
            assert found.first_ms <= found.batches[-1].at_ms <= found.last_ms
            assert seq <= found.head_seq
        assert found is not None and found.head_seq == seq == len(told)
        asked = [event for event in told if event.command in commands]
        assert [event.command for event in asked] == commands
        assert isinstance(asked[1].outcome, Refused)
        assert await page(performance + 1_000, 0) is None

    async def test_a_journals_chain_is_checked_where_it_lies(self, subject: Subject) -> None:
        await submit(subject, hold(0))
        history, performance = subject.backend.history, subject.performance
        found = await history.check(performance, [])
        assert found is not None and found.faults == () and found.batches >= 1
        marked = await history.check(performance, [found.head_seq, 10**9])
        assert marked is not None and set(marked.hashes) == {found.head_seq}
        assert len(marked.hashes[found.head_seq]) == 64
        assert performance in await history.journals(performance - 1)
        assert performance not in await history.journals(performance)
        assert await history.check(performance + 1_000, []) is None

    async def test_the_status_tells_what_became_of_a_hold(self, subject: Subject) -> None:
        await submit(subject, hold(5))
        before = await told_of(subject)
        await submit(subject, hold(0, 1))
        after = await told_of(subject)
        assert after.seq > before.seq and after.epoch == before.epoch >= 1
        assert after.commits > before.commits and after.recoveries >= 1
        assert after.ready and not after.stopped and after.uncommitted == 0
        assert sum(after.seats) == len(subject.plan.seats)
        assert (after.holds, after.seats[SeatStatus.HELD]) == (
            before.holds + 1,
            before.seats[SeatStatus.HELD] + 2,
        )
        assert after.use.resident_bytes > 1_000_000 and after.use.cpu_s > 0

    async def test_the_status_tells_of_every_part_that_answers(self, subject: Subject) -> None:
        await submit(subject, hold(2))
        status = await subject.backend.status()
        assert {"directory", "journal", "desk"} <= set(status.up) and all(status.up.values())
        assert set(status.uses) == {"gateway", *status.up}
        assert status.journal is not None and status.journal.batches >= 1
        assert sum(status.journal.commit_s.counts) >= 1
        assert status.lanes >= 1
