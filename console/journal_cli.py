"""`strapontin journal`: check the books, look at their closed periods, close and export them.

Owns arguments, what is printed and exit codes: 0 done and sound, 1 refused, or something is
wrong with the books, 2 could not begin. The checking is done here, with what the server shows
(`engine.ledger_check`), or with a file and no server at all: the server is not asked for its
opinion, except about the journals of the performances, whose chains it reckons itself.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import App, Parameter

from console.cli import fail, t
from console.client import Client
from console.operating import ASKER, REFUSED, Asker, Failure, operator, print_json, run
from engine.ledger import Head
from engine.ledger_check import (
    Fault,
    Finding,
    Findings,
    PeriodReader,
    Place,
    RecordReader,
)
from engine.ledger_export import MAX_LINE_BYTES, ExportUnreadable, check_export
from engine.ledger_periods import Closed, Period, by_kind, read_period
from renderers.money import format_money

app = App(name="journal", help=t("cli.journal.help"), help_format="plaintext")

TIMEOUT_S: Final = 60.0
"""A long journal takes the database some seconds to check."""

MAX_MARKS: Final = 400
"""Signed positions of one journal that are compared, the latest: each covers those before it."""

Key = Annotated[str, Parameter(help=t("journal.cli.key"))]


class Verdict(msgspec.Struct, frozen=True):
    """What was read, and what is wrong with it: the first findings, and how many there are.

    `unchained` are batches of journals that are older than their chain.
    """

    key: str
    records: int
    periods: int
    journals: int
    batches: int
    unchained: int
    found: int
    findings: tuple[Finding, ...]


@app.command(help=t("journal.cli.verify"))
def verify(
    file: Annotated[Path | None, Parameter(help=t("journal.cli.file"))] = None,
    /,
    *,
    key: Key = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        if file is not None:
            verdict = await asyncio.to_thread(_verify_file, file, key)
        else:
            client = await _operator(who)
            verdict = await _verify_all(client, key)
        _tell(verdict, who.json)
        return REFUSED if verdict.found else 0

    return _run(work)


@app.command(help=t("journal.cli.periods"))
def periods(*, who: Asker = ASKER) -> int:
    async def work() -> int:
        client = await _operator(who)
        _show_periods(await _all_periods(client), who.json)
        return 0

    return _run(work)


@app.command(help=t("journal.cli.close"))
def close(
    *,
    early: Annotated[bool, Parameter(negative=(), help=t("journal.cli.early"))] = False,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await _operator(who)
        closed = await client.close_ledger(early)
        if not closed and not who.json:
            print(t("journal.cli.nothing_to_close"))
        else:
            _show_periods(closed, who.json)
        return 0

    return _run(work)


@app.command(help=t("journal.cli.export"))
def export(
    period: Annotated[str, Parameter(help=t("journal.cli.period"))],
    file: Annotated[Path, Parameter(help=t("journal.cli.export_file"))],
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await _operator(who)
        number = _number_of(period, await _all_periods(client))
        await _export(client, number, file)
        verdict = await asyncio.to_thread(_verify_file, file, "")
        if who.json:
            print_json(verdict)
        else:
            print(t("journal.cli.exported", file=file, records=verdict.records, key=verdict.key))
            _tell_findings(verdict)
        return REFUSED if verdict.found else 0

    return _run(work)


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    try:
        return run(work)
    except ExportUnreadable as error:
        return fail(t("journal.cli.unreadable_export", why=str(error)))


# Reading ---------------------------------------------------------------------------------


async def _operator(who: Asker) -> Client:
    return await operator(who, nobody=t("journal.cli.who"))


async def _all_periods(client: Client) -> list[Closed]:
    found: list[Closed] = []
    while True:
        page = await client.ledger_periods(found[-1].number if found else 0)
        if not page.periods:
            return found
        found += page.periods


async def _verify_all(client: Client, key: str) -> Verdict:
    """Periods first, then the records against them, then the journals against their marks."""
    findings = Findings()
    page = await client.ledger_periods(0)
    head = page.head
    trusted = key or (head.key if head is not None else "")
    periods = PeriodReader(findings, _signed, trusted)
    while page.periods:
        for closed in page.periods:
            periods.read(closed)
        head = page.head
        page = await client.ledger_periods(periods.number)
    if page.head is not None:
        periods.end(page.head)
    read = await _verify_records(client, findings, periods.days, page.head)
    journals, batches, unchained = await _verify_journals(client, findings, periods.days)
    return Verdict(
        key=trusted,
        records=read,
        periods=periods.number,
        journals=journals,
        batches=batches,
        unchained=unchained,
        found=findings.count,
        findings=tuple(findings.kept),
    )


async def _verify_records(
    client: Client, findings: Findings, days: list[Period], head: Head | None
) -> int:
    records = RecordReader(findings, days)
    while True:
        page = await client.ledger_records(records.number)
        if not page.records:
            break
        for record in page.records:
            records.read(record)
        total = records.number if page.head is None else max(records.number, page.head.number)
        _progress("journal.progress.records", records.number, total)
    if page.head is not None:
        records.end(page.head)
    elif head is not None or days:
        findings.add(Place.RECORD, 1, Fault.MISSING, max((day.last for day in days), default=1))
    return records.number


async def _verify_journals(
    client: Client, findings: Findings, days: list[Period]
) -> tuple[int, int, int]:
    """Every journal's chain, and that it still has the hashes that closed days have signed."""
    marks: dict[int, dict[int, str]] = {}
    for day in days:
        for mark in day.journals:
            marks.setdefault(mark.performance, {})[mark.seq] = mark.hash
    performances = set(marks)
    after = 0
    while page := await client.journals(after):
        performances.update(page)
        after = page[-1]
    batches = unchained = 0
    for count, performance in enumerate(sorted(performances), 1):
        signed = marks.get(performance, {})
        recent = dict(list(signed.items())[-MAX_MARKS:])
        check = await client.check_journal(performance, list(recent))
        batches += check.batches
        unchained += check.unchained
        for seq, fault in check.faults:
            findings.note(Finding(Place.JOURNAL, seq, Fault(fault), seq, performance))
        if not check.faults:
            for seq, hash in recent.items():
                if check.hashes.get(seq) != hash:
                    fault = Fault.REWRITTEN if seq in check.hashes else Fault.MISSING
                    findings.note(Finding(Place.JOURNAL, seq, fault, seq, performance))
        _progress("journal.progress.journals", count, len(performances))
    return len(performances), batches, unchained


def _verify_file(file: Path, key: str) -> Verdict:
    try:
        with file.open("rb") as opened:
            exported = check_export(
                iter(lambda: opened.readline(MAX_LINE_BYTES), b""), _signed, key
            )
    except OSError as error:
        why = error.strerror or str(error)
        raise Failure(t("journal.cli.unreadable", file=file, why=why)) from None
    period = exported.period
    return Verdict(
        key=key or (period.key if period is not None else ""),
        records=0 if period is None else period.last - period.first + 1,
        periods=1,
        journals=0,
        batches=0,
        unchained=0,
        found=exported.findings.count,
        findings=tuple(exported.findings.kept),
    )


def _signed(key: str, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _number_of(text: str, periods: list[Closed]) -> int:
    """The period of this name (2026-11-21, 2026-11, 2026), or of this number."""
    for closed in periods:
        with suppress(msgspec.DecodeError):
            if read_period(closed.body).label == text:
                return closed.number
    known = {str(closed.number): closed.number for closed in periods}
    if text not in known:
        raise Failure(t("journal.cli.no_period", period=text))
    return known[text]


async def _export(client: Client, number: int, file: Path) -> None:
    """Into its place only when it is whole."""
    partial = file.with_name(f"{file.name}.part")
    try:
        with partial.open("wb") as opened:
            await client.export_ledger(number, opened)
        partial.replace(file)
    except OSError as error:
        why = error.strerror or str(error)
        raise Failure(t("journal.cli.unwritable", file=file, why=why)) from None
    finally:
        partial.unlink(missing_ok=True)


# Telling ---------------------------------------------------------------------------------


def _progress(key: str, count: int, total: int) -> None:
    """For whoever watches; a program that reads standard output sees none of it."""
    if sys.stderr.isatty():
        end = "\n" if count >= total else ""
        print(f"\r{t(key, count=count, total=total)}", end=end, file=sys.stderr, flush=True)


def _tell(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        print_json(verdict)
        return
    print(t("journal.verify.read", records=verdict.records, periods=verdict.periods))
    if verdict.journals:
        print(t("journal.verify.journals", journals=verdict.journals, batches=verdict.batches))
    if verdict.unchained:
        print(t("journal.verify.unchained", batches=verdict.unchained))
    if verdict.key:
        print(t("journal.verify.key", key=verdict.key))
    _tell_findings(verdict)
    if not verdict.found:
        print(t("journal.verify.sound"))


def _tell_findings(verdict: Verdict) -> None:
    for one in verdict.findings:
        where = t(f"journal.place.{one.place}", number=_run_of(one), performance=one.performance)
        print(f"{where}: {t(f'journal.fault.{one.fault}')}", file=sys.stderr)
    if verdict.found > len(verdict.findings):
        more = verdict.found - len(verdict.findings)
        print(t("journal.verify.more", more=more), file=sys.stderr)


def _run_of(finding: Finding) -> str:
    if finding.until > finding.number:
        return f"{finding.number}-{finding.until}"
    return str(finding.number)


def _show_periods(closed: list[Closed], as_json: bool) -> None:
    if as_json:
        print_json(closed)
        return
    if not closed:
        print(t("journal.cli.no_periods"))
    for one in closed:
        try:
            period = read_period(one.body)
        except msgspec.DecodeError:
            print(f"{one.number:6}  {t('journal.fault.changed')}")
            continue
        until = datetime.fromtimestamp(period.until_ms / 1_000, ZoneInfo(period.time_zone))
        count = max(0, period.last - period.first + 1)
        print(
            f"{one.number:6}  {period.label:10}  {until.isoformat(' ', 'minutes')}  "
            f"{t.plural('journal.cli.records', count)}"
        )
        for total in by_kind(period.totals):
            kind = t(f"journal.kind.{total.kind}")
            amount = (
                format_money(total.amount, total.currency, t.language) if total.currency else ""
            )
            print(f"        {kind:28}{total.count:8}  {amount:>18}")
