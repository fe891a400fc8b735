"""`strapontin credit`: what is left on a credit, and what became of the rest.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin.
"""

from typing import Annotated
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from console.cli import t
from console.operating import ASKER, Asker, house_zone, moment, operator, print_json, run
from engine.credit import CreditView, spaced
from renderers.money import format_money

app = App(name="credit", help=t("cli.credit.help"), help_format="plaintext")


@app.default
def show(
    code: Annotated[str, Parameter(help=t("cli.credit.code"))],
    /,
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        view = await client.credit(code)
        if who.json:
            print_json(view)
            return 0
        zone = await house_zone(client)
        print("\n".join(_lines(view, zone)))
        return 0

    return run(work)


def _lines(view: CreditView, zone: ZoneInfo) -> list[str]:
    credit = view.credit
    balance = format_money(credit.balance, credit.currency, t.language)
    lines = [t("cli.credit.line", code=spaced(credit.code), amount=balance)]
    for one in view.moves:
        at = moment(one.at_ms, zone)
        amount = format_money(one.amount, credit.currency, t.language)
        lines.append(t("cli.credit.move", at=at, amount=f"{amount:>14}", order=one.order))
    return lines
