"""Papers of every shape, for whoever draws them."""

from typing import Any

from engine.ledger import FactKind
from engine.papers import (
    Client,
    Item,
    Paper,
    PaperKind,
    Received,
    Seller,
    Shown,
    rates_of,
)
from engine.payments import PaymentMethod
from engine.settlement import Performed, Settlement, Sum

AT_MS = 1_795_172_400_000
DAY_MS = 86_400_000
FRENCH = Seller(
    "Théâtre du Strapontin",
    legal_name="Association Les Amis du Strapontin",
    address=("12, rue des Fauteuils", "35000 Rennes"),
    contact=("compta@strapontin.example",),
    licences=("PLATESV-R-2021-001234",),
    business_id="812 345 678 00019",
    vat_number="FR12812345678",
    legal=("Association loi 1901, RNA W353001234",),
    bank_account="IBAN FR76 3000 4000 0100 0012 3456 789",
)
SWISS = Seller(
    "Petit Théâtre",
    address=("3 rue du Lac", "1200 Genève"),
    country="CH",
    business_id="CHE-123.456.789",
    vat_number="CHE-123.456.789 TVA",
)
LONG = "Tarif réduit (moins de 26 ans, demandeurs d’emploi, intermittents du spectacle)"


def items(places: int, sign: int = 1, tax_bp: int = 550) -> tuple[Item, ...]:
    """Places at two prices in two performances, a fee with each, and one of the whole."""
    found = []
    for at in range(places):
        performance, label = 7 + at % 2, LONG if at % 3 else "Plein tarif"
        amount = sign * (1_850 if at % 3 else 2_500)
        section, row = "Orchestre" if at % 5 else "Balcon", chr(65 + at // 20 % 26)
        found.append(
            Item(f"l{at}", "place", amount, tax_bp, label, performance, section, row, str(at))
        )
        fee = 2_000 if tax_bp >= 0 else tax_bp
        found.append(Item(f"l{at}/s", "service", sign * 150, fee, "Frais de location", performance))
    return (*found, Item("c1", "delivery", sign * 350, tax_bp, "Envoi postal"))


def paper(places: int = 6, **changes: Any) -> Paper:
    billed = changes.pop("items", items(places))
    told: dict[str, Any] = {
        "kind": PaperKind.INVOICE,
        "name": "F2026-000123",
        "at_ms": AT_MS,
        "time_zone": "Europe/Paris",
        "language": "fr",
        "seller": FRENCH,
        "client": Client("Chaises & Fils SA", ("4 bis, boulevard Long", "86000 Poitiers")),
        "order": 1042,
        "currency": "EUR",
        "items": billed,
        "performances": (
            Shown(7, "Le Misanthrope", AT_MS + 18 * DAY_MS),
            Shown(8, "Le Bourgeois gentilhomme, comédie-ballet en cinq actes", AT_MS + 25 * DAY_MS),
        ),
        "rates": rates_of(billed, {}),
        "received": (Received(PaymentMethod.CARD_TERMINAL, 5_000),),
        "due_ms": AT_MS + 30 * DAY_MS,
    }
    return Paper(**told | changes)


def settlement(performances: int = 3, **changes: Any) -> Settlement:
    """A period with everything in it that may be."""
    kind, sums = FactKind, []
    for number in range(1, performances + 1):
        for channel in ("web", "box_office"):
            for price_type, amount in (("adult", 2_500), ("child", 1_250)):
                of = (number, price_type, channel, "", 550)
                sums.append(Sum("EUR", kind.SALE, *of, 40, 40 * amount))
                sums.append(Sum("EUR", kind.REFUND, *of, 2, -2 * amount))
            sums.append(Sum("EUR", kind.FEE, number, "service", channel, "", 2_000, 30, 4_500))
    rest = (-1, "", "web")
    sums += [
        Sum("EUR", kind.ALLOWANCE, -1, "allowance", "web", "", 550, 1, -500),
        Sum("EUR", kind.ABSORBED, -1, "card", "web", "", -1, 3, 90),
        Sum("EUR", kind.CREDIT, -1, "credit", "web", "", -1, 1, 2_500),
        Sum("EUR", kind.ROUNDING, *rest, "cash", -1, 3, 4),
        Sum("EUR", kind.PAYMENT, *rest, "cash", -1, 50, 115_000),
        Sum("EUR", kind.PAYMENT, *rest, "stripe", -1, 200, 460_000),
        Sum("EUR", kind.REPAYMENT, *rest, "stripe", -1, 3, -7_300),
    ]
    told: dict[str, Any] = {
        "name": "D2026-000004",
        "at_ms": AT_MS,
        "time_zone": "Europe/Paris",
        "seller": FRENCH,
        "from_day": "2026-11-01",
        "to_day": "2026-11-19",
        "closed_to": "2026-11-19",
        "first": 1,
        "last": 39_616,
        "last_hash": "ab" * 32,
        "sums": tuple(sorted(sums)),
        "performances": tuple(
            Performed(number, {"fr": f"Le Misanthrope {number}"}, AT_MS + number * DAY_MS)
            for number in range(1, performances + 1)
        ),
        "price_types": {"adult": {"fr": "Plein tarif"}, "child": {"fr": "Enfant"}},
        "fees": {"service": {"fr": "Frais de location"}},
    }
    return Settlement(**told | changes)
