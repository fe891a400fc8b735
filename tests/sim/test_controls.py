"""Each guard in turn is off, and the simulator finds it out: else whole worlds prove nothing."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import count

import pytest
from msgspec.structs import replace

import engine.ordering
from engine.actors.canceller import Canceller
from engine.actors.order_keeper import OrderKeeper
from engine.actors.readers import StripeReaders
from engine.actors.saga import Saga, step_id
from engine.commands import Ticket
from engine.orders import Order
from engine.payments import Payment, ProviderEvent, ProviderEventKind
from engine.performance import Performance
from engine.quotas import Counted, Quotas
from engine.stock import Stock
from tests.sim.desk import Tables
from tests.sim.installation import Guards
from tests.sim.many import first_found
from tests.sim.provider import Account, Object

SEEDS = 100
"""Within so many each must be found."""


@pytest.mark.parametrize(
    "guards",
    [
        Guards(waits_for_commit=False),
        Guards(fencing=False),
        Guards(remembers_ids=False),
        Guards(reads_tail=False),
        Guards(remembers_kept=False),
    ],
    ids=[
        "answers before commit",
        "no fencing",
        "forgets ids",
        "forgets the journal's tail",
        "forgets kept scans",
    ],
)
def test_a_guard_that_is_off_is_found_out(guards: Guards) -> None:
    assert first_found(guards, SEEDS) is not None


def test_the_second_wall_stands_alone() -> None:
    """It is there for a writer whose memory is wrong: with one, it alone keeps the tables right."""
    assert first_found(Guards(reads_tail=False), SEEDS, "sold twice") is None
    both_off = Guards(reads_tail=False, second_wall=False)
    assert first_found(both_off, SEEDS, "sold twice") is not None


@pytest.mark.parametrize(
    "guards",
    [
        Guards(waits_for_commit=False),
        Guards(remembers_ids=False),
        Guards(reads_tail=False, second_wall=False),
        Guards(remembers_kept=False),
    ],
    ids=[
        "answers before commit",
        "forgets ids",
        "forgets the journal's tail",
        "forgets kept scans",
    ],
)
def test_what_clients_were_told_gives_it_away(guards: Guards) -> None:
    """Without a look at the journal, by the checker of histories alone."""
    assert first_found(guards, SEEDS, "not linearizable", inside=False) is not None


def test_a_quota_that_is_not_kept_is_found_out_by_the_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Quotas, "refuse", lambda *_: None)
    found = first_found(Guards(), SEEDS, "not linearizable", inside=False, ruled=True)
    assert found is not None


def test_a_quota_that_counts_what_has_ended_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Quotas.count

    def forgetful(quotas: Quotas, places: Iterable[Counted], sign: int) -> None:
        if sign > 0:
            count(quotas, places, sign)

    monkeypatch.setattr(Quotas, "count", forgetful)
    found = first_found(Guards(), SEEDS, "not linearizable", inside=False, ruled=True)
    assert found is not None


def test_an_allocation_that_stays_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stock, "to_release", lambda *_: ())
    assert first_found(Guards(), SEEDS, "not released", ruled=True) is not None


def test_a_sale_outside_its_times_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    configure = Performance.configure

    def always_open(live: Performance, settings: object) -> None:
        configure(live, settings)  # type: ignore[arg-type]
        live.online_times = live.till_times = (0, 2**62)

    monkeypatch.setattr(Performance, "configure", always_open)
    assert first_found(Guards(), SEEDS, "sale times", ruled=True) is not None


# With orders --------------------------------------------------------------------------


def found_with_orders(kind: str, guards: Guards | None = None) -> bool:
    return first_found(guards or Guards(), SEEDS, kind, orders=True) is not None


def test_keys_that_change_with_every_try_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(
        account: Account, key: str, form: Object, do: Callable[[Object], Object]
    ) -> Object:
        return do(form)

    monkeypatch.setattr(Account, "once", forgetful)
    assert found_with_orders("twice")


def test_a_desk_that_steps_before_it_saves_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It saves where an order ends, and not what it is about to do."""
    save = OrderKeeper.save

    async def hasty(keeper: OrderKeeper, order: Order) -> Order:
        if order.revision and not order.finished:
            keeper._known[order.id] = order
            return order
        return await save(keeper, order)

    monkeypatch.setattr(OrderKeeper, "save", hasty)
    assert found_with_orders("tickets")


def test_ids_of_steps_that_change_with_every_try_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = count()

    def fresh(subject: str, step: str, performance: int) -> bytes:
        return step_id(f"{subject}/{next(tries)}", step, performance)

    monkeypatch.setattr("engine.actors.saga.step_id", fresh)
    assert found_with_orders("tickets")


def test_two_desks_that_nobody_keeps_apart_are_found_out() -> None:
    assert found_with_orders("", Guards(desk_fencing=False))


def test_what_stays_sold_of_an_order_that_failed_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail = Saga._fail

    async def careless(saga: Saga, order: Order, tickets: dict[int, tuple[Ticket, ...]]) -> Order:
        return await fail(saga, order, {})

    monkeypatch.setattr(Saga, "_fail", careless)
    assert found_with_orders("tickets")


def test_money_that_comes_too_late_and_is_kept_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def keep(payment: Payment, till: str) -> Payment:
        return payment

    monkeypatch.setattr(engine.ordering, "_with_late_refund", keep)
    assert found_with_orders("stuck")


@pytest.mark.soak
def test_a_desk_that_looks_for_unfinished_orders_once_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(keeper: OrderKeeper) -> None:
        pass

    monkeypatch.setattr(OrderKeeper, "look_again", never)
    monkeypatch.setattr("tests.sim.desk.LATE_COMMITS", 0.7)
    # It takes a save that comes too late for the next desk's look, and a customer who is gone.
    assert first_found(Guards(), 3 * SEEDS, "stuck", orders=True) is not None


def test_an_answer_before_the_save_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    save = OrderKeeper.save
    saving = set()

    async def early(keeper: OrderKeeper, order: Order) -> Order:
        task = asyncio.ensure_future(save(keeper, order))
        saving.add(task)
        task.add_done_callback(saving.discard)
        return replace(order, number=order.number or 1, revision=order.revision + 1)

    monkeypatch.setattr(OrderKeeper, "save", early)
    assert found_with_orders("not saved")


def test_money_that_is_handed_back_at_no_till_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An order has left its till session when it turns out that its seats are lost."""
    monkeypatch.setattr(Order, "moves_by_hand", False)
    assert found_with_orders("till")


def test_money_that_moves_in_a_closed_session_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tables, "_shut", lambda *_: [])
    assert found_with_orders("till")


def test_a_reader_that_is_not_stopped_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def believe(_: StripeReaders, payment: Payment, why: str = "") -> ProviderEvent:
        ended = ProviderEvent(ProviderEventKind.EXPIRED, payment.intent, payment.currency)
        return replace(ended, payment=payment.id, intent=payment.intent)

    monkeypatch.setattr(StripeReaders, "stop", believe)
    assert found_with_orders("reader")


def test_a_reader_that_is_asked_before_the_save_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = Saga.keep

    async def hasty(saga: Saga, order: Order, changed: Order) -> Order:
        known = any(one.intent for one in order.payments)
        if not known and any(one.intent and one.at_reader for one in changed.payments):
            return changed
        return await keep(saga, order, changed)

    monkeypatch.setattr(Saga, "keep", hasty)
    assert found_with_orders("reader")


def test_a_sale_that_goes_on_while_it_is_called_off_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The orders are given back first, and then the sale is ended."""

    async def late(canceller: Canceller, performance: int, operator: str, reason: str) -> None:
        await canceller._book.gather(performance)
        if await canceller._walk(performance, operator, reason):
            await canceller._end_sale(performance)
            await canceller._book.end(performance)

    monkeypatch.setattr(Canceller, "_one", late)
    assert found_with_orders("called off")
