"""The report of a till session in words: the same for the screen, the terminal and paper.

Values in, parts with headings and rows out; how they stand on a page is others' business.
"""

from __future__ import annotations

from engine.tills import Entry, EntryKind, Pieces, TillReport
from renderers.i18n import Translator
from renderers.money import format_date, format_money, format_time
from renderers.parts import Part, Row


def title_of(report: TillReport, t: Translator) -> str:
    session = report.session
    return t("till.report.title", till=session.till, operator=session.operator)


def shift_of(report: TillReport, t: Translator, timezone: str) -> str:
    """When it was opened, and when and by whom it was closed."""
    session = report.session
    opened = when(session.opened_ms, t, timezone)
    if session.closing is None:
        return t("till.report.open_since", number=session.number, opened=opened)
    return t(
        "till.report.shift",
        number=session.number,
        opened=opened,
        closed=when(session.closing.at_ms, t, timezone),
        operator=session.closing.operator,
    )


def report_parts(report: TillReport, t: Translator, timezone: str) -> list[Part]:
    """The drawer, what was counted, the ways to pay, and who moved cash and why."""
    parts = [_drawer(report, t), _methods(report, t)]
    closing = report.session.closing
    if closing is not None and closing.pieces:
        parts.insert(1, count_of(closing.pieces, report.session.currency, t))
    if report.entries:
        parts.append(_entries(report, t, timezone))
    return parts


def signed(minor: int, currency: str, t: Translator) -> str:
    """A difference: "+€1.50", "−€2.00", "€0.00"."""
    sign = "+" if minor > 0 else "−" if minor < 0 else ""
    return sign + format_money(abs(minor), currency, t.language)


def when(at_ms: int, t: Translator, timezone: str) -> str:
    date = format_date(at_ms, timezone, t.language, "medium")
    return f"{date} {format_time(at_ms, timezone, t.language)}"


def count_of(pieces: Pieces, currency: str, t: Translator) -> Part:
    """Coins and notes as they were counted, the largest first."""
    rows = [
        Row(
            (
                f"{many} × {format_money(kind, currency, t.language)}",
                format_money(kind * many, currency, t.language),
            )
        )
        for kind, many in pieces
    ]
    total = sum(kind * many for kind, many in pieces)
    rows.append(Row((t("till.report.counted"), format_money(total, currency, t.language)), True))
    return Part(t("till.report.count"), tuple(rows))


def _drawer(report: TillReport, t: Translator) -> Part:
    session, closing = report.session, report.session.closing

    def row(key: str, minor: int, strong: bool = False) -> Row:
        return Row((t(f"till.report.{key}"), signed(minor, session.currency, t)), strong)

    def plain(key: str, minor: int, strong: bool = False) -> Row:
        amount = format_money(minor, session.currency, t.language)
        return Row((t(f"till.report.{key}"), amount), strong)

    rows = [
        plain("float", session.opening_float),
        row("cash_taken", report.cash_taken),
        row("cash_back", -report.cash_back),
        row("moved_in", report.moved_in),
        row("moved_out", -report.moved_out),
        plain("expected", report.expected, True),
    ]
    notes: list[str] = []
    if closing is not None:
        rows.append(plain("counted", closing.amount, True))
        rows.append(row("difference", closing.difference, True))
        if closing.explanation:
            notes.append(t("till.report.explanation", text=closing.explanation))
    return Part(t("till.report.drawer"), tuple(rows), notes=tuple(notes))


def _methods(report: TillReport, t: Translator) -> Part:
    currency, language = report.session.currency, t.language
    rows = [
        Row(
            (
                t(f"receipt.method.{one.method}"),
                str(one.payments),
                format_money(one.taken, currency, language),
                str(one.refunds),
                signed(-one.handed_back, currency, t),
                format_money(one.taken - one.handed_back, currency, language),
            )
        )
        for one in report.methods
    ]
    net = sum(one.taken - one.handed_back for one in report.methods)
    rows.append(
        Row(
            (
                t("till.report.all"),
                str(sum(one.payments for one in report.methods)),
                format_money(sum(one.taken for one in report.methods), currency, language),
                str(report.refunds),
                signed(-sum(one.handed_back for one in report.methods), currency, t),
                format_money(net, currency, language),
            ),
            True,
        )
    )
    head = tuple(
        t(f"till.report.column.{key}")
        for key in ("payments", "taken", "refunds", "handed_back", "net")
    )
    notes = (t.plural("till.report.sales", report.sales),)
    return Part(t("till.report.methods"), tuple(rows), head, notes)


def _entries(report: TillReport, t: Translator, timezone: str) -> Part:
    rows = tuple(_entry(entry, report.session.currency, t, timezone) for entry in report.entries)
    return Part(t("till.report.entries"), rows)


def _entry(entry: Entry, currency: str, t: Translator, timezone: str) -> Row:
    at, who = format_time(entry.at_ms, timezone, t.language), entry.operator
    if entry.kind is EntryKind.COUNT:
        difference = signed(entry.amount - entry.expected, currency, t)
        words = t("till.report.counted_then", time=at, operator=who, difference=difference)
        return Row((words, format_money(entry.amount, currency, t.language)))
    sign = 1 if entry.kind is EntryKind.IN else -1
    kind = t(f"till.report.kind.{entry.kind.value}")
    words = t("till.report.entry", time=at, kind=kind, reason=entry.reason, operator=who)
    return Row((words, signed(sign * entry.amount, currency, t)))
