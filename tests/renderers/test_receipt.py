"""The receipt: every amount on it, its VAT, cash and change, in both languages."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.payments import PaymentMethod
from renderers import receipt
from renderers.house_style import HouseStyle
from renderers.receipt import (
    ReceiptLine,
    ReceiptPayment,
    ReceiptPerformance,
    ReceiptView,
    receipt_pdf,
)
from tests.renderers import paper

EVENING_MS = 1_797_015_600_000
MM = 72 / 25.4

HOUSE = HouseStyle(
    name="Théâtre du Léman",
    address=("Quai du Mont-Blanc 19", "1201 Genève"),
    country="CH",
    business_id="CHE-123.456.789 TVA",
)
LINES = (
    ReceiptLine(
        label="Plein tarif · Catégorie 1",
        quantity=3,
        unit_minor=3850,
        detail="Orchestre · Rang F · Places 12, 13, 14",
    ),
    ReceiptLine(label="Moins de 26 ans", quantity=1, unit_minor=2693),
)
PLAY = ReceiptPerformance(
    production="Le Songe d’une nuit d’été",
    starts_at_ms=EVENING_MS,
    timezone="Europe/Zurich",
    lines=LINES,
)
CASH = ReceiptPayment(method="cash", amount_minor=14243, given_minor=20000, change_minor=5755)
SALE = ReceiptView(
    number="10482",
    at_ms=EVENING_MS,
    timezone="Europe/Zurich",
    currency="CHF",
    total_minor=14243,
    performances=(PLAY,),
    payments=(CASH,),
    operator="Camille",
    buyer="Héloïse Lambert",
    rates=((260, 14243),),
)


def text(shown: ReceiptView, lang: str = "fr", house: HouseStyle = HOUSE) -> str:
    return paper.letters(receipt_pdf(shown, house, lang))


def test_a_cash_sale_in_french() -> None:
    printed = text(SALE)
    for words in (
        "Théâtre du Léman", "1201 Genève", "10482", "11 décembre 2026, 20:00", "Camille",
        "Héloïse Lambert", "Le Songe d’une nuit d’été", "3 × Plein tarif · Catégorie 1",
        "115,50 CHF", "38,50 CHF l’unité", "Orchestre · Rang F · Places 12, 13, 14",
        "Moins de 26 ans26,93 CHF", "Total142,43 CHF", "dont TVA 2,6 %3,61 CHF",
        "Espèces142,43 CHF", "Arrondi de caisse0,02 CHF", "Reçu en espèces200,00 CHF",
        "Rendu57,55 CHF", "Merci", "IDE CHE-123.456.789 TVA",
    ):  # fmt: skip
        assert paper.squeezed(words) in printed, words


def test_the_same_sale_in_english() -> None:
    printed = text(SALE, "en")
    for words in ("3 × Plein tarif", "CHF 115.50", "TotalCHF 142.43", "Cash givenCHF 200.00",
                  "ChangeCHF 57.55", "of which VAT at 2.6%CHF 3.61", "Thank you"):  # fmt: skip
        assert paper.squeezed(words) in printed, words


@pytest.mark.parametrize("method", list(PaymentMethod))
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_payment_method_has_its_words(method: PaymentMethod, lang: str) -> None:
    payment = ReceiptPayment(method=method.value, amount_minor=14243, reference="TX-77")
    printed = text(replace(SALE, payments=(payment,)), lang)
    assert "TX-77" in printed
    no_money = {"en": "nomoneyhasmoved", "fr": "aucunargent"}[lang]
    assert (no_money in printed) == (method is PaymentMethod.TEST_CARD)
    assert {"en": "Rounding", "fr": "Arrondi"}[lang] not in printed


def test_cash_that_needs_no_rounding_shows_none() -> None:
    exact = replace(CASH, given_minor=20000, change_minor=20000 - 14243)
    assert "Arrondi" not in text(replace(SALE, payments=(exact,)))


def test_what_was_paid_back_is_said() -> None:
    assert "Remboursé-38,50CHF" in text(replace(SALE, refunded_minor=3850))
    assert "Remboursé" not in text(SALE)


@pytest.mark.parametrize(
    ("total", "bp", "vat"),
    [(14243, 260, "3,61"), (10550, 550, "5,50"), (12000, 2000, "20,00"), (0, 550, "0,00")],
)
def test_the_vat_is_the_part_of_the_total_that_is_tax(total: int, bp: int, vat: str) -> None:
    assert f"{vat}CHF" in text(replace(SALE, total_minor=total, rates=((bp, total),), payments=()))


def test_without_a_rate_no_vat_is_claimed() -> None:
    assert "dontTVA" not in text(replace(SALE, rates=()))


def test_the_vat_at_several_rates_is_said_of_each_part() -> None:
    shown = text(replace(SALE, rates=((210, 10_210), (2_000, 1_200))))
    assert "dontTVA2,1%sur102,10CHF2,10CHF" in shown
    assert "dontTVA20%sur12,00CHF2,00CHF" in shown


def test_an_order_over_two_performances_names_both() -> None:
    other = replace(PLAY, production="Phèdre", starts_at_ms=EVENING_MS + 86_400_000)
    printed = text(replace(SALE, performances=(PLAY, other)))
    assert "Phèdre" in printed and "Samedi12décembre2026" in printed


LONG = replace(
    SALE,
    number="1048212345678901234567890",
    operator="Maximiliana-Alexandrina von und zu Hohenlohe-Waldenburg-Schillingsfürst",
    total_minor=10**11,
    performances=(
        replace(
            PLAY,
            production="Les Aventures extraordinaires et véridiques du chevalier Don Quichotte",
            lines=(
                ReceiptLine(
                    label="Tarif réduit demandeurs d’emploi, étudiants et moins de 26 ans · " * 3,
                    quantity=99,
                    unit_minor=10**9,
                    detail="Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüssel" * 2,
                ),
            )
            * 20,
        ),
    ),
)


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("shown", [SALE, LONG], ids=["usual", "long"])
def test_nothing_collides_or_leaves_the_strip(shown: ReceiptView, lang: str) -> None:
    pdf = receipt_pdf(shown, HOUSE, lang)
    width, height = paper.size(pdf)
    assert width == pytest.approx(80 * MM, abs=0.1)
    found = paper.glyphs(pdf)
    assert paper.collisions(found) == []
    for glyph in found:
        assert 5 * MM < glyph.left and glyph.right < width - 5 * MM, glyph
        assert 3 * MM < glyph.bottom and glyph.top < height - 3 * MM, glyph
    printed = paper.letters(pdf)
    for performance in shown.performances:
        for line in performance.lines:
            assert paper.squeezed(line.label) in printed
            assert paper.squeezed(line.detail) in printed


def test_the_strip_is_as_long_as_its_lines() -> None:
    short = paper.size(receipt_pdf(SALE, HOUSE, "fr"))[1]
    assert paper.size(receipt_pdf(LONG, HOUSE, "fr"))[1] > 3 * short


def test_too_many_lines_are_refused() -> None:
    crowd = replace(PLAY, lines=LINES[:1] * (receipt.MAX_LINES + 1))
    with pytest.raises(ValueError, match="at most 200 lines, not 201"):
        receipt_pdf(replace(SALE, performances=(crowd,)), HOUSE, "fr")
