"""`strapontin tickets`: every place that was ever ordered, by any filter: list, totals, files.

Owns arguments, what is printed and exit codes: 0 done, 1 refused, 2 could not begin. What filters
mean is the server's, which says by name which of them is wrong.
"""

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from console.cli import fail, t
from console.client import Client, Problem
from console.listing import KINDS, Filters, Listing, Place
from console.operating import ASKER, REFUSED, Asker, operator, print_json, run
from engine.listing import ListTotals
from renderers.money import format_date, format_money, format_number, format_time

MOST_LINES: Final = 200
"""On a terminal; all of them are in a file."""

app = App(
    name="tickets",
    help=t("cli.tickets.help"),
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=False),
)


Channel = Literal["web", "box_office", "phone", "reseller"]
Status = Literal["pending", "unpaid", "valid", "blocked", "revoked", "refunded", "cancelled"]


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """The filters. Their names are the server's."""

    performance: Annotated[tuple[int, ...], Parameter(help=t("tickets.cli.performance"))] = ()
    production: Annotated[int | None, Parameter(help=t("tickets.cli.production"))] = None
    ordered_from: Annotated[str, Parameter(help=t("tickets.cli.ordered_from"))] = ""
    ordered_until: Annotated[str, Parameter(help=t("tickets.cli.ordered_until"))] = ""
    scanned_from: Annotated[str, Parameter(help=t("tickets.cli.scanned_from"))] = ""
    scanned_until: Annotated[str, Parameter(help=t("tickets.cli.scanned_until"))] = ""
    channel: Annotated[tuple[Channel, ...], Parameter(help=t("tickets.cli.channel"))] = ()
    kind: Annotated[Literal["seat", "area"] | None, Parameter(help=t("tickets.cli.kind"))] = None
    status: Annotated[tuple[Status, ...], Parameter(help=t("tickets.cli.status"))] = ()
    used: Annotated[Literal["yes", "no"] | None, Parameter(help=t("tickets.cli.used"))] = None
    price_type: Annotated[tuple[str, ...], Parameter(help=t("tickets.cli.price_type"))] = ()
    price_from: Annotated[str, Parameter(help=t("tickets.cli.price_from"))] = ""
    price_to: Annotated[str, Parameter(help=t("tickets.cli.price_to"))] = ""
    category: Annotated[tuple[str, ...], Parameter(help=t("tickets.cli.category"))] = ()
    operator: Annotated[tuple[str, ...], Parameter(help=t("tickets.cli.operator"))] = ()
    q: Annotated[str, Parameter(name=["--search", "-q"], help=t("tickets.cli.search"))] = ""

    def filters(self) -> Filters:
        found: list[tuple[str, str]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            values = value if isinstance(value, tuple) else (value,)
            found += [(field.name, str(one)) for one in values if one not in ("", None)]
        return found


NOTHING_ASKED: Final = Asked()
Lines = Annotated[int, Parameter(help=t("tickets.cli.limit"))]
Next = Annotated[str, Parameter(help=t("tickets.cli.next"))]
File = Annotated[Path, Parameter(help=t("tickets.cli.file"))]


@app.command(name="list", help=t("tickets.cli.list"))
def listed(
    *,
    asked: Asked = NOTHING_ASKED,
    limit: Lines = 50,
    next: Next = "",
    who: Asker = ASKER,
) -> int:
    async def work(client: Client) -> int:
        page = await Listing(client).page(asked.filters(), min(limit, MOST_LINES), next)
        if who.json:
            print_json(page)
            return 0
        zone = (await client.house()).time_zone
        for place in page.places:
            print(_line(place, zone))
        if not page.places:
            print(t("tickets.cli.none"))
        elif page.next:
            print(t("tickets.cli.more", next=page.next))
        return 0

    return _run(work, who)


@app.command(help=t("tickets.cli.totals"))
def totals(
    *,
    asked: Asked = NOTHING_ASKED,
    who: Asker = ASKER,
) -> int:
    async def work(client: Client) -> int:
        told = await Listing(client).totals(asked.filters())
        if who.json:
            print_json(told)
        else:
            _tell(told)
        return 0

    return _run(work, who)


@app.command(help=t("tickets.cli.export"))
def export(
    file: File,
    /,
    *,
    asked: Asked = NOTHING_ASKED,
    who: Asker = ASKER,
) -> int:
    kind = file.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        return fail(t("tickets.cli.which_kind", file=str(file)))

    async def work(client: Client) -> int:
        listing = Listing(client)
        of = (await listing.totals(asked.filters())).places
        progress = _Progress(of)
        try:
            await listing.export(asked.filters(), file, kind, t.language, progress.heard)
        except OSError as error:
            return fail(f"{file}: {error.strerror}")
        finally:
            progress.end()
        if who.json:
            told = {"file": str(file), "places": of, "bytes": file.stat().st_size}
            print_json(told)
        else:
            print(t("tickets.cli.written", file=str(file)))
        return 0

    return _run(work, who)


def _run(work: Callable[[Client], Coroutine[Any, Any, int]], who: Asker) -> int:
    async def ask() -> int:
        client = await operator(who)
        try:
            return await work(client)
        except Problem as problem:
            if problem.code != "invalid":
                raise
            fail(t("tickets.cli.invalid", why=problem.detail))
            return REFUSED

    return run(ask)


class _Progress:
    """One line on standard error, where somebody looks at it."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._shown = sys.stderr.isatty()
        self._last = ""
        self._say(t("tickets.cli.waiting", rows=format_number(of, t.language)))

    def heard(self, rows: int, size: int) -> None:
        megabytes = format_number(size // 2**20, t.language)
        if rows:
            percent = min(100, 100 * rows // max(self._of, 1))
            so_far = format_number(rows, t.language)
            self._say(t("tickets.cli.progress", rows=so_far, percent=percent, size=megabytes))
        else:
            self._say(t("tickets.cli.progress_file", size=megabytes))

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\r" + " " * len(self._last) + "\r")

    def _say(self, text: str) -> None:
        if self._shown and text != self._last:
            sys.stderr.write(f"\r{text:<{len(self._last)}}")
            sys.stderr.flush()
            self._last = text


def _line(place: Place, zone: str) -> str:
    at = f"{format_date(place.ordered_ms, zone, t.language, 'short')} "
    at += format_time(place.ordered_ms, zone, t.language)
    amount = format_money(place.amount, place.currency, t.language)
    status = t(f"list.status.{place.status}")
    ticket = f"{place.performance}-{place.ticket}" if place.ticket else ""
    buyer = place.buyer_name or place.buyer_email
    return (
        f"{place.order:>7}  {at:17} {place.label:26} {amount:>10}  {status:11} {ticket:10} {buyer}"
    ).rstrip()


def _tell(told: ListTotals) -> None:
    money = {
        name: [
            format_money(getattr(one, name), one.currency, t.language)
            for one in told.money
            if getattr(one, name)
        ]
        for name in ("sold", "paid", "refunded", "cancelled")
    }
    for name in ("places", "sold", "paid", "refunded", "cancelled", "scanned", "inside"):
        count = format_number(getattr(told, name), t.language)
        amounts = "  ".join(money.get(name, ()))
        print(f"{t(f'list.total.{name}'):24} {count:>12}  {amounts}".rstrip())
