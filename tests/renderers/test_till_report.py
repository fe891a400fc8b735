"""The report of a till session: every figure on it, in both languages, however long it is."""

import pytest
from msgspec.structs import replace

from engine.tills import (
    Closing,
    Entry,
    EntryKind,
    Repaid,
    Takings,
    TillReport,
    TillSession,
    reckon,
)
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.parts import Row
from renderers.till_report import till_report_pdf
from renderers.till_words import report_parts, signed
from tests.renderers.paper import collisions, glyphs, letters, pages, squeezed

AT_MS = 1_790_000_000_000
HOUSE = HouseStyle(name="Théâtre du Strapontin")
ZONE = "Europe/Paris"
SESSION = TillSession("a" * 32, 12, "Caisse 1", "Camille Dubois", "CHF", 20_000, AT_MS)
ENTRIES = (
    Entry("1", EntryKind.IN, 5_000, "Camille Dubois", AT_MS + 60_000, "monnaie du bar"),
    Entry("2", EntryKind.COUNT, 31_990, "Sam", AT_MS + 90_000, pieces=((10_000, 3),),
          expected=31_995),
    Entry("3", EntryKind.OUT, 10_000, "Sam", AT_MS + 120_000, "remise au coffre"),
)  # fmt: skip


def report(*entries: Entry, closing: Closing | None = None) -> TillReport:
    takings = [
        Takings("cash", 14, 48_093, 48_095),
        Takings("card_terminal", 31, 150_000, 0),
        Takings("bank_transfer", 1, 4_000, 0),
    ]
    repaid = [Repaid("cash", 2_002), Repaid("card_terminal", 3_500)]
    return reckon(replace(SESSION, closing=closing), entries, takings, repaid, 45)


def closed() -> TillReport:
    told = report(*ENTRIES)
    pieces = ((20_000, 2), (10_000, 1), (5_000, 2), (2_000, 0), (1_000, 1), (20, 3), (5, 2))
    counted = sum(kind * many for kind, many in pieces)
    closing = Closing(
        "x",
        counted,
        told.expected,
        counted - told.expected,
        tuple(one for one in pieces if one[1]),
        "un billet de dix rendu en trop",
        "Sam",
        AT_MS + 9 * 3_600_000,
    )
    return report(*ENTRIES, closing=closing)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_every_cell_is_on_the_page(lang: str) -> None:
    t, told = translator(lang), closed()
    pdf = till_report_pdf(told, HOUSE, ZONE, lang, AT_MS)
    assert pages(pdf) == 1
    text = letters(pdf)
    for part in report_parts(told, t, ZONE):
        for words in (
            part.title,
            *part.head,
            *part.notes,
            *(c for row in part.rows for c in row[0]),
        ):
            assert squeezed(words) in text, words
    assert collisions(glyphs(pdf)) == []


def figures(rows: tuple[Row, ...], at: int = 1) -> list[str]:
    return [row.cells[at].replace("\u00a0", " ") for row in rows]


def test_the_sums_are_those_of_the_session() -> None:
    t, told = translator("en"), closed()
    drawer, count, methods, entries = report_parts(told, t, ZONE)
    assert figures(drawer.rows) == [
        *("CHF 200.00", "+CHF 480.95", "−CHF 20.00", "+CHF 50.00", "−CHF 100.00", "CHF 610.95"),
        *("CHF 610.70", "−CHF 0.25"),
    ]
    assert (figures(count.rows, 0)[0], figures(count.rows)[0]) == ("2 × CHF 200.00", "CHF 400.00")
    assert figures(count.rows)[-1] == "CHF 610.70"
    assert [[figures(methods.rows, at)[row] for at in range(1, 6)] for row in (0, -1)] == [
        ["14", "CHF 480.93", "1", "−CHF 20.02", "CHF 460.91"],
        ["46", "CHF 2,020.93", "2", "−CHF 55.02", "CHF 1,965.91"],
    ]
    assert figures(entries.rows) == ["+CHF 50.00", "CHF 319.90", "−CHF 100.00"]
    assert "−CHF 0.05" in figures(entries.rows, 0)[1]


@pytest.mark.parametrize(("minor", "text"), [(0, "€0.00"), (150, "+€1.50"), (-5, "−€0.05")])
def test_a_difference_has_a_sign(minor: int, text: str) -> None:
    assert signed(minor, "EUR", translator("en")) == text


def test_an_open_session_has_a_report_too_and_a_long_one_has_pages() -> None:
    assert pages(till_report_pdf(report(), HOUSE, ZONE, "fr", AT_MS)) == 1
    many = [
        Entry(str(number), EntryKind.IN, 500, "Camille", AT_MS + number, f"raison {number} " * 20)
        for number in range(150)
    ]
    pdf = till_report_pdf(report(*many), HOUSE, ZONE, "fr", AT_MS)
    assert pages(pdf) == 5
    text = "".join(letters(pdf, page) for page in range(5))
    assert all(f"raison{number}raison" in text for number in range(150))
    assert all(collisions(glyphs(pdf, page)) == [] for page in range(5))
