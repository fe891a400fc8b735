"""Invoices and credit notes as a reader sees them: every figure, every mention, however long."""

import pytest
from msgspec.structs import replace

from engine.ledger import NO_TAX
from engine.papers import Item, PaperKind, Received
from engine.payments import PaymentMethod
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.invoice import invoice_pdf, item_parts, vat_part
from tests.renderers.invoice_papers import AT_MS, DAY_MS, FRENCH, SWISS, items, paper
from tests.renderers.paper import collisions, glyphs, letters, pages, squeezed

HOUSE = HouseStyle(name="Théâtre du Strapontin")


def text(pdf: bytes) -> str:
    return "".join(letters(pdf, page) for page in range(pages(pdf)))


def shows(pdf: bytes, *words: str) -> None:
    shown = text(pdf)
    for one in words:
        assert squeezed(one) in shown, one


def test_a_french_invoice_has_what_the_law_asks_for() -> None:
    pdf = invoice_pdf(paper(), HOUSE)
    shows(
        pdf,
        *("Facture F2026-000123", "20 novembre 2026", "commande 1042", "Page 1 sur"),
        *("Association Les Amis du Strapontin", "12, rue des Fauteuils", "35000 Rennes"),
        *("Chaises & Fils SA", "4 bis, boulevard Long", "86000 Poitiers"),
        *("SIRET 812 345 678 00019", "N° de TVA FR12812345678", "PLATESV-R-2021-001234"),
        *("Le Misanthrope · 8 déc. 2026", "Orchestre, rang A, places 2, 4", "Frais de location"),
        *("PU HT", "23,70 €", "5,5 %", "25,00 €", "TVA 20 %"),
        *("Carte bancaire", "À régler au plus tard le 20 décembre 2026.", "IBAN FR76 3000"),
        *("prestation de services", "majoré de 10 points", "40 €", "Pas d’escompte"),
    )


def test_the_figures_are_those_of_the_paper() -> None:
    told, t = paper(), translator("fr")
    part = vat_part(told, t)
    cells = [[cell.replace("\u00a0", " ") for cell in row.cells] for row in part.rows]
    assert cells == [
        ["TVA 5,5 %", "120,85 €", "6,65 €", "127,50 €"],
        ["TVA 20 %", "7,50 €", "1,50 €", "9,00 €"],
        ["Total", "128,35 €", "8,15 €", "136,50 €"],
    ]
    total = sum(rate.gross for rate in told.rates)
    assert total == told.total == sum(item.amount for item in told.items)
    rows = [row for part in item_parts(told, t) for row in part.rows]
    assert sum(int(row.cells[1]) for row in rows) == len(told.items)
    for part in (*item_parts(told, t), vat_part(told, t)):
        shows(invoice_pdf(told, HOUSE), *(cell for row in part.rows for cell in row.cells[1:]))


def test_a_credit_note_names_its_invoice_and_asks_for_no_money() -> None:
    note = paper(
        kind=PaperKind.CREDIT_NOTE,
        name="A2026-000007",
        items=items(3, -1),
        corrects="F2026-000123",
        corrects_ms=AT_MS - 4 * DAY_MS,
        received=(),
        due_ms=0,
    )
    pdf = invoice_pdf(note, HOUSE)
    shows(pdf, "Avoir A2026-000007", "rectifie la facture F2026-000123 du 16 novembre 2026")
    shows(pdf, "Total de l’avoir", "-25,00 €")
    for word in ("Reste à payer", "IBAN", "majoré de 10 points"):
        assert squeezed(word) not in text(pdf)


def test_a_swiss_paper_has_swiss_numbers_and_no_french_law() -> None:
    told = paper(seller=SWISS, currency="CHF", language="en", items=items(4, tax_bp=260))
    pdf = invoice_pdf(told, HOUSE)
    shows(pdf, "Invoice F2026-000123", "UID CHE-123.456.789", "VAT No. CHE-123.456.789 TVA")
    shows(pdf, "VAT 2.6%", "CHF 25.00")
    assert squeezed("commercial code") not in text(pdf)


def test_without_vat_no_vat_is_shown_and_it_is_said_why() -> None:
    seller = replace(FRENCH, no_vat="TVA non applicable, art. 293 B du CGI.", vat_number="")
    pdf = invoice_pdf(paper(seller=seller, items=items(2, tax_bp=NO_TAX)), HOUSE)
    shows(pdf, "TVA non applicable, art. 293 B du CGI.", "Prix unitaire", "Total")
    for word in ("PU HT", "TVA par taux"):
        assert squeezed(word) not in text(pdf)


def test_what_is_exempt_beside_what_is_taxed_says_why() -> None:
    exempt = "Exclu du champ de l’impôt, art. 21, al. 2, ch. 14 LTVA"
    seller = replace(SWISS, no_vat=exempt)
    fee = Item("l1/service", "service", 200, 810, "Frais de location", 7)
    mixed = (*items(2, tax_bp=0), fee)
    pdf = invoice_pdf(paper(seller=seller, currency="CHF", items=mixed), HOUSE)
    shows(pdf, exempt, "TVA 0 %", "TVA 8,1 %")
    taxed = invoice_pdf(paper(seller=seller, currency="CHF", items=items(2, tax_bp=810)), HOUSE)
    assert squeezed(exempt) not in text(taxed)


def test_places_that_came_later_are_called_by_their_tickets() -> None:
    later = [Item(f"l{at}", "place", 2_500, 550, "Plein tarif", 7, ticket=at) for at in (41, 42)]
    pdf = invoice_pdf(paper(items=(*items(2), *later)), HOUSE)
    shows(pdf, "billets 7-000041, 7-000042")


def test_what_is_paid_is_not_asked_for() -> None:
    told = paper(3)
    paid = replace(told, received=(Received(PaymentMethod.CASH, told.total),))
    pdf = invoice_pdf(paid, HOUSE)
    shows(pdf, "Reste à payer", "0,00 €")
    for word in ("IBAN", "À régler"):
        assert squeezed(word) not in text(pdf)


def test_the_house_says_itself_what_lateness_costs() -> None:
    pdf = invoice_pdf(paper(seller=replace(FRENCH, late_payment="Dix pour cent.")), HOUSE)
    shows(pdf, "Dix pour cent.")
    assert squeezed("majoré de 10 points") not in text(pdf)


@pytest.mark.parametrize("currency", ["JPY", "KWD", "EUR"])
def test_amounts_have_the_digits_of_their_currency(currency: str) -> None:
    pdf = invoice_pdf(paper(1, currency=currency, language="en", received=(), due_ms=0), HOUSE)
    shows(pdf, {"JPY": "2,500", "KWD": "2.500", "EUR": "25.00"}[currency])


@pytest.mark.parametrize("places", [1, 6, 300, 1_500])
def test_nothing_collides_and_every_place_is_named(places: int) -> None:
    pdf = invoice_pdf(paper(places), HOUSE)
    assert all(collisions(glyphs(pdf, page)) == [] for page in range(pages(pdf)))
    shows(pdf, f"Page {pages(pdf)} sur {pages(pdf)}", "Le Misanthrope", "Total")
    last = squeezed(f"{places - 1}")
    assert last in text(pdf)


def test_a_paper_drawn_again_is_the_same() -> None:
    assert text(invoice_pdf(paper(), HOUSE)) == text(invoice_pdf(paper(), HOUSE))
