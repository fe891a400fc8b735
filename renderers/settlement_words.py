"""The settlement of a period in words and figures: for the terminal, a spreadsheet and paper.

Values in, parts with headings and rows out; how they stand on a page is others' business.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Final
from zoneinfo import ZoneInfo

from engine.currency import minor_digits
from engine.ledger import NO_TAX, FactKind
from engine.settlement import (
    MONEY,
    PLACES,
    Settlement,
    Sum,
    Tally,
    of_kinds,
    rates,
    tallied,
    totals,
)
from renderers.cells import plain_cell
from renderers.i18n import Translator
from renderers.money import format_date, format_money, format_number, format_percent, format_time
from renderers.parts import Part, Row

COLUMNS: Final = (
    *("currency", "kind", "performance", "title", "starts", "price_type", "fee"),
    *("channel", "method", "tax_bp", "count", "amount"),
)
_BESIDE: Final = (FactKind.FEE, FactKind.ALLOWANCE, FactKind.ABSORBED)
"""What is charged or given beside the prices of places; `price_type` says which."""


def title_of(settlement: Settlement, t: Translator) -> str:
    if settlement.name:
        return t("settlement.title", name=settlement.name)
    return t("settlement.provisional")


def subtitle_of(settlement: Settlement, t: Translator) -> str:
    words = t(
        "settlement.period",
        from_day=_day(settlement.from_day, t),
        to_day=_day(settlement.to_day, t),
    )
    if settlement.performance:
        words = f"{words} · {_performance(settlement, settlement.performance, t)}"
    return words


def notes_of(settlement: Settlement, t: Translator) -> list[str]:
    """What a reader must know of the whole."""
    notes = [] if settlement.name else [t("settlement.note.provisional")]
    if settlement.performance:
        notes.append(t("settlement.note.performance"))
    if settlement.last >= settlement.first:
        notes.append(
            t(
                "settlement.note.records",
                first=format_number(settlement.first, t.language),
                last=format_number(settlement.last, t.language),
                hash=settlement.last_hash,
            )
        )
    return notes


def settlement_parts(settlement: Settlement, t: Translator) -> list[Part]:
    """Every part in each currency."""
    if not settlement.sums:
        return [Part(t("settlement.summary"), (), notes=(t("settlement.nothing"),))]
    several = len(settlement.currencies) > 1
    found = []
    for currency in settlement.currencies:
        for part in _parts(settlement, currency, t):
            title = f"{part.title} · {currency}" if several else part.title
            found.append(part._replace(title=title))
    return found


def settlement_csv(settlement: Settlement, t: Translator) -> bytes:
    """Every sum a line, as the ledger tells them apart; amounts in whole units of their currency.

    Comma separated, UTF-8 with a byte order mark, without which spreadsheets guess.
    """
    file = StringIO()
    lines = csv.writer(file)
    lines.writerow(COLUMNS)
    shown = {one.number: one for one in settlement.performances}
    for one in settlement.sums:
        performed = shown.get(one.performance)
        named = _name(settlement.fees if one.kind in _BESIDE else settlement.price_types, one, t)
        cells = [
            one.currency,
            one.kind.value,
            str(one.performance) if performed else "",
            _in(performed.titles, t) if performed else "",
            _local(performed.starts_ms, settlement) if performed else "",
            "" if one.kind in _BESIDE else named,
            named if one.kind in _BESIDE else "",
            one.channel,
            one.method,
            "" if one.tax_bp == NO_TAX else str(one.tax_bp),
        ]
        # Figures go as they are: a sign is no formula.
        figures = [one.count, Decimal(one.amount).scaleb(-minor_digits(one.currency))]
        lines.writerow([*map(plain_cell, cells), *figures])
    return file.getvalue().encode("utf-8-sig")


# Parts -------------------------------------------------------------------------------


def _parts(settlement: Settlement, currency: str, t: Translator) -> Iterator[Part]:
    money = _money(currency, t)
    yield _summary(settlement, currency, t)
    if any(rate.tax_bp != NO_TAX for rate in rates(settlement, currency)):
        yield _vat(settlement, currency, t)
    places = list(of_kinds(settlement, currency, PLACES))
    for key, by, words in (
        (
            "performance",
            lambda one: one.performance,
            lambda number: _performance(settlement, number, t),
        ),
        (
            "price_type",
            lambda one: one.price_type,
            lambda id: _in(settlement.price_types.get(id, {}), t) or id,
        ),
        ("channel", lambda one: one.channel, lambda channel: t(f"list.channel.{channel}")),
    ):
        if places:
            yield _table(key, "places", tallied(places, by), words, money, t)
    beside = list(of_kinds(settlement, currency, (FactKind.FEE, FactKind.ALLOWANCE)))
    if beside:
        fees = tallied(beside, lambda one: one.price_type)
        yield _table("fee", "places", fees, lambda id: _fee(settlement, id, t), money, t)
    moved = list(of_kinds(settlement, currency, MONEY))
    if moved:
        methods = tallied(moved, lambda one: one.method)
        yield _table("method", "money", methods, lambda one: t(f"receipt.method.{one}"), money, t)


def _summary(settlement: Settlement, currency: str, t: Translator) -> Part:
    found, money = totals(settlement, currency), _money(currency, t)

    def row(key: str, minor: int, strong: bool = False) -> Row:
        return Row((t(f"settlement.summary.{key}"), money(minor)), strong, whole=True)

    rows = [row("places", found.places), row("fees", found.fees)]
    rows += [row("allowances", found.allowances)] if found.allowances else []
    rows.append(row("earned", found.earned, True))
    if not settlement.performance:
        rows += [row("paid", found.paid), row("repaid", found.repaid)]
        rows.append(row("money", found.money, True))
        rows.append(row("credit", found.credit))
        rows += [row("gift_cards", found.gift_cards)] if found.gift_cards else []
        rows.append(row("open", found.open))
    notes = [
        t(f"settlement.summary.{key}", amount=money(minor))
        for key, minor in (("rounding", found.rounding), ("absorbed", found.absorbed))
        if minor
    ]
    return Part(t("settlement.summary"), tuple(rows), notes=tuple(notes))


def _vat(settlement: Settlement, currency: str, t: Translator) -> Part:
    money, found = _money(currency, t), rates(settlement, currency)
    rows = []
    for rate in found:
        words = t("papers.untaxed")
        if rate.tax_bp != NO_TAX:
            words = t("papers.rate", rate=format_percent(rate.tax_bp, t.language))
        rows.append(Row((words, money(rate.net), money(rate.vat), money(rate.gross))))
    net, vat = (sum(getattr(rate, name) for rate in found) for name in ("net", "vat"))
    rows.append(Row((t("settlement.all"), money(net), money(vat), money(net + vat)), True))
    head = tuple(t(f"papers.column.{name}") for name in ("net", "vat", "gross"))
    return Part(t("settlement.vat"), tuple(rows), head, amounts=True)


def _table(
    key: str,
    what: str,
    found: dict[object, Tally],
    words: Callable[..., str],
    money: Callable[[int], str],
    t: Translator,
) -> Part:
    """What came and what went back of each, and of all together."""

    def row(label: str, one: Tally, strong: bool = False) -> Row:
        counts = (format_number(count, t.language) for count in (one.sold, one.back))
        sold, back = counts
        cells = (label, sold, money(one.sold_amount), back, money(one.back_amount), money(one.net))
        return Row(cells, strong, whole=True)

    rows = [row(words(by), one) for by, one in found.items()]
    rows.append(row(t("settlement.all"), _together(found.values()), True))
    head = tuple(
        t(f"settlement.column.{what}.{name}") for name in ("in", "amount", "back", "given", "net")
    )
    return Part(t(f"settlement.by.{key}"), tuple(rows), head)


def _together(tallies: Iterable[Tally]) -> Tally:
    found = list(tallies)
    return Tally(
        *(
            sum(getattr(one, name) for one in found)
            for name in ("sold", "sold_amount", "back", "back_amount")
        )
    )


# Words -------------------------------------------------------------------------------


def _performance(settlement: Settlement, number: int, t: Translator) -> str:
    for one in settlement.performances:
        if one.number == number:
            return f"{_in(one.titles, t)}, {_when(settlement, one.starts_ms, t)}"
    return t("settlement.no_performance")


def _fee(settlement: Settlement, id: str, t: Translator) -> str:
    if id in settlement.fees:
        return _in(settlement.fees[id], t)
    return t(f"papers.charge.{id}") if f"papers.charge.{id}" in t else id


def _name(names: dict[str, dict[str, str]], one: Sum, t: Translator) -> str:
    return _in(names.get(one.price_type, {}), t) or one.price_type


def _in(texts: dict[str, str], t: Translator) -> str:
    return texts.get(t.language) or next(iter(texts.values()), "")


def _when(settlement: Settlement, at_ms: int, t: Translator) -> str:
    zone = settlement.time_zone
    date = format_date(at_ms, zone, t.language, "medium")
    return f"{date} {format_time(at_ms, zone, t.language)}"


def _local(at_ms: int, settlement: Settlement) -> str:
    """A time that programs read: the house's clocks."""
    at = datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(settlement.time_zone))
    return at.replace(tzinfo=None).isoformat(" ", "minutes")


def _day(day: str, t: Translator) -> str:
    """A day's name in words: any moment of it will do."""
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return format_date(int(noon.timestamp() * 1_000), "UTC", t.language, "long")


def _money(currency: str, t: Translator) -> Callable[[int], str]:
    return lambda minor: format_money(minor, currency, t.language)
