"""`strapontin till`: a cashier's drawer, from its float to its count.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin. Every command
has an id, made here unless it is given: whoever had no answer repeats it with `--id`.
"""

import re
import secrets
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import App, Parameter

from console.cli import t
from console.client import Client
from console.operating import ASKER, Asker, Failure, operator, print_json, run
from console.till_lines import report_lines
from engine.commands import ID_BYTES
from engine.currency import DENOMINATIONS
from engine.tills import (
    AddEntry,
    CloseTill,
    EntryKind,
    OpenTill,
    Pieces,
    TillReport,
    TillSession,
)
from renderers.money import format_money, parse_money
from renderers.till_words import shift_of, signed, title_of, when

app = App(name="till", help=t("cli.till.help"), help_format="plaintext")

_PIECES: Final = re.compile(r"(\d{1,7})[x×*](.+)")

Till = Annotated[str, Parameter(help=t("till.cli.till"))]
Currency = Annotated[str, Parameter(help=t("till.cli.currency"))]
Float = Annotated[str, Parameter(name="--float", help=t("till.cli.float"))]
Way = Annotated[Literal["in", "out"], Parameter(help=t("till.cli.way"))]
Amount = Annotated[str, Parameter(help=t("till.cli.amount"))]
Reason = Annotated[str, Parameter(help=t("till.cli.reason"))]
Counted = Annotated[str, Parameter(help=t("till.cli.counted"))]
Explanation = Annotated[str, Parameter(help=t("till.cli.explanation"))]
Number = Annotated[int, Parameter(help=t("till.cli.number"))]
Session = Annotated[int, Parameter(name="--session", help=t("till.cli.number"))]
Pdf = Annotated[Path | None, Parameter(help=t("till.cli.pdf"))]
Spoken = Annotated[Literal["fr", "en"] | None, Parameter(help=t("till.cli.language"))]
OpenOnly = Annotated[bool, Parameter(name="--open", negative=(), help=t("till.cli.open_only"))]
Id = Annotated[str, Parameter(name="--id", help=t("till.cli.id"))]


@app.command(name="open", help=t("till.cli.open"))
def open_(
    till: Till,
    /,
    *,
    currency: Currency,
    float_: Float = "0",
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        amount = _amount(float_, currency)
        client = await operator(who)
        report = await client.open_till(OpenTill(id or _new_id(), till, currency, amount, ""))
        session = report.session
        words = format_money(session.opening_float, currency, t.language)
        told = t("till.cli.opened", till=session.till, number=session.number, amount=words)
        return _told(report, told, who.json)

    return run(work)


@app.command(help=t("till.cli.move"))
def move(
    way: Way,
    amount: Amount,
    reason: Reason,
    /,
    *,
    session: Session = 0,
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await _session(client, session)
        moved = _amount(amount, found.currency)
        entry = AddEntry(id or _new_id(), EntryKind(way), "", moved, reason)
        report = await client.enter_till(found.id, entry)
        words = format_money(report.expected, found.currency, t.language)
        return _told(report, t("till.cli.moved", amount=words), who.json)

    return run(work)


@app.command(help=t("till.cli.count"))
def count(
    *counted: Counted,
    session: Session = 0,
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await _session(client, session)
        amount, pieces = _counted(counted, found.currency)
        entry = AddEntry(id or _new_id(), EntryKind.COUNT, "", amount, pieces=pieces)
        report = await client.enter_till(found.id, entry)
        made = next(one for one in report.entries if one.id == entry.id)
        difference = signed(made.amount - made.expected, found.currency, t)
        return _told(report, t("till.screen.count.noted", difference=difference), who.json)

    return run(work)


@app.command(help=t("till.cli.close"))
def close(
    *counted: Counted,
    explanation: Explanation = "",
    session: Session = 0,
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await _session(client, session)
        amount, pieces = _counted(counted, found.currency)
        closing = CloseTill(id or _new_id(), "", amount, pieces, explanation)
        report = await client.close_till(found.id, closing)
        assert report.session.closing is not None
        difference = signed(report.session.closing.difference, found.currency, t)
        told = t("till.cli.closed", number=found.number, difference=difference)
        return _told(report, told, who.json)

    return run(work)


@app.command(help=t("till.cli.report"))
def report(
    session: Number = 0,
    /,
    *,
    pdf: Pdf = None,
    language: Spoken = None,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await client.till((await _session(client, session)).id)
        if pdf is not None:
            body = await client.till_pdf(found.session.id, language or t.language)
            try:
                pdf.write_bytes(body)
            except OSError as error:
                raise Failure(f"{pdf}: {error.strerror}") from None
            return _told(found, t("till.cli.written", path=str(pdf)), who.json)
        zone = (await client.house()).time_zone
        lines = [line.text for line in report_lines(found, t, zone)]
        head = [title_of(found, t), shift_of(found, t, zone), ""]
        return _told(found, "\n".join(head + lines), who.json)

    return run(work)


@app.command(name="list", help=t("till.cli.list"))
def list_(
    *,
    open_only: OpenOnly = False,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await client.tills(open_only=open_only)
        if who.json:
            print_json(found)
            return 0
        zone = (await client.house()).time_zone
        for session in found:
            print(_line(session, zone))
        return 0

    return run(work)


async def _session(client: Client, number: int) -> TillSession:
    """The session of a number, without one the open one."""
    if not number:
        own = (await client.own_till()).report
        if own is None:
            raise Failure(t("till.cli.none_open"))
        return own.session
    found = await client.tills(before=number + 1, limit=1)
    if not found or found[0].number != number:
        raise Failure(t("till.cli.no_such", number=number))
    return found[0]


def _amount(text: str, currency: str) -> int:
    try:
        return parse_money(text, currency)
    except ValueError:
        raise Failure(t("till.cli.not_an_amount", text=text, currency=currency)) from None


def _counted(words: tuple[str, ...], currency: str) -> tuple[int, Pieces]:
    """A sum, or how many of which coin or note; one that is named twice is added up."""
    if currency not in DENOMINATIONS:
        return _amount("".join(words) or "0", currency), ()
    found: dict[int, int] = {}
    for word in words:
        match = _PIECES.fullmatch(word)
        try:
            kind = parse_money(match[2], currency) if match else 0
        except ValueError:
            kind = 0
        if match is None or kind not in DENOMINATIONS[currency]:
            raise Failure(t("till.cli.not_counted", text=word, currency=currency))
        found[kind] = found.get(kind, 0) + int(match[1])
    return 0, tuple(found.items())


def _new_id() -> str:
    return secrets.token_hex(ID_BYTES)


def _told(found: TillReport, words: str, json: bool) -> int:
    print(msgspec.json.encode(found).decode() if json else words)
    return 0


def _line(session: TillSession, zone: str) -> str:
    state = t("till.cli.is_open")
    if session.closing is not None:
        difference = signed(session.closing.difference, session.currency, t)
        state = t("till.cli.is_closed", difference=difference)
    opened = when(session.opened_ms, t, zone)
    return f"{session.number:>4}  {session.till}  {session.operator}  {opened}  {state}"
