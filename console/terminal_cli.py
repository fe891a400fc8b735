"""`strapontin terminal`: the card readers of the payment provider, and where they stand.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin.
"""

import asyncio
from typing import Annotated, Final

from cyclopts import App, Parameter

from console.cli import t
from console.client import Client
from console.operating import ASKER, Asker, operator, print_json, run
from engine.orders import Order
from engine.payments import PaymentMethod

ASK_S: Final = 2.0
"""Between two questions for a payment that waits for its card."""

app = App(name="terminal", help=t("cli.terminal.help"), help_format="plaintext")

Reader = Annotated[str, Parameter(help=t("reader.cli.reader"))]
Till = Annotated[str, Parameter(help=t("reader.cli.till"))]
Card = Annotated[str, Parameter(name="--card", help=t("reader.cli.card"))]


@app.command(name="list", help=t("reader.cli.list"))
def list_(
    *,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await client.readers()
        if who.json:
            print_json(found)
            return 0
        for one in found:
            state = t(f"reader.cli.{'online' if one.is_online else 'offline'}")
            tills = ", ".join(one.tills) or t("reader.cli.nowhere")
            print(f"{one.id}  {one.label}  {one.device_type}  {state}  {tills}")
        if not found:
            print(t("reader.cli.none"))
        return 0

    return run(work)


@app.command(help=t("reader.cli.bind"))
def bind(
    reader: Reader,
    /,
    *till: Till,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        await client.bind_reader(reader, till)
        if who.json:
            print_json({"id": reader, "tills": list(till)})
            return 0
        tills = ", ".join(till)
        told = t("reader.cli.bound", reader=reader, tills=tills)
        print(told if till else t("reader.cli.unbound", reader=reader))
        return 0

    return run(work)


@app.command(help=t("reader.cli.present"))
def present(
    reader: Reader,
    /,
    *,
    card: Card = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        await client.present_card(reader, card)
        if who.json:
            print_json({"id": reader, "presented": True})
        else:
            print(t("reader.cli.presented", reader=reader))
        return 0

    return run(work)


async def read_card(client: Client, order: Order, reader: str, attempt: str, part: int) -> Order:
    """Have a reader ask for a card until it is paid; interrupted, the reader is stopped.

    Raises:
        ClientError: among them why it is not paid.
    """
    method = PaymentMethod.STRIPE_TERMINAL.value
    try:
        while True:
            order = await client.pay(order.id, method, attempt, None, reader, part)
            if not any(one.at_reader for one in order.payments):
                return order
            await asyncio.sleep(ASK_S)
    except asyncio.CancelledError:
        await client.stop_payment(order.id, attempt)
        raise
