"""`strapontin order`: sell, look up, take money, refund, exchange and print, without a screen.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin. What changes
an order has an id, made here unless it is given: whoever had no answer repeats it with `--id`.
"""

import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter
from msgspec.structs import replace

from console.cli import t
from console.client import Client, ClientError
from console.counter import Wanted, held
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
from console.programme import Performance
from console.sale import Sale
from console.seating import Seating
from console.terminal_cli import read_card
from engine.commands import ID_BYTES, Channel, Line
from engine.credit import credits_of, spaced
from engine.gift_cards import GiftCard, gift_cards_of
from engine.orders import Buyer, Delivery, Order, OrderHold, OrderLine, PlaceOrder, TermsKind
from engine.payments import PaymentMethod
from renderers.money import format_money, parse_money

app = App(name="order", help=t("cli.order.help"), help_format="plaintext")

MAX_FOUND = 200


@Parameter(name="*")
@dataclass(frozen=True)
class Places:
    """What is sold, or given for something else."""

    seats: Annotated[str, Parameter(help=t("order.cli.seats"))] = ""
    best: Annotated[int, Parameter(help=t("order.cli.best"))] = 0
    area: Annotated[str, Parameter(help=t("order.cli.area"))] = ""
    price: Annotated[tuple[str, ...], Parameter(help=t("order.cli.price"))] = ()

    @property
    def are_the_same(self) -> bool:
        """Nothing but prices is said."""
        return bool(self.price) and not (self.seats or self.best or self.area)

    def wanted(self) -> Wanted:
        return Wanted(self.seats, self.best, self.area, self.price)


@Parameter(name="*")
@dataclass(frozen=True)
class Money:
    """How it is paid at once; nothing: later, with `strapontin order pay`."""

    pay: Annotated[
        Literal[
            "cash", "card_terminal", "stripe_terminal", "cheque", "bank_transfer", "store_credit"
        ]
        | None,
        Parameter(help=t("order.cli.pay_by")),
    ] = None
    given: Annotated[str, Parameter(help=t("order.cli.given"))] = ""
    reference: Annotated[str, Parameter(help=t("order.cli.reference"))] = ""


Named = Annotated[str, Parameter(help=t("order.cli.order"))]
Lines = Annotated[tuple[int, ...], Parameter(help=t("order.cli.lines"))]
Id = Annotated[str, Parameter(name="--id", help=t("order.cli.id"))]
Number = Annotated[int, Parameter(help=t("order.cli.performance"))]


@app.command(name="list", help=t("order.cli.list"))
def list_(
    text: Annotated[str, Parameter(help=t("order.cli.text"))] = "",
    /,
    *,
    performance: Number = -1,
    state: Annotated[
        Literal["awaiting_approval", "awaiting_payment"] | None,
        Parameter(help=t("order.cli.state")),
    ] = None,
    limit: Annotated[int, Parameter(help=t("order.cli.limit"))] = 20,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        most = min(max(limit, 1), MAX_FOUND)
        found = await client.sales(performance, text, most, state or "")
        if who.json:
            print_json(found)
            return 0
        zone = await house_zone(client)
        for order in found:
            print(_headline(order, zone))
        return 0

    return run(work)


@app.command(help=t("order.cli.show"))
def show(order: Named, /, *, who: Asker = ASKER) -> int:
    async def change(client: Client, found: Order) -> Order:
        return found

    return _changed(order, who, change)


@app.command(help=t("order.cli.sell"))
def sell(
    performance: Number,
    /,
    *,
    places: Places = Places(),
    gift_card: Annotated[tuple[str, ...], Parameter(help=t("order.cli.gift_card"))] = (),
    name: Annotated[str, Parameter(help=t("order.cli.name"))] = "",
    email: Annotated[str, Parameter(help=t("order.cli.email"))] = "",
    delivery: Annotated[
        Literal["e_ticket", "box_office", "post"], Parameter(help=t("order.cli.delivery"))
    ] = "e_ticket",
    channel: Annotated[
        Literal["box_office", "phone"] | None, Parameter(help=t("order.cli.channel"))
    ] = None,
    until: Annotated[str, Parameter(help=t("order.cli.until"))] = "",
    money: Money = Money(),
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        if until and money.pay is not None:
            raise Failure(t("order.cli.pay_or_keep"))
        client = await operator(who)
        until_ms = _moment_of(until, await house_zone(client)) if until else 0
        house = await _house(client, performance)
        by_phone = channel == Channel.PHONE.value
        asked = PlaceOrder(
            _new_id(),
            (),
            Channel(channel or Channel.BOX_OFFICE),
            buyer=Buyer(name, email, t.language),
            delivery=Delivery(delivery),
            gift_cards=tuple(_money(amount, house[0].currency) for amount in gift_card),
            performance=performance,
        )
        async with AsyncExitStack() as stack:
            wanted = places.wanted()
            if not gift_card or wanted != Wanted():
                holding = held(client, *house, wanted, t, by_phone=by_phone)
                sale = await stack.enter_async_context(holding)
                basket = OrderHold(performance, sale.token.hex(), sale.order_lines())
                asked = replace(asked, baskets=(basket,))
            order = await client.place(asked)
            # From here on the order has what was held: what fails now is asked of it again.
            with _made(order):
                if until_ms:
                    order = await client.reserve(order.id, TermsKind.PICK_UP.value, until_ms)
                elif money.pay is not None and order.waits:
                    order = await _pay(client, order, money, "", _new_id())
        return await _told(client, order, who)

    return run(work)


@app.command(help=t("order.cli.pay"))
def pay(
    order: Named,
    /,
    *,
    amount: Annotated[str, Parameter(help=t("order.cli.part"))] = "",
    money: Money = Money(),
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def change(client: Client, found: Order) -> Order:
        if money.pay is None:
            raise Failure(t("order.cli.how_paid"))
        return await _pay(client, found, money, amount, id or _new_id())

    return _changed(order, who, change)


@app.command(help=t("order.cli.approve"))
def approve(order: Named, /, *, who: Asker = ASKER) -> int:
    return _changed(order, who, lambda client, found: client.approve(found.id))


@app.command(help=t("order.cli.cancel"))
def cancel(order: Named, /, *, who: Asker = ASKER) -> int:
    async def change(client: Client, found: Order) -> Order:
        under_way = "" if found.exchange is None else found.exchange.id
        return await client.cancel(found.id, under_way)

    return _changed(order, who, change)


@app.command(help=t("order.cli.refund"))
def refund(
    order: Named,
    /,
    *,
    lines: Lines = (),
    gift_cards: Annotated[tuple[int, ...], Parameter(help=t("order.cli.gift_cards_back"))] = (),
    amount: Annotated[str, Parameter(help=t("order.cli.back"))] = "",
    reason: Annotated[str, Parameter(help=t("order.cli.reason"))] = "",
    to_credit: Annotated[bool, Parameter(negative=(), help=t("order.cli.to_credit"))] = False,
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def change(client: Client, found: Order) -> Order:
        back = _money(amount, found.currency)
        return await client.refund(
            found.id, id or _new_id(), lines, reason, back, to_credit, gift_cards
        )

    return _changed(order, who, change)


@app.command(help=t("order.cli.undo"))
def undo(order: Named, /, *, id: Id = "", who: Asker = ASKER) -> int:
    return _changed(order, who, lambda client, found: client.undo(found.id, id or _new_id()))


@app.command(help=t("order.cli.exchange"))
def exchange(
    order: Named,
    /,
    *,
    lines: Lines,
    performance: Number = -1,
    places: Places = Places(),
    fee: Annotated[str, Parameter(help=t("order.cli.fee"))] = "",
    money: Money = Money(),
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def change(client: Client, found: Order) -> Order:
        number = performance
        if number < 0:
            number = next((one.performance for one in found.lines if one.number in lines), -1)
        house = await _house(client, number)
        charged = _money(fee, found.currency)
        if places.are_the_same and performance < 0:
            hold = OrderHold(number, "", _repriced(found, lines, places.price, *house))
            made = await client.exchange(found.id, id or _new_id(), lines, hold, charged)
            return await _paid_at_once(client, made, money)
        async with held(client, *house, places.wanted(), t) as sale:
            hold = OrderHold(number, sale.token.hex(), sale.order_lines())
            made = await client.exchange(found.id, id or _new_id(), lines, hold, charged)
            return await _paid_at_once(client, made, money)

    return _changed(order, who, change)


@app.command(help=t("order.cli.reissue"))
def reissue(order: Named, /, *, lines: Lines = (), id: Id = "", who: Asker = ASKER) -> int:
    async def change(client: Client, found: Order) -> Order:
        return await client.reissue(found.id, id or _new_id(), lines)

    return _changed(order, who, change)


@app.command(name="print", help=t("order.cli.print"))
def print_(
    order: Named,
    what: Annotated[Literal["tickets", "receipt"], Parameter(help=t("order.cli.what"))] = "tickets",
    /,
    *,
    output: Annotated[Path, Parameter(help=t("order.cli.output"))],
    lines: Lines = (),
    id: Id = "",
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        found = await _find(client, order)
        language = found.buyer.language or t.language
        if what == "tickets":
            pdf = await client.print_tickets(found.id, id or _new_id(), language, lines)
        else:
            pdf = await client.receipt_pdf(found.id, language)
        try:
            output.write_bytes(pdf)
        except OSError as error:
            why = error.strerror or str(error)
            raise Failure(t("order.cli.not_written", path=str(output), why=why)) from None
        if who.json:
            print_json({"order": found.number, "path": str(output), "bytes": len(pdf)})
        else:
            print(t("order.cli.written", path=str(output)))
        return 0

    return run(work)


# ---------------------------------------------------------------------------------


def _changed(named: str, who: Asker, change: Callable[[Client, Order], Awaitable[Order]]) -> int:
    """Find an order, change it, and tell what it is then."""

    async def work() -> int:
        client = await operator(who)
        return await _told(client, await change(client, await _find(client, named)), who)

    return run(work)


async def _find(client: Client, named: str) -> Order:
    """The order with this number, or this id."""
    if len(named) == 2 * ID_BYTES:
        return await client.order(named)
    if named.isdigit() and (found := await order_of(client, int(named))) is not None:
        return await client.order(found.id)
    raise Failure(t("order.cli.no_order", order=named))


async def _house(client: Client, number: int) -> tuple[Performance, Seating]:
    performance = await client.performance(number)
    return performance, Seating(await client.plan(performance.plan))


@contextmanager
def _made(order: Order) -> Iterator[None]:
    """Say which order it is that waits, where what follows fails."""
    try:
        yield
    except (ClientError, Failure):
        print(t("order.cli.waits", number=order.number), file=sys.stderr)
        raise


def _repriced(
    order: Order,
    lines: tuple[int, ...],
    prices: tuple[str, ...],
    performance: Performance,
    seating: Seating,
) -> tuple[Line, ...]:
    """The places of an order's lines with their new price types: one for all, or one for each."""
    if len(prices) not in (1, len(lines)):
        raise Failure(t("order.cli.prices", places=len(lines), prices=len(prices)))
    kinds = dict(zip(lines, prices if len(prices) > 1 else prices * len(lines), strict=True))
    sale, named = Sale(performance, seating, b""), []
    for one in order.lines:
        if one.number in kinds:
            line = Line(one.seat, one.area, kinds[one.number])
            if sale.amount_of(line, line.price_type) is None:
                raise Failure(t("order.cli.no_price", price=line.price_type))
            if line.price_type == one.price_type:
                raise Failure(t("order.cli.has_price", line=one.number, price=one.price_type))
            named.append(line)
    return tuple(named)


async def _paid_at_once(client: Client, order: Order, money: Money) -> Order:
    """What an exchange costs more is paid, where it was said how."""
    if money.pay is None or not order.waits:
        return order
    with _made(order):
        return await _pay(client, order, money, "", _new_id())


async def _pay(client: Client, order: Order, money: Money, amount: str, attempt: str) -> Order:
    assert money.pay is not None
    part = _money(amount, order.currency)
    if money.pay == PaymentMethod.STRIPE_TERMINAL.value:
        reader = money.reference or (await client.own_till()).reader
        if not reader:
            raise Failure(t("reader.cli.no_reader"))
        print(t("reader.screen.asking"), file=sys.stderr)
        return await read_card(client, order, reader, attempt, part)
    given = None
    if money.pay == "cash":
        given = _money(money.given, order.currency) if money.given else part or order.due
    return await client.pay(order.id, money.pay, attempt, given, money.reference, part)


def _money(text: str, currency: str) -> int:
    """Minor units of what was typed, 0 for nothing. Raises Failure."""
    if not text:
        return 0
    try:
        return parse_money(text, currency)
    except ValueError:
        raise Failure(t("order.cli.not_money", text=text, currency=currency)) from None


def _moment_of(text: str, zone: ZoneInfo) -> int:
    """Unix milliseconds of a time in the house's zone. Raises Failure."""
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)
    raise Failure(t("order.cli.not_a_time", text=text))


async def _told(client: Client, order: Order, who: Asker) -> int:
    if who.json:
        print_json(order)
        return 0
    print(_headline(order, await house_zone(client)))
    numbers = {one.performance for one in order.lines}
    houses = {number: await _house(client, number) for number in numbers}
    for line in order.lines:
        print(_line(order, line, *houses[line.performance]))
    if order.waits:
        print(t("order.cli.due", amount=format_money(order.due, order.currency, t.language)))
    for card in gift_cards_of(order):
        print(_gift_card(order, card))
    for code, amount in credits_of(order):
        words = format_money(amount, order.currency, t.language)
        print(t("console.order.credit", amount=words, code=spaced(code)))
    return 0


def _headline(order: Order, zone: ZoneInfo) -> str:
    return t(
        "order.cli.line",
        number=order.number,
        state=t(f"console.order_state.{order.state.value}"),
        at=moment(order.created_ms, zone),
        amount=format_money(order.total, order.currency, t.language),
        buyer=order.buyer.name or order.buyer.email or order.operator,
    ).rstrip()


def _line(order: Order, line: OrderLine, performance: Performance, seating: Seating) -> str:
    spot = line.seat if line.seat >= 0 else seating.seat_count + line.area
    amount = format_money(line.amount, order.currency, t.language)
    ticket = f"{line.performance}-{line.ticket:06d}" if line.ticket >= 0 else ""
    state = t(f"console.line_state.{line.state.value}")
    kind = performance.price_name(line.price_type, t.language)
    words = f"{line.number:>3}  {seating.words(spot, t)} · {kind} · {amount} · {state}"
    return f"{words} {ticket}".rstrip()


def _gift_card(order: Order, card: GiftCard) -> str:
    amount = format_money(card.left, order.currency, t.language)
    state = t(f"console.line_state.{card.state.value}")
    words = f"{card.number:>3}  {t('gift_card.title')} · {amount} · {state}"
    return f"{words} {spaced(card.code)}".rstrip()


def _new_id() -> str:
    return secrets.token_hex(ID_BYTES)
