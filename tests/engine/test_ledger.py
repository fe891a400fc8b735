"""A record's bytes and hash are what the docs say, by means of the standard library alone."""

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.ledger import GENESIS, Fact, FactKind, canonical, record_hash, write
from engine.ledger_periods import (
    OpenDay,
    PeriodKind,
    Standing,
    Total,
    close_day,
    close_longer,
    summed,
)

VALUES = st.recursive(
    st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('aé"\\\n\x7f'), inner),
)


@given(VALUES)
def test_the_canonical_form_is_plain_json(value: Any) -> None:
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert canonical(value) == plain.encode()


def test_a_records_hash_is_computed_as_the_docs_say() -> None:
    fact = Fact(FactKind.SALE, 2_000, "CHF", 1_001, 1, 3, 17, "plein « été »", channel="web")
    first, second = write(1, 0, GENESIS, 5, [(fact, 550), (fact, 550)])
    before = GENESIS
    for record in (first, second):
        fields = ["strapontin-ledger-1", before, *structs.astuple(record)[:-1]]
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        assert record.hash == hashlib.sha256(text.encode()).hexdigest()
        before = record.hash
    assert (first.number, second.number) == (1, 2)
    assert record_hash(first.hash, second) == second.hash != record_hash(GENESIS, second)


def test_totals_that_are_alike_are_one() -> None:
    one = Total("EUR", "sale", "", "full", 550, 2, 300)
    other = Total("EUR", "sale", "", "child", 550, 1, 100)
    assert summed([one, other, one]) == (other, Total("EUR", "sale", "", "full", 550, 4, 600))


def test_a_month_is_closed_by_its_last_day_and_a_year_by_its_last_month() -> None:
    standing, kinds = Standing(), []
    days = [
        ("2026-12-30", "2026-12-31"),
        ("2026-12-31", "2027-01-01"),
        ("2027-01-01", "2027-01-02"),
    ]
    for label, after in days:
        day = OpenDay(label, "Europe/Paris", 0, 0, 0, GENESIS, ())
        period = close_day(1, standing, day, 0, "")
        while period is not None:
            kinds.append((period.number, period.kind, period.label))
            standing = standing.after(period, f"{period.number}")
            period = close_longer(standing, after, 0, "")
    assert kinds == [
        (1, PeriodKind.DAY, "2026-12-30"),
        (2, PeriodKind.DAY, "2026-12-31"),
        (3, PeriodKind.MONTH, "2026-12"),
        (4, PeriodKind.YEAR, "2026"),
        (5, PeriodKind.DAY, "2027-01-01"),
    ]
