"""`strapontin mail`: what was sent and what was not, once more, and an order's tickets again.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin.
"""

import secrets
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

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
from engine.commands import ID_BYTES
from engine.mails import MailRow

app = App(name="mail", help=t("cli.mail.help"), help_format="plaintext")

Number = Annotated[int, Parameter(help=t("mailing.cli.number"))]
OrderNumber = Annotated[int, Parameter(help=t("mailing.cli.order"))]
State = Annotated[
    Literal["waiting", "sending", "sent", "failed", "dropped"] | None,
    Parameter(help=t("mailing.cli.state")),
]
Before = Annotated[int, Parameter(help=t("mailing.cli.before"))]


@app.command(name="list", help=t("mailing.cli.list"))
def list_(
    *,
    order: OrderNumber = 0,
    state: State = None,
    before: Before = 0,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        rows = await client.mails(order, state or "", before)
        if who.json:
            print_json(rows)
            return 0
        zone = await house_zone(client)
        for row in rows:
            print(_line(row, zone))
        return 0

    return run(work)


@app.command(help=t("mailing.cli.show"))
def show(
    mail: Number,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        await _tell(client, await client.mail(mail), who.json)
        return 0

    return run(work)


@app.command(help=t("mailing.cli.retry"))
def retry(
    mail: Number,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        await _tell(client, await client.retry_mail(mail), who.json)
        return 0

    return run(work)


@app.command(help=t("mailing.cli.send"))
def send(
    order: OrderNumber,
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await order_of(client, order)
        if found is None:
            raise Failure(t("mailing.cli.no_order", order=order))
        sent = await client.send_tickets(found.id, secrets.token_hex(ID_BYTES))
        await _tell(client, sent, who.json)
        return 0

    return run(work)


async def _tell(client: Client, row: MailRow, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    zone = await house_zone(client)
    print(_line(row, zone))
    for one in row.tries:
        print(f"      {moment(one.at_ms, zone)}  {one.reason}")
    if row.due_ms:
        print(f"      {moment(row.due_ms, zone)}  {t('mailing.cli.next')}")


def _line(row: MailRow, zone: ZoneInfo) -> str:
    parts = [
        f"{row.id:>6}",
        moment(row.ended_ms or row.created_ms, zone),
        f"{t(f'mailing.state.{row.state.value}'):<10}",
        f"{row.order_number or '-':>6}",
        f"{t(f'mailing.kind.{row.kind.value}'):<22}",
        row.recipient or "-",
    ]
    return "  ".join(parts)
