"""`strapontin invoice` and `strapontin settlement`: papers for accounts, on screen and in files.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from console.cli import t
from console.client import Client
from console.operating import (
    ASKER,
    Asker,
    Failure,
    house_zone,
    moment,
    operator,
    order_of,
    print_json,
    run,
)
from console.till_lines import table_lines
from engine.papers import PaperKind, PaperRow
from renderers.money import format_money
from renderers.settlement_words import notes_of, settlement_parts, subtitle_of, title_of

invoice = App(name="invoice", help=t("cli.invoice.help"), help_format="plaintext")
settlement = App(name="settlement", help=t("cli.settlement.help"), help_format="plaintext")

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FORMS: Final = {".pdf": "pdf", ".csv": "csv", ".json": "json"}

Order = Annotated[int, Parameter(help=t("papers.cli.order"))]
ClientName = Annotated[str, Parameter(name="--client", help=t("papers.cli.client"))]
Address = Annotated[
    tuple[str, ...], Parameter(name="--address", negative=(), help=t("papers.cli.address"))
]
Name = Annotated[str, Parameter(name="--paper", help=t("papers.cli.paper"))]
Output = Annotated[Path | None, Parameter(help=t("papers.cli.output"))]
Spoken = Annotated[Literal["fr", "en"] | None, Parameter(help=t("till.cli.language"))]
From = Annotated[str, Parameter(name="--from", help=t("settlement.cli.from"))]
To = Annotated[str, Parameter(name="--to", help=t("settlement.cli.to"))]
Performance = Annotated[int, Parameter(help=t("settlement.cli.performance"))]
Issue = Annotated[bool, Parameter(name="--issue", negative=(), help=t("settlement.cli.issue"))]
SettlementOutput = Annotated[Path | None, Parameter(help=t("settlement.cli.output"))]


@invoice.default
def show_invoice(
    order: Order,
    /,
    *,
    client_name: ClientName = "",
    address: Address = (),
    paper: Name = "",
    output: Output = None,
    language: Spoken = None,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await order_of(client, order)
        if found is None:
            raise Failure(t("papers.cli.no_order", order=order))
        spoken = language or found.buyer.language or t.language
        first = await client.invoice(found.id, spoken, client_name, address)
        rows = await client.papers_of(found.id)
        wanted = paper.upper() or first.name
        if all(row.name != wanted for row in rows):
            raise Failure(t("papers.cli.no_paper", order=order, paper=wanted))
        if output is not None:
            _write(output, await client.paper_pdf(found.id, wanted))
        if who.json:
            print_json(rows)
            return 0
        await _tell(client, rows)
        if output is not None:
            print(t("papers.cli.written", file=output))
        return 0

    return run(work)


@settlement.default
def show_settlement(
    *,
    from_day: From,
    to_day: To = "",
    performance: Performance = 0,
    issue: Issue = False,
    output: SettlementOutput = None,
    language: Spoken = None,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        days = (from_day, to_day or from_day)
        for day in days:
            if not _DAY.fullmatch(day):
                raise Failure(t("settlement.cli.day", day=day))
        form = "" if output is None else _FORMS.get(output.suffix.lower(), "")
        if output is not None and not form:
            raise Failure(t("settlement.cli.suffix", file=output))
        client = await operator(who)
        if issue:
            await client.issue_settlement(*days, performance)
        if output is not None:
            asked = (*days, performance, form, language or t.language)
            _write(output, await client.settlement_file(*asked))
        found = await client.settlement(*days, performance)
        if who.json:
            print_json(found)
            return 0
        lines = [title_of(found, t), subtitle_of(found, t)]
        for part in settlement_parts(found, t):
            lines += ["", *(line.text for line in table_lines(part))]
        print("\n".join([*lines, "", *notes_of(found, t)]))
        if output is not None:
            print(t("papers.cli.written", file=output))
        return 0

    return run(work)


async def _tell(client: Client, rows: list[PaperRow]) -> None:
    zone = await house_zone(client)
    kinds = {kind: t(f"papers.kind.{kind.value}") for kind in PaperKind}
    widest = max(map(len, kinds.values()))
    for row in rows:
        amount = format_money(row.total, row.currency, t.language)
        at = moment(row.at_ms, zone)
        print(f"{row.name}  {at}  {kinds[row.kind]:<{widest}}  {amount:>14}")


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        why = error.strerror or str(error)
        raise Failure(t("papers.cli.unwritable", file=file, why=why)) from None
