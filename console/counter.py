"""A sale at the counter by command: places are named, held and priced in one go.

Owns what an operator may say of places, and that what was held and not ordered is given back. The
order is `console.order_cli`'s.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from console.client import Client, Problem, Unreachable
from console.link import Ask, Link, NotServed
from console.operating import Failure
from console.programme import Performance
from console.sale import Sale
from console.seating import Seating
from console.till import new_id, now_ms
from engine.commands import Held, Line, Outcome, Refused
from gateway.wire import AskBest, AskHold, AskRelease
from renderers.i18n import Translator

ANSWER_S: Final = 20.0
"""A command that is not answered by then gives up: whatever it held runs out by itself."""


class Wanted(NamedTuple):
    """Places as they are said: "C 12-14, D 4", how many of the best, or "Pit=3" of an area.

    `prices` are price types: one for all places, or one for each.
    """

    seats: str = ""
    best: int = 0
    area: str = ""
    prices: tuple[str, ...] = ()


@asynccontextmanager
async def held(
    client: Client,
    performance: Performance,
    seating: Seating,
    wanted: Wanted,
    t: Translator,
    *,
    by_phone: bool = False,
) -> AsyncIterator[Sale]:
    """The places, held and priced as they are wanted; given back where the work with them fails.

    Raises:
        Failure: What is wanted is not said well.
        Problem: The server refuses.
        Unreachable: It does not answer.
    """
    sale = Sale(performance, seating, new_id())
    sale.by_phone = by_phone
    frame = _frame(sale, wanted, t)
    link = Link(client.server, client.token, t.language, context=client.context)
    running = asyncio.create_task(link.run())
    try:
        outcome = await _asked(link, running, frame, client)
        if isinstance(outcome, Refused):
            raise Problem(409, outcome.code.value, outcome.detail, outcome.seats, performance.id)
        assert isinstance(outcome, Held), outcome
        sale.held(outcome, now_ms())
        try:
            _price(sale, wanted.prices, t)
            yield sale
        except BaseException:
            release = AskRelease(new_id(), performance.id, sale.token)
            await _asked(link, running, release, client)
            raise
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _asked(link: Link, running: asyncio.Task[None], frame: Ask, client: Client) -> Outcome:
    asking = asyncio.create_task(link.ask(frame))
    await asyncio.wait({asking, running}, timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
    if not asking.done():
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if running.done():
            raise Problem(401, "unauthenticated", "")
        raise Unreachable(client.server, f"{ANSWER_S:.0f} s")
    try:
        return asking.result()
    except NotServed as error:
        raise Problem(403, error.code, error.detail) from None


def _frame(sale: Sale, wanted: Wanted, t: Translator) -> AskHold | AskBest:
    seating, performance = sale.seating, sale.performance.id
    if sum(map(bool, (wanted.seats, wanted.best, wanted.area))) != 1:
        raise Failure(t("order.cli.which_places"))
    if wanted.best:
        return AskBest(new_id(), performance, sale.token, wanted.best, channel=sale.channel)
    if wanted.seats:
        try:
            named = seating.find_seats(wanted.seats)
        except ValueError as error:
            raise Failure(t("console.sale.no_such_place", text=str(error))) from None
        seats = dict.fromkeys(seat for one in named for seat in seating.sold_with(one))
        return AskHold(new_id(), performance, sale.token, tuple(seats), (), sale.channel)
    name, _, many = wanted.area.partition("=")
    spot = seating.find(name)
    area = -1 if spot is None else seating.area_of(spot)
    if area < 0 or not many.isascii() or not many.isdigit() or not int(many[:9]):
        raise Failure(t("console.sale.no_such_place", text=wanted.area))
    places = ((area, int(many[:9])),)
    return AskHold(new_id(), performance, sale.token, (), places, sale.channel)


def _price(sale: Sale, prices: tuple[str, ...], t: Translator) -> None:
    """Give each place its price type. Raises Failure where there is none of it."""
    if not prices:
        return
    if len(prices) not in (1, sale.size):
        raise Failure(t("order.cli.prices", places=sale.size, prices=len(prices)))
    each = prices * sale.size if len(prices) == 1 else prices
    lines = []
    for line, at in _single(sale):
        if sale.amount_of(line, each[at]) is None:
            raise Failure(t("order.cli.no_price", price=each[at]))
        lines.append(Line(line.seat, line.area, each[at], 1))
    sale.price(_gathered(lines))


def _single(sale: Sale) -> list[tuple[Line, int]]:
    """One line for each place, with its number."""
    singles = [
        Line(line.seat, line.area, line.price_type) for line in sale.order_lines()
        for _ in range(line.quantity)
    ]  # fmt: skip
    return [(line, at) for at, line in enumerate(singles)]


def _gathered(lines: list[Line]) -> list[Line]:
    """Lines of one area and price type together, as a sale is priced."""
    counts: dict[tuple[int, int, str], int] = {}
    for line in lines:
        key = (line.seat, line.area, line.price_type)
        counts[key] = counts.get(key, 0) + 1
    return [Line(seat, area, kind, many) for (seat, area, kind), many in counts.items()]
