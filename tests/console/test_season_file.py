"""Season files: what they say, what is wrong with them and where, and that none is lost."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from msgspec import inspect, structs
from msgspec.structs import replace

from console.season.asking import names_of
from console.season.dates import to_ms
from console.season.problems import SeasonError
from console.season.reading import House
from console.season.terms import AMOUNTS, LENGTHS, PLACES, PlanNames, keys_of
from console.season.writing import write_season
from engine.season import (
    PerformanceFound,
    PerformanceWanted,
    ProductionFound,
    Programme,
    compare,
)
from engine.settings import (
    Fee,
    FeeKind,
    FeePer,
    Gate,
    KeptSeats,
    Price,
    PriceType,
    Quota,
    ReEntry,
    Returns,
    ReturnWay,
    SaleStatus,
    Settings,
    Surplus,
    TypeStatus,
)
from renderers.i18n import translator
from tests.console.seasons import DOCS, HOUSE, example, example_plan, read

PARIS = ZoneInfo("Europe/Paris")
PLAN = names_of(example_plan())
START = '[plan.p]\nfile = "p"\n[production.a]\ntitle = "A"\ncurrency = "EUR"\nplan = "p"\n'
"""A production without dates; what follows is said of it."""
NOW_MS = to_ms(datetime(2026, 11, 22), PARIS)


def one(text: str) -> list[PerformanceWanted]:
    """The performances of a production of which this is said."""
    (production,) = read(START + text).programme.productions
    return list(production.performances)


def problems(text: str, house: House = HOUSE, **plans: PlanNames) -> dict[str, str]:
    """Of a bad file: the code by the place."""
    with pytest.raises(SeasonError) as caught:
        read(text, house, **plans)
    t = translator("en"), translator("fr")
    for problem in caught.value.problems:
        assert all(problem.words(each) for each in t)
    return {problem.path: problem.code for problem in caught.value.problems}


# What is said -----------------------------------------------------------------------------


def test_the_example_says_what_the_page_explains() -> None:
    hamlet, cabaret = read(example()).programme.productions
    assert (hamlet.key, hamlet.titles, hamlet.currency) == (
        "hamlet", {"fr": "Hamlet", "en": "Hamlet"}, "EUR",
    )  # fmt: skip
    by_key = {each.key: each for each in hamlet.performances}
    # Seven weeks of six evenings from a Tuesday to a Sunday: a Tuesday and a Sunday less, one more.
    assert len(by_key) == 7 * 6 - 2 + 1
    assert {"2027-02-02T20:30", "2027-02-07T16:00"}.isdisjoint(by_key)
    usual, last = by_key["2027-02-03T14:00"].settings, by_key["2027-02-28T16:00"]
    assert usual.status is SaleStatus.ON_SALE and usual.hold_ms == 900_000
    assert last.settings.status is SaleStatus.BOX_OFFICE
    assert [each.amount for each in last.settings.prices] == [
        3_600, 4_000, 2_450, 2_800, 1_400, 1_000,
    ]  # fmt: skip
    early = usual.price_types[2]
    assert early.until_ms == to_ms(datetime(2027, 1, 13, 18), PARIS)
    assert usual.fees[0].percent_bp == 250 and usual.fees[0].fixed == 50
    assert last.settings.doors_open_ms == last.starts_ms - 45 * 60_000
    premiere = {each.key: each for each in cabaret.performances}["premiere"]
    assert premiere.settings.currency == cabaret.currency == "CHF"
    assert [(each.category, each.price_type) for each in premiere.settings.prices] == [
        (1, "full"),
        (1, "early"),
    ]
    assert usual.returns == Returns(48 * 3_600_000, 150) and premiere.settings.returns is None
    assert premiere.settings.status is SaleStatus.HIDDEN and premiere.settings.max_per_buyer == 2


def test_the_page_names_every_key() -> None:
    page = (DOCS / "season-file.md").read_text()
    for kind in (Settings, PriceType, Price, Fee, Gate, Quota, Surplus, Returns, KeptSeats):
        for key in keys_of(kind):
            # What is the key of a table is said as that.
            said = key in ("id", "category", "price_type") or f"`{key}" in page
            assert said, f"{kind.__name__}.{key} is not in the page"


def test_every_number_of_the_settings_has_a_way_to_be_written() -> None:
    """A new field that is a number must be an amount, a length, a place, a moment, or a count."""
    counts = {"max_per_order", "max_per_buyer", "capacity", "limit"}
    seen = set()

    def numbers(kind: inspect.Type) -> None:
        if isinstance(kind, inspect.StructType):
            for each in structs.fields(kind.cls):
                inner = inspect.type_info(each.type)
                if isinstance(inner, inspect.IntType):
                    seen.add(each.name)
                numbers(inner)
        elif isinstance(kind, inspect.VarTupleType):
            numbers(kind.item_type)
        elif isinstance(kind, inspect.Metadata):
            numbers(kind.type)
        elif isinstance(kind, inspect.UnionType):
            for inner in kind.types:
                numbers(inner)

    numbers(inspect.type_info(Settings))
    assert {"amount", "hold_ms", "until_ms", "category", "percent_bp", "capacity"} <= seen
    known = AMOUNTS | LENGTHS | set(PLACES) | counts
    assert [each for each in seen - known if not each.endswith(("_ms", "_bp"))] == []


def test_what_is_nearer_counts_and_false_takes_away() -> None:
    first, second, third = one(
        """
        max_per_order = 5
        prices.Fauteuil = { full = 20, child = 10.5 }
        price_type.full.name = "Full"
        price_type.child = { name = { fr = "Enfant" }, until = 2027-01-01T10:00:00 }
        dates = [2027-01-05T20:00:00]
        [[production.a.rule]]
        every = "wednesday 20:00"
        from = 2027-01-06
        to = 2027-01-06
        max_per_order = 6
        prices.Fauteuil.full = 25
        [[production.a.performance]]
        key = "2027-01-06T20:00"
        start = 2027-01-07T20:00:00
        price_type.child.until = "none"
        [[production.a.performance]]
        key = "gala"
        start = 2027-01-07T20:00:00
        price_type.child = false
        prices.Fauteuil = { full = 100 }
        """
    )
    assert [each.key for each in (first, second, third)] == [
        "2027-01-05T20:00", "2027-01-06T20:00", "gala",
    ]  # fmt: skip
    assert second.starts_ms == third.starts_ms
    assert [each.settings.max_per_order for each in (first, second, third)] == [5, 6, 5]
    amounts = [[each.amount for each in one.settings.prices] for one in (first, second, third)]
    assert amounts == [[2_000, 1_050], [2_500, 1_050], [10_000]]
    assert first.settings.price_types[1].until_ms == to_ms(datetime(2027, 1, 1, 10), PARIS)
    assert second.settings.price_types[1] == PriceType("child", {"fr": "Enfant"})
    assert [each.id for each in third.settings.price_types] == ["full"]


def test_sale_times_quotas_and_prices_that_follow_each_other() -> None:
    (found,) = one(
        """
        dates = [2027-01-05T20:00:00]
        sale_opens = "6 weeks before 10:00"
        sale_closes = "2 h before"
        tills_close = "30 min after"
        price_type.full = { name = "Full", status = "closed" }
        prices.Debout.full = [
            { amount = 12, until = 2027-01-01T00:00:00 },
            { amount = 15.5, from = 2027-01-01T00:00:00 },
        ]
        quota.all = { name = "All", limit = 40, categories = ["Debout"], price_types = ["full"] }
        surplus = { areas = ["Debout"] }
        """
    )
    settings, year = found.settings, to_ms(datetime(2027, 1, 1), PARIS)
    assert settings.sale_opens_ms == to_ms(datetime(2026, 11, 24, 10), PARIS)
    assert settings.tills_close_ms - settings.sale_closes_ms == 150 * 60_000
    assert settings.prices == (
        Price(1, "full", 1_200, until_ms=year),
        Price(1, "full", 1_550, from_ms=year),
    )
    assert settings.quotas == (Quota("all", {"fr": "All", "en": "All"}, 40, (1,), ("full",)),)
    assert settings.surplus == Surplus(areas=(0,))
    assert settings.price_types[0].status is TypeStatus.CLOSED


def test_a_price_may_be_of_a_category_that_another_plan_has() -> None:
    other = PlanNames("b" * 64, "Club", ("Table",), (), ())
    season = read(
        """
        [plan.p]
        file = "p"
        [plan.q]
        file = "q"
        [defaults]
        currency = "JPY"
        price_type.full.name = "F"
        prices = { Fauteuil.full = 2000, Table.full = 3000 }
        [production.a]
        title = "A"
        plan = "p"
        dates = [2027-01-05T20:00:00]
        [production.b]
        title = "B"
        plan = "q"
        dates = [2027-01-05T20:00:00]
        """,
        q=other,
    )
    prices = [each.performances[0].settings.prices for each in season.programme.productions]
    assert prices == [(Price(0, "full", 2000),), (Price(0, "full", 3000),)]


# What is wrong, and where -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("max_per_ordre = 3\ndates = [2027-01-05T20:00:00]", "production.a.max_per_ordre",
         "unknown_key"),
        ("status = 'sold'\ndates = [2027-01-05T20:00:00]", "production.a.status", "not_one_of"),
        ("max_per_order = '3'\ndates = [2027-01-05T20:00:00]", "production.a.max_per_order",
         "number_wanted"),
        ("max_per_order = true\ndates = [2027-01-05T20:00:00]", "production.a.max_per_order",
         "number_wanted"),
        ("orphan_rule = 1\ndates = [2027-01-05T20:00:00]", "production.a.orphan_rule",
         "truth_wanted"),
        ("hold = 900\ndates = [2027-01-05T20:00:00]", "production.a.hold", "length_wanted"),
        ("doors_open = 'early'\ndates = [2027-01-05T20:00:00]", "production.a.doors_open",
         "moment_wanted"),
        ("doors_open = 2027-03-28T02:30:00\ndates = [2027-03-28T20:00:00]",
         "production.a.doors_open", "skipped_time"),
        ("dates = [2027-01-05T20:00:00, 2027-03-28T02:30:00]", "production.a.dates[2]",
         "skipped_time"),
        ("dates = [2027-01-05]", "production.a.dates[1]", "time_wanted"),
        ("dates = 2027-01-05T20:00:00", "production.a.dates", "list_wanted"),
        ("dates = [2027-01-05T20:00:00, 2027-01-05T20:00:00]", "production.a.dates[2]", "twice"),
        ("rule = [{ every = 'freeday 20:00', from = 2027-01-05, to = 2027-01-06 }]",
         "production.a.rule[1].every", "rule_word"),
        ("rule = [{ every = 'friday', from = 2027-01-05, to = 2027-01-06 }]",
         "production.a.rule[1].every", "rule_ends"),
        ("rule = [{ every = 'friday 20:00', from = 2027-01-05, to = 2027-01-04 }]",
         "production.a.rule[1]", "ends_before"),
        ("rule = [{ every = 'friday 20:00', from = 2027-01-05T20:00:00, to = 2027-01-04 }]",
         "production.a.rule[1].from", "date_wanted"),
        ("rule = [{ every = 'friday 20:00', from = 2027-01-05 }]", "production.a.rule[1]",
         "missing"),
        ("rule = [{ every = 'friday 20:00', from = 2027-01-05, to = 2027-01-20, "
         "except = [2027-01-09] }]", "production.a.rule[1].except", "no_such_date"),
        ("[[production.a.performance]]\nkey = 'x'", "production.a.performance[1]", "missing"),
        ("[[production.a.performance]]\nkey = '?'\nstart = 2027-01-05T20:00:00",
         "production.a.performance[1].key", "bad_key"),
        ("[[production.a.performance]]\nstart = 'tonight'", "production.a.performance[1].start",
         "time_wanted"),
        ("plan = 'q'", "", "not_toml"),
        ("dates = [2027-01-05T20:00:00]\nprices.Balcon.full = 3\nprice_type.full.name = 'F'",
         "production.a.prices.Balcon", "not_in_plan"),
        ("dates = [2027-01-05T20:00:00]\nprices.Fauteuil.full = 3",
         "production.a.prices.Fauteuil.full", "price_type_unknown"),
        ("dates = [2027-01-05T20:00:00]\nprices.Fauteuil.full = 3.005\nprice_type.full.name = 'F'",
         "production.a.prices.Fauteuil.full", "too_fine"),
        ("dates = [2027-01-05T20:00:00]\nprices.Fauteuil.full = 'x'\nprice_type.full.name = 'F'",
         "production.a.prices.Fauteuil.full", "amount_wanted"),
        ("dates = [2027-01-05T20:00:00]\nprices.Fauteuil = 3", "production.a.prices.Fauteuil",
         "table_or_false"),
        ("dates = [2027-01-05T20:00:00]\nprice_type.full = {}", "production.a.price_type.full",
         "missing"),
        ("dates = [2027-01-05T20:00:00]\nprice_type.full = 1", "production.a.price_type.full",
         "table_or_false"),
        ("dates = [2027-01-05T20:00:00]\nprice_type.full.name.fr = 1",
         "production.a.price_type.full.name.fr", "text_wanted"),
        ("dates = [2027-01-05T20:00:00]\nprice_type.full.name = 1",
         "production.a.price_type.full.name", "texts_wanted"),
        ("dates = [2027-01-05T20:00:00]\nfee.a = { name = 'a', percent = 200 }",
         "production.a.fee.a.percent", "out_of_range"),
        ("dates = [2027-01-05T20:00:00]\nfee.a = { name = 'a', percent = inf }",
         "production.a.fee.a.percent", "too_fine"),
        ("dates = [2027-01-05T20:00:00]\ngate.a = { name = 'a', sections = ['Nowhere'] }",
         "production.a.gate.a.sections", "not_in_plan"),
        ("dates = [2027-01-05T20:00:00]\ngate.a = { name = 'a', sections = 'Parterre' }",
         "production.a.gate.a.sections", "list_wanted"),
        ("dates = [2027-01-05T20:00:00]\nmax_per_order.a = 3", "production.a.max_per_order",
         "no_table"),
        ("dates = [2027-01-05T20:00:00]\ngate = 3", "production.a.gate", "table_wanted"),
        ("dates = [2027-01-05T20:00:00]\nsale_opens = 2027-01-02T10:00:00\n"
         "sale_closes = 2027-01-01T10:00:00", "production.a.dates[1]", "contradiction"),
        ("dates = [2027-01-05T20:00:00]\nsurplus.areas = ['Nowhere']",
         "production.a.surplus.areas", "not_in_plan"),
        ("[plan]\nx = 3", "plan.x", "table_wanted"),
        ("[defaults.x]\ny = 1", "defaults.x", None),
        ("[unheard]\nof = 1", "unheard", "unknown_key"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, place: str, code: str | None) -> None:
    if code is None:
        # What nothing inherits is read by nobody.
        assert one(text) == []
        return
    assert problems(START + text).get(place) == code


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("[plan.p]\n", "plan.p", "file_or_hash"),
        ("[plan.p]\nfile = 'a'\nhash = 'b'\n", "plan.p", "file_or_hash"),
        ("[plan.p]\nfile = 'a'\nfiles = 'b'\n", "plan.p.files", "unknown_key"),
        ("plan = 3", "plan", "table_wanted"),
        ("production.a = 3", "production.a", "table_wanted"),
        ("defaults = 3", "defaults", "table_wanted"),
        ("[production.a]\ncurrency = 'EUR'", "production.a", "missing"),
        ("[production.a]\ntitle = 'A'", "production.a", "missing"),
        ("[production.a]\ntitle = 'A'\ncurrency = 'euro'", "production.a.currency",
         "bad_currency"),
        ("[production.a]\ntitle = 3\ncurrency = 'EUR'", "production.a.title", "texts_wanted"),
        ("[production.'?']\ntitle = 'A'\ncurrency = 'EUR'", 'production."?"', "bad_key"),
        ("[production.a]\ntitle = 'A'\ncurrency = 'EUR'\ndates = [2027-01-05T20:00:00]",
         "production.a.dates[1]", "missing"),
        ("[production.a]\ntitle = 'A'\ncurrency = 'EUR'\nplan = 'q'\n"
         "dates = [2027-01-05T20:00:00]", "production.a.plan", "no_such_plan"),
        ("time_zone = 'Europe/Zurich'", "time_zone", "other_zone"),
        ("a = ", "", "not_toml"),
    ],
)  # fmt: skip
def test_a_mistake_above_is_told_with_its_place(text: str, place: str, code: str) -> None:
    assert problems(text).get(place) == code


def test_all_mistakes_are_told_at_once_and_each_once() -> None:
    found = problems(
        START
        + """
        hold = "long"
        rule = [{ every = "daily 20:00", from = 2027-01-05, to = 2027-01-30, doors_open = "x" }]
        performance = [{ start = 2027-01-07T20:00:00, max_per_buyer = "many" }]
        """
    )
    assert found == {
        "production.a.hold": "length_wanted",
        "production.a.rule[1].doors_open": "moment_wanted",
        "production.a.performance[1].max_per_buyer": "number_wanted",
    }


def test_a_plan_that_is_no_good_is_told_by_whoever_read_it() -> None:
    from console.season.problems import Problems
    from console.season.reading import parse, read_season

    top = parse((START + "dates = [2027-01-05T20:00:00]").encode())
    found = read_season(top, {"p": None}, HOUSE, Problems())
    assert found.programme.productions[0].performances == ()


@bounds(deadline=None)
@given(st.text())
def test_no_text_brings_the_reader_down(text: str) -> None:
    try:
        read(text)
    except SeasonError as error:
        assert error.problems


# Written and read again ---------------------------------------------------------------------


def test_a_rate_of_vat_is_said_for_all_for_a_price_and_for_a_fee() -> None:
    first, second = one(
        """
        vat = 5.5
        price_type.full.name = "Full"
        prices.Fauteuil.full = { amount = 20, vat = 2.1 }
        prices.Debout.full = 10
        fee.service = { name = "Fee", fixed = 1, vat = 20 }
        fee.post = { name = "Post", fixed = 2, vat = 0 }
        dates = [2027-01-05T20:00:00]
        [[production.a.performance]]
        start = 2027-01-06T20:00:00
        vat = false
        fee.post.vat = false
        """
    )
    assert (first.settings.vat_bp, second.settings.vat_bp) == (550, None)
    prices = (Price(0, "full", 2_000, vat_bp=210), Price(1, "full", 1_000))
    assert first.settings.prices == second.settings.prices == prices
    rates = [[fee.vat_bp for fee in each.settings.fees] for each in (first, second)]
    assert rates == [[2_000, 0], [2_000, None]]


def test_an_allocation_says_its_places_in_words() -> None:
    first, second = one(
        """
        allocation.press.channels = ["phone"]
        allocation.press.seats = ["Parterre A 3, 2-4", "Parterre Table 1"]
        allocation.agency.channels = ["reseller"]
        allocation.agency.sections = ["Parterre"]
        allocation.agency.release = "2 h before"
        dates = [2027-01-05T20:00:00]
        [[production.a.performance]]
        start = 2027-01-06T20:00:00
        allocation.agency = false
        allocation.press.seats = ["#0"]
        """
    )
    assert [row.seats for row in PLAN.rows] == [("3", "1", "2", "4"), ("1", "2", "3", "4")]
    seats = (0, 2, 3, 4, 5, 6, 7)
    assert first.settings.allocations == (
        KeptSeats("press", ("phone",), seats=seats),
        KeptSeats("agency", ("reseller",), sections=(0,), release_ms=first.starts_ms - 7_200_000),
    )
    assert second.settings.allocations == (KeptSeats("press", ("phone",), seats=(0,)),)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=8)
TEXTS = st.dictionaries(st.sampled_from(["fr", "en", "de"]), TEXT, min_size=1)
IDS = st.text("abcé .", min_size=1, max_size=3)
MOMENTS = st.one_of(
    st.just(0),
    st.integers(NOW_MS, NOW_MS + 10**11),
    st.integers(0, 10**6).map(lambda minutes: NOW_MS + minutes * 60_000),
)
BOUNDS = (
    st.tuples(MOMENTS, MOMENTS)
    .map(lambda both: both if not both[1] or both[0] < both[1] else (both[1], both[0]))
    .filter(lambda both: not both[1] or both[0] < both[1])
)
"""From and until; 0 is no bound."""
PRICE_TYPES = st.lists(
    st.builds(
        lambda bounds, **values: PriceType(from_ms=bounds[0], until_ms=bounds[1], **values),
        BOUNDS, id=IDS, names=TEXTS, max_per_order=st.integers(0, 9),
        box_office_only=st.booleans(), status=st.sampled_from(TypeStatus),
    ),
    max_size=3, unique_by=lambda kind: kind.id,
).map(tuple)  # fmt: skip
RATES = st.sampled_from([None, 0, 210, 2_000])
FEES = st.lists(
    st.builds(
        Fee, id=IDS, names=TEXTS, kind=st.sampled_from(FeeKind), fixed=st.integers(0, 10**6),
        percent_bp=st.integers(0, 10_000), per=st.sampled_from(FeePer),
        channels=st.lists(st.sampled_from(["web", "phone"])).map(tuple),
        ways=st.lists(TEXT, max_size=2).map(tuple), absorbed=st.booleans(),
        refundable=st.booleans(), vat_bp=RATES,
    ),
    max_size=2, unique_by=lambda fee: fee.id,
).map(tuple)  # fmt: skip
GATES = st.lists(
    st.builds(
        Gate, id=IDS, name=TEXT, capacity=st.integers(0, 99),
        sections=st.lists(st.integers(0, 3), max_size=2).map(tuple),
    ),
    max_size=2, unique_by=lambda gate: gate.id,
).map(tuple)  # fmt: skip


SEATS = range(sum(len(row.seats) for row in PLAN.rows))
KEPT = st.lists(
    st.builds(
        KeptSeats, id=IDS,
        channels=st.sets(st.sampled_from(["web", "phone", "reseller"]), min_size=1).map(tuple),
        categories=st.sets(st.integers(0, 1), min_size=1).map(tuple),
        sections=st.sets(st.sampled_from(range(len(PLAN.sections)))).map(tuple),
        seats=st.sets(st.sampled_from(SEATS)).map(sorted).map(tuple), release_ms=MOMENTS,
    ),
    max_size=2, unique_by=lambda one: one.id,
).map(tuple)  # fmt: skip
RETURNS = st.one_of(
    st.none(),
    st.builds(Returns, st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(ReturnWay)),
)


@st.composite
def settings(draw: st.DrawFn, currency: str) -> Settings:
    types = draw(PRICE_TYPES)
    ids = [kind.id for kind in types]
    prices = []
    for category, kind in draw(
        st.lists(st.tuples(st.integers(0, 1), st.sampled_from(ids)), max_size=6, unique=True)
        if ids
        else st.just([])
    ):
        amounts = st.integers(0, 10**6)
        from_ms, until_ms = draw(BOUNDS)
        prices.append(Price(category, kind, draw(amounts), from_ms, until_ms, draw(RATES)))
        if until_ms and draw(st.booleans()):
            prices.insert(0, Price(category, kind, draw(amounts), from_ms=until_ms))
    quotas = st.lists(
        st.builds(
            Quota, id=IDS, names=TEXTS, limit=st.integers(0, 999),
            categories=st.sets(st.integers(0, 1)).map(tuple),
            price_types=(st.sets(st.sampled_from(ids)) if ids else st.just(set())).map(tuple),
        ),
        max_size=2, unique_by=lambda quota: quota.id,
    ).map(tuple)  # fmt: skip
    sale, tills = draw(BOUNDS), draw(BOUNDS)
    return Settings(
        currency,
        types,
        tuple(prices),
        draw(st.sampled_from(SaleStatus)),
        draw(st.integers(0, 10**8)),
        max_per_order=draw(st.integers(0, 99)),
        orphan_rule=draw(st.booleans()),
        doors_open_ms=draw(MOMENTS),
        doors_close_ms=draw(MOMENTS),
        gates=draw(GATES),
        fees=draw(FEES),
        re_entry=draw(st.sampled_from(ReEntry)),
        sale_opens_ms=sale[0],
        sale_closes_ms=sale[1],
        tills_open_ms=tills[0],
        tills_close_ms=tills[1],
        quotas=draw(quotas),
        returns=draw(RETURNS),
        vat_bp=draw(RATES),
        allocations=draw(KEPT),
        surplus=Surplus(
            draw(st.sets(st.integers(0, 1)).map(tuple)), draw(st.sampled_from([(), (0,)]))
        ),
    )


@st.composite
def productions(draw: st.DrawFn) -> list[ProductionFound]:
    """Some share all settings but the doors, as a season does; some share nothing."""
    found = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        currency = draw(st.sampled_from(["EUR", "CHF", "JPY", "KWD"]))
        usual = draw(settings(currency))
        keys = draw(
            st.lists(
                st.one_of(st.sampled_from(["gala", "2027-01-12T20:30", "x y"]), st.none()),
                max_size=4,
                unique_by=lambda key: key or object(),
            )
        )
        shown = []
        for at, key in enumerate(keys):
            id = 10 * number + at
            starts_ms = NOW_MS + 3_600_000 * draw(st.integers(1, 30)) * draw(
                st.sampled_from([1, 24])
            )
            own = draw(settings(currency)) if draw(st.booleans()) else usual
            if draw(st.booleans()):
                own = replace(own, doors_open_ms=starts_ms - 1_800_000)
            shown.append(
                PerformanceFound(id, key or f"#{id}", starts_ms, PLAN.hash, own, sold=at % 2)
            )
        found.append(
            ProductionFound(
                number,
                f"#{number}" if draw(st.booleans()) else f"p {number}",
                draw(TEXTS),
                draw(st.one_of(st.just({}), TEXTS)),
                currency,
                tuple(shown),
            )
        )
    return found


@pytest.mark.timeout(400)
@bounds(max_examples=40, deadline=None)
@given(productions())
def test_what_is_written_is_no_difference(found: list[ProductionFound]) -> None:
    text = write_season(found, {PLAN.hash: PLAN}, HOUSE)
    programme = read(text, petite_salle=PLAN).programme
    difference = compare(programme, found, NOW_MS)
    assert difference.faults == ()
    assert difference.productions == ()


def test_what_most_share_is_written_once() -> None:
    season = read(example()).programme
    found = [
        ProductionFound(
            at,
            each.key,
            each.titles,
            each.subtitles,
            each.currency,
            tuple(
                PerformanceFound(10 * at + n, one.key, one.starts_ms, one.plan, one.settings)
                for n, one in enumerate(each.performances)
            ),
        )
        for at, each in enumerate(season.productions)
    ]
    text = write_season(found, {PLAN.hash: PLAN}, HOUSE)
    assert compare(read(text).programme, found, NOW_MS).is_empty
    # Two rules and three exceptions do not become fifty lists of prices.
    assert text.count("Fauteuil") == 2 and text.count('"45 min before"') == 2
    assert text.count("[[production.hamlet.performance]]") == 1
    assert 'until = "21 days before 18:00"' in text


def test_what_is_read_travels_to_the_server_as_it_is() -> None:
    programme = read(example()).programme
    assert msgspec.json.decode(msgspec.json.encode(programme), type=Programme) == programme
