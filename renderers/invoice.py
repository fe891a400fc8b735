"""Invoices and credit notes on A4, in the language that they were issued in.

Owns how a paper's items stand on the page, and the mentions that French and Swiss law ask for:
seller with their numbers, buyer, number and date, what was supplied and when, unit prices without
VAT, rates and VAT in the paper's currency, when to pay and what a professional owes who pays late
(*code général des impôts*, annexe II, article 242 nonies A; *code de commerce*, L441-9; Swiss VAT
act, article 26). Every figure comes from the paper, and none is reckoned anew but the unit price
without VAT. Amounts of a credit note are negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.ledger import NO_TAX
from engine.orders import ChargeKind
from engine.papers import PLACE, Item, Paper, PaperKind, Seller, Shown
from engine.vat import vat_in
from renderers.house_style import HouseStyle, legal_mentions
from renderers.i18n import Translator, translator
from renderers.money import format_date, format_money, format_percent, format_time
from renderers.parts import Part, Row
from renderers.places import rows_words
from renderers.sheet import GAP, LINE, MARGIN, RIGHT, WIDTH, Frame, Sheet, sheet_pdf

_BY_THEIR_KIND = (
    *(ChargeKind.ALLOWANCE, ChargeKind.RETURN, ChargeKind.EXCHANGE),
    ChargeKind.GIFT_CARD,
)
"""Charges without a name of their own."""


def invoice_pdf(paper: Paper, house: HouseStyle) -> bytes:
    """The paper as it was issued; only the colour is the house's of today."""
    t = translator(paper.language)
    kind = t(f"papers.kind.{paper.kind.value}")
    frame = Frame(
        document=f"{kind} {paper.name}",
        heading=kind,
        title=f"{kind} {paper.name}",
        subtitle=_subtitle(paper, t),
        foot=f"{paper.seller.legal_name or paper.seller.name} · {paper.name}",
        mentions=_mentions(paper, t),
    )

    def draw(sheet: Sheet) -> None:
        _who(sheet, paper, t)
        for part in (*item_parts(paper, t), vat_part(paper, t), *_money_parts(paper, t)):
            sheet.part(part)

    return sheet_pdf(frame, house, t, draw)


# What stands on it -------------------------------------------------------------------


def item_parts(paper: Paper, t: Translator) -> list[Part]:
    """The items, performance by performance, then those of the order as a whole."""
    taxed = _is_taxed(paper)
    columns = ("quantity", "unit_net", "rate", "unit", "amount")
    head = tuple(
        t(f"papers.column.{name}")
        for name in (columns if taxed else ("quantity", "price", "amount"))
    )
    shown = {one.number: one for one in paper.performances}
    groups: dict[int, list[Item]] = {}
    for item in paper.items:
        groups.setdefault(item.performance if item.performance in shown else -1, []).append(item)
    last = max((one.starts_ms for one in paper.performances), default=0) + 1
    starts = {number: one.starts_ms for number, one in shown.items()} | {-1: last}
    parts = []
    for number in sorted(groups, key=lambda number: (starts[number], number)):
        title = _performance(shown[number], paper, t) if number in shown else t("papers.of_order")
        parts.append(Part(title, tuple(_rows(groups[number], paper, t, taxed)), head))
    return parts


def vat_part(paper: Paper, t: Translator) -> Part:
    """Net, VAT and gross at each rate, and together; where a part has none, why."""
    money, total = _money(paper, t), t(f"papers.total.{paper.kind.value}")
    rest = [item for item in paper.items if item.kind != ChargeKind.GIFT_CARD]
    notes = [t("papers.gift_card")] if len(rest) < len(paper.items) else []
    if not _is_taxed(paper):
        if rest:
            notes.append(paper.seller.no_vat or t("papers.no_vat"))
        rows = [Row((total, money(paper.total)), strong=True)]
        return Part(t("papers.sum"), tuple(rows), notes=tuple(notes))
    rows = [
        Row((_rate_words(rate.tax_bp, t), money(rate.net), money(rate.vat), money(rate.gross)))
        for rate in paper.rates
    ]
    net, vat = (sum(getattr(rate, name) for rate in paper.rates) for name in ("net", "vat"))
    rows.append(Row((total, money(net), money(vat), money(net + vat)), strong=True))
    head = tuple(t(f"papers.column.{name}") for name in ("net", "vat", "gross"))
    if paper.seller.no_vat and any(item.tax_bp <= 0 for item in rest):
        notes.append(paper.seller.no_vat)
    return Part(t("papers.vat"), tuple(rows), head, tuple(notes), amounts=True)


def _money_parts(paper: Paper, t: Translator) -> list[Part]:
    """What had come by then, what is still to come, and how."""
    if paper.kind is not PaperKind.INVOICE or paper.corrects:
        return []
    money = _money(paper, t)
    open_minor = paper.total - sum(one.amount for one in paper.received)
    rows = [
        Row((t(f"receipt.method.{one.method.value}"), money(one.amount))) for one in paper.received
    ]
    rows.append(Row((t("papers.open"), money(max(0, open_minor))), strong=True))
    notes = []
    if open_minor > 0 and paper.due_ms:
        date = format_date(paper.due_ms, paper.time_zone, t.language, "long")
        notes.append(t("papers.due", date=date))
    if open_minor > 0 and paper.seller.bank_account:
        account = paper.seller.bank_account
        notes.append(t("papers.bank_account", account=account, name=paper.name))
    return [Part(t("papers.payment"), tuple(rows), notes=tuple(notes))]


def _who(sheet: Sheet, paper: Paper, t: Translator) -> None:
    """The seller on the left, the buyer where a window envelope shows an address."""
    seller, client = paper.seller, paper.client
    middle = WIDTH / 2 + GAP / 2
    sheet.y -= GAP / 2
    told = [seller.legal_name or seller.name, *seller.address, *seller.contact]
    lowest = sheet.block(t("papers.seller"), told, MARGIN, middle - GAP)
    told = [client.name or t("papers.no_name"), *client.address, *filter(None, [client.email])]
    lowest = min(lowest, sheet.block(t("papers.client"), told, middle, RIGHT))
    sheet.y = lowest - LINE / 2


def _subtitle(paper: Paper, t: Translator) -> str:
    date = format_date(paper.at_ms, paper.time_zone, t.language, "long")
    if not paper.corrects:
        return t("papers.subtitle", date=date, order=paper.order)
    corrected = format_date(paper.corrects_ms, paper.time_zone, t.language, "long")
    return t(
        f"papers.subtitle.{paper.kind.value}",
        date=date,
        order=paper.order,
        corrects=paper.corrects,
        corrects_date=corrected,
    )


def _mentions(paper: Paper, t: Translator) -> tuple[str, ...]:
    seller = paper.seller
    told = [seller_mentions(seller, t)]
    if paper.kind is PaperKind.INVOICE:
        late = seller.late_payment
        key = f"papers.late_payment.{seller.country}"
        if not late and key in t:
            late = t(key)
        told += [t(key) for key in (f"papers.nature.{seller.country}",) if key in t]
        told += [late] if late else []
    return tuple(told)


def seller_mentions(seller: Seller, t: Translator) -> str:
    """What identifies a seller before the law."""
    style = HouseStyle(
        name=seller.legal_name or seller.name,
        address=seller.address,
        country=seller.country,
        licences=seller.licences,
        business_id=seller.business_id,
        vat_number=seller.vat_number,
        legal=seller.legal,
    )
    return " · ".join(legal_mentions(style, t))


# Items -------------------------------------------------------------------------------


def _rows(items: Sequence[Item], paper: Paper, t: Translator, taxed: bool) -> Iterable[Row]:
    """One row for all that is alike but for its place."""
    money = _money(paper, t)
    alike: dict[tuple[str, int, int], list[Item]] = {}
    for item in items:
        alike.setdefault((_label(item, t), item.amount, item.tax_bp), []).append(item)
    for (label, amount, tax_bp), same in alike.items():
        told = [one for one in same if one.kind == PLACE]
        places = [(one.section, one.row, one.seat) for one in told if one.section]
        tickets = [f"{one.performance}-{one.ticket:06d}" for one in told if not one.section]
        detail = rows_words(places, t)
        if tickets:
            detail.append(t.plural("papers.tickets", len(tickets), tickets=", ".join(tickets)))
        each = money(amount)
        figures: tuple[str, ...] = (str(len(same)), each, money(amount * len(same)))
        if taxed:
            net = money(amount - vat_in(amount, tax_bp))
            figures = (str(len(same)), net, _percent(tax_bp, t), each, money(amount * len(same)))
        yield Row((label, *figures), whole=True, detail="; ".join(detail))


def _label(item: Item, t: Translator) -> str:
    if item.kind in _BY_THEIR_KIND:
        return t(f"papers.charge.{item.kind}")
    return item.label


def _performance(shown: Shown, paper: Paper, t: Translator) -> str:
    at, zone = shown.starts_ms, paper.time_zone
    when = f"{format_date(at, zone, t.language, 'medium')} {format_time(at, zone, t.language)}"
    return f"{shown.title} · {when}"


def _is_taxed(paper: Paper) -> bool:
    return any(rate.tax_bp != NO_TAX for rate in paper.rates)


def _rate_words(tax_bp: int, t: Translator) -> str:
    return t("papers.untaxed") if tax_bp == NO_TAX else t("papers.rate", rate=_percent(tax_bp, t))


def _percent(tax_bp: int, t: Translator) -> str:
    return "–" if tax_bp == NO_TAX else format_percent(tax_bp, t.language)


def _money(paper: Paper, t: Translator) -> Callable[[int], str]:
    return lambda minor: format_money(minor, paper.currency, t.language)
