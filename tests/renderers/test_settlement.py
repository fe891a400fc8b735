"""The settlement of a period: every sum on paper and in the table, in both languages."""

import csv
from decimal import Decimal
from io import StringIO

import pytest

from engine.settlement import rates, totals
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.settlement import settlement_pdf
from renderers.settlement_words import notes_of, settlement_csv, settlement_parts
from tests.renderers.invoice_papers import settlement
from tests.renderers.paper import collisions, glyphs, letters, pages, squeezed

HOUSE = HouseStyle(name="Théâtre du Strapontin")


def text(pdf: bytes) -> str:
    return "".join(letters(pdf, page) for page in range(pages(pdf)))


@pytest.mark.parametrize("lang", ["fr", "en"])
@pytest.mark.parametrize("performances", [1, 3, 120])
def test_every_cell_is_on_a_page_and_none_collides(lang: str, performances: int) -> None:
    told, t = settlement(performances), translator(lang)
    pdf = settlement_pdf(told, HOUSE, lang)
    shown = text(pdf)
    for part in settlement_parts(told, t):
        for words in (
            *(part.title, *part.head, *part.notes),
            *(cell for row in part.rows for cell in row.cells),
        ):
            assert squeezed(words) in shown, words
    for note in notes_of(told, t):
        assert squeezed(note) in shown
    assert all(collisions(glyphs(pdf, page)) == [] for page in range(pages(pdf)))


def test_the_sums_agree_with_each_other() -> None:
    told = settlement()
    found = totals(told, "EUR")
    assert found.places == 3 * 2 * 38 * (2_500 + 1_250)
    assert (found.fees, found.allowances, found.credit) == (27_000, -500, 2_500)
    assert found.earned == sum(rate.gross for rate in rates(told, "EUR"))
    assert found.money == found.earned + found.credit + found.open
    parts = {part.title: part for part in settlement_parts(told, translator("en"))}
    for title in ("Places by performance", "Places by price type", "Places by sales channel"):
        assert parts[title].rows[-1].cells[-1] == "€8,550.00"
    assert parts["Money by payment method"].rows[-1].cells[1:] == (
        *("250", "€5,750.00", "3", "-€73.00", "€5,677.00"),
    )


def test_the_table_has_every_sum_in_whole_units() -> None:
    told = settlement()
    body = settlement_csv(told, translator("fr"))
    rows = list(csv.DictReader(StringIO(body.decode("utf-8-sig"))))
    assert len(rows) == len(told.sums)
    assert sum(Decimal(row["amount"]) for row in rows) * 100 == sum(one.amount for one in told.sums)
    sale = next(row for row in rows if row["kind"] == "sale")
    assert (sale["title"], sale["starts"]) == ("Le Misanthrope 1", "2026-11-21 12:00")
    assert (sale["price_type"], sale["fee"], sale["tax_bp"]) == ("Plein tarif", "", "550")


def test_a_provisional_one_says_so_and_an_empty_one_too() -> None:
    pdf = settlement_pdf(settlement(name="", sums=(), last=0), HOUSE, "fr")
    for words in ("Décompte provisoire", "Rien n’a été enregistré.", "sans numéro"):
        assert squeezed(words) in text(pdf)


def test_several_currencies_are_told_apart() -> None:
    both = settlement().sums + tuple(
        type(one)("CHF", *[getattr(one, name) for name in one.__struct_fields__[1:]])
        for one in settlement().sums
    )
    told = settlement(sums=tuple(sorted(both)))
    assert (told.currency, told.total) == ("", 0)
    titles = [part.title for part in settlement_parts(told, translator("en"))]
    assert titles[0] == "Summary · CHF" and titles[-1].endswith("· EUR")


def test_of_one_performance_no_money_is_told() -> None:
    told = settlement(performance=2)
    titles = [part.title for part in settlement_parts(told, translator("en"))]
    words = " ".join(notes_of(told, translator("en")))
    assert "Of one performance" in words
    summary = settlement_parts(told, translator("en"))[0]
    assert not any("Payments received" in row.cells[0] for row in summary.rows), titles
