"""Another price type for sold tickets: what changes, what stays, and each refusal."""

import pytest

from engine.commands import (
    Channel,
    Quoted,
    Refusal,
    Refused,
    Reprice,
    Repriced,
    ScanOutcome,
    Ticket,
    TicketState,
)
from engine.performance import Performance
from engine.settings import Fee, FeeKind, Price, PriceType, Quota, SaleStatus
from tests.engine.small import NOW_MS, Play, house, settings

PLAN = house(["aaaaaaaaaa", "bbbbbbbbbb"], areas=[(6, "c")])
HALF = {0: 500, 1: 450, 2: 400}


@pytest.fixture
def play() -> Play:
    """Tickets 1 and 2 (row a), 3 (row b) of order o1, 4 of order o2, all full."""
    play = Play(PLAN)
    play.buy(0, 1, 10)
    play.buy(5, by="bob", order="o2")
    return play


def asked(play: Play, *kinds: tuple[int, str], **more: object) -> object:
    """The answer to a repricing, or (without `amounts`) to the question what it comes to."""
    values: dict[str, object] = {"order": "o1", "channel": Channel.BOX_OFFICE} | more
    values |= {"priced_ms": more.get("priced_ms", play.at_ms), "tickets": kinds}
    return play.apply(Reprice(play.id(), **values))  # type: ignore[arg-type]


def test_a_quote_tells_the_amounts_and_fees_and_changes_nothing(play: Play) -> None:
    play.configure(fees=(Fee("booking", {"en": "Booking"}, FeeKind.SERVICE, 100),))
    before = play.live.snapshot()
    quoted = asked(play, (1, "half"), (3, "half"))
    assert isinstance(quoted, Quoted)
    assert (quoted.amounts, quoted.total, quoted.currency) == ((500, 450), 950, "EUR")
    assert [(fee.fee, fee.amount, fee.line) for fee in quoted.fees] == [
        ("booking", 100, 0),
        ("booking", 100, 1),
    ]
    assert play.live.snapshot() == before


def test_a_quote_tells_the_rates_of_vat(play: Play) -> None:
    prices = (Price(0, "full", 1_000), Price(0, "half", 500, vat_bp=550))
    play.configure(prices=prices, vat_bp=1_000)
    quoted = asked(play, (1, "half"))
    assert isinstance(quoted, Quoted) and quoted.rates == (550,)


def test_tickets_keep_number_place_and_order_and_get_a_new_secret(play: Play) -> None:
    statuses = play.live.statuses()
    outcome = asked(play, (3, "half"), (1, "half"), amounts=(450, 500))
    assert outcome == Repriced(
        "o1", (Ticket(3, 10, -1, "half", 450, 1), Ticket(1, 0, -1, "half", 500, 1))
    )
    assert [(one.number, one.price_type, one.amount) for one in play.live.tickets] == [
        (1, "half", 500),
        (2, "full", 1_000),
        (3, "half", 450),
        (4, "full", 1_000),
    ]
    assert play.live.statuses() == statuses
    old, new, other = play.scan(1), play.scan(1, version=1), play.scan(2)
    assert [one.result for one in (old, new, other)] == [  # type: ignore[union-attr]
        ScanOutcome.REVOKED,
        ScanOutcome.ADMITTED,
        ScanOutcome.ADMITTED,
    ]
    assert new.price_type == "half"  # type: ignore[union-attr]


def test_it_is_done_once_and_a_journal_tells_it_again(play: Play) -> None:
    first = Performance(7, PLAN, settings())
    command = Reprice(play.id(), "o1", Channel.WEB, ((1, "half"),), play.at_ms, (500,))
    outcome = play.apply(command)
    assert play.apply(command) == outcome
    assert play.live.ticket_versions == {1: 1}
    first.replay(play.live.events)
    assert first.snapshot() == play.live.snapshot()
    assert Performance.restore(7, PLAN, first.snapshot()).snapshot() == play.live.snapshot()


def test_places_of_areas_are_repriced_too() -> None:
    play = Play(PLAN)
    play.buy(areas=((0, 2),))
    outcome = asked(play, (2, "half"), amounts=(400,))
    assert outcome == Repriced("o1", (Ticket(2, -1, 0, "half", 400, 1),))


def test_quotas_count_what_it_is_now() -> None:
    quota = Quota("half", {"en": "Half"}, 1, price_types=("half",))
    play = Play(PLAN, settings(quotas=(quota,)))
    play.buy(0, 1)
    full = Refused(Refusal.QUOTA_FULL, (), "half: 1 left")
    assert asked(play, (1, "half"), (2, "half")) == full
    assert isinstance(asked(play, (1, "half")), Quoted)
    assert isinstance(asked(play, (2, "half")), Quoted)
    assert isinstance(asked(play, (1, "half"), amounts=(500,)), Repriced)
    # Both were quoted; only one is done, because it is judged once more.
    full = Refused(Refusal.QUOTA_FULL, (), "half: 0 left")
    assert asked(play, (2, "half"), amounts=(500,)) == full
    assert isinstance(asked(play, (1, "full"), amounts=(1_000,)), Repriced)
    assert isinstance(asked(play, (2, "half"), amounts=(500,)), Repriced)
    used = play.live.quotas
    assert used is not None and [one.used for one in used.uses()] == [1]
    play.live.recount_quotas()
    assert play.live.quotas is not None and [one.used for one in play.live.quotas.uses()] == [1]


def test_limits_of_a_type_are_over_all_that_the_order_has() -> None:
    types = (PriceType("full", {}), PriceType("half", {}, max_per_order=2))
    play = Play(PLAN, settings(price_types=types))
    play.buy(0, 1, 2, 3)
    too_many = Refused(Refusal.TOO_MANY_OF_TYPE, (), "half")
    assert asked(play, (1, "half"), (2, "half"), (3, "half")) == too_many
    asked(play, (1, "half"), (2, "half"), amounts=(500, 500))
    assert asked(play, (3, "half")) == too_many
    play.refund(1)
    assert isinstance(asked(play, (3, "half")), Quoted)


def test_prices_are_those_of_the_time_when_it_was_quoted() -> None:
    early = PriceType("half", {}, until_ms=NOW_MS + 1_000)
    play = Play(PLAN, settings(price_types=(PriceType("full", {}), early)))
    play.buy(0)
    play.at_ms += 5_000
    assert asked(play, (1, "half")) == Refused(Refusal.NO_PRICE, (0,), "half")
    assert isinstance(asked(play, (1, "half"), priced_ms=NOW_MS, amounts=(500,)), Repriced)


def test_each_refusal(play: Play) -> None:
    counter = PriceType("half", {}, box_office_only=True)
    no_price = Refused(Refusal.NO_PRICE, (0,), "half")
    rows = [
        ((), {}, Refused(Refusal.MALFORMED)),
        (((1, "half"), (1, "half")), {}, Refused(Refusal.MALFORMED)),
        (((1, "half"),), {"amounts": (500, 500)}, Refused(Refusal.MALFORMED)),
        (((1, "full"),), {}, Refused(Refusal.MALFORMED, (), "a place has this price type already")),
        (((0, "half"),), {}, Refused(Refusal.TICKET_UNKNOWN, (), "0")),
        (((4, "half"),), {}, Refused(Refusal.TICKET_UNKNOWN, (), "4")),
        (((9, "half"),), {}, Refused(Refusal.TICKET_UNKNOWN, (), "9")),
        (((1, "none"),), {}, Refused(Refusal.NO_PRICE, (0,), "none")),
        (((1, "half"),), {"amounts": (499,)}, no_price),
    ]
    for kinds, more, refused in rows:
        assert asked(play, *kinds, **more) == refused, (kinds, more)
    for change, more, refused in (
        ({"sale_closes_ms": NOW_MS}, {"channel": Channel.WEB}, Refused(Refusal.NOT_ON_SALE)),
        (
            {"tills_open_ms": NOW_MS + 1},
            {},
            Refused(Refusal.NOT_ON_SALE, (), str(NOW_MS + 1)),
        ),
        (
            {"price_types": (PriceType("full", {}), counter)},
            {"channel": Channel.WEB},
            no_price,
        ),
        ({"prices": (Price(0, "full", 1_000),)}, {}, no_price),
    ):
        play.configure(**change)
        assert asked(play, (1, "half"), **more) == refused, change
        play.configure()
    play.scan(1)
    play.set_tickets(2, state=TicketState.BLOCKED)
    play.refund(3)
    for number, code in (
        (1, Refusal.TICKET_USED),
        (2, Refusal.TICKET_STATE),
        (3, Refusal.TICKET_STATE),
    ):
        for amounts in ((), (500 - 50 * (number == 3),)):
            assert asked(play, (number, "half"), amounts=amounts) == Refused(code, (), str(number))
    assert play.live.ticket_versions == {}
    play.configure(status=SaleStatus.CANCELLED)  # for good
    assert asked(play, (4, "half"), order="o2") == Refused(Refusal.NOT_ON_SALE)
