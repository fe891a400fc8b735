"""`strapontin performance`: cancel one, which tells its buyers and gives their money back.

Owns arguments, what is asked and printed, and exit codes: 0 done, or only looked at; 1 refused;
2 could not begin; 3 it was not agreed to. The work is the server's: whoever looks at it may go
away, and anybody may look again by the same command.
"""

import asyncio
import sys
from typing import Annotated, Final

from cyclopts import App, Parameter
from msgspec import Struct

from console.cli import t
from console.client import Client
from console.client import Problem as Refusal
from console.operating import ASKER, Asker, Failure, house_zone, moment, operator, print_json, run
from console.programme import text_in
from engine.cancellation import CREDIT, Cancellation, CancelledOrder, Preview
from renderers.money import format_money, format_number

NOT_AGREED: Final = 3
LOOK_S: Final = 1.0
BAR: Final = 30
"""Characters of the progress bar."""

app = App(name="performance", help=t("cli.performance.help"), help_format="plaintext")

Number = Annotated[int, Parameter(help=t("cancel.cli.number"))]
Reason = Annotated[str, Parameter(help=t("cancel.cli.reason"))]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help=t("cancel.cli.yes"))]
DryRun = Annotated[bool, Parameter(negative=(), help=t("cancel.cli.dry_run"))]


class CancelledPage(Struct, frozen=True):
    """After the number `next` there may be more orders; 0: there are none."""

    orders: list[CancelledOrder]
    next: int


class Told(Struct, frozen=True):
    """What `--json` prints: what it would cost before, and how far it is after."""

    preview: Preview | None
    cancellation: Cancellation | None
    orders: list[CancelledOrder]


@app.command(help=t("cancel.cli.help"))
def cancel(
    performance: Number,
    /,
    *,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        client = await operator(who)
        return await _Cancelling(client, performance, who.json).run(reason, yes, dry_run)

    return run(work)


class _Cancelling:
    """One performance, as it is cancelled and looked at."""

    def __init__(self, client: Client, performance: int, as_json: bool) -> None:
        self._client = client
        self._path = f"/api/performances/{performance}/cancellation"
        self._performance = performance
        self._as_json = as_json
        self._currency = ""

    async def run(self, reason: str, yes: bool, dry_run: bool) -> int:
        known, preview = await self._known(), None
        performance = await self._client.performance(self._performance)
        self._currency = performance.currency
        if not self._as_json:
            when = moment(performance.starts_ms, await house_zone(self._client))
            self._say(f"{text_in(performance.title, t.language)}, {when}")
        if known is None:
            preview = await self._client.ask(Preview, "GET", f"{self._path}/preview")
            self._show(preview)
        left = known is not None and bool(known.ended_ms and known.orders["left"])
        if known is not None and left:
            await self._tell(known)
        # Whoever reads JSON is not asked: without --yes it is a look.
        acts = not dry_run and (yes or not self._as_json)
        if acts and (known is None or left):
            if not yes and not self._agreed(again=left):
                return NOT_AGREED
            known = await self._client.ask(Cancellation, "POST", self._path, {"reason": reason})
        if acts and known is not None and not known.ended_ms:
            known = await self._follow(known)
        if self._as_json:
            print_json(Told(preview, known, [] if known is None else await self._people()))
        elif known is not None:
            await self._tell(known)
        return 0

    async def _known(self) -> Cancellation | None:
        try:
            return await self._client.ask(Cancellation, "GET", self._path)
        except Refusal as refusal:
            if refusal.code == "not_found":
                return None
            raise

    def _agreed(self, *, again: bool) -> bool:
        if not sys.stdin.isatty():
            raise Failure(t("cancel.cli.not_asked"))
        try:
            answer = input(t("cancel.cli.ask_again" if again else "cancel.cli.ask") + " ")
        except EOFError:
            return False
        return answer.strip().casefold() in t("cancel.cli.yes_words").split()

    async def _follow(self, known: Cancellation) -> Cancellation:
        """Look at it until it has ended. Interrupted, it goes on at the server."""
        try:
            while not known.ended_ms:
                self._progress(known)
                await asyncio.sleep(LOOK_S)
                known = await self._client.ask(Cancellation, "GET", self._path)
            self._progress(known)
        except asyncio.CancelledError:
            print("\n" + t("cancel.cli.goes_on", number=self._performance), file=sys.stderr)
            raise
        if sys.stderr.isatty():
            print(file=sys.stderr)
        return known

    async def _people(self) -> list[CancelledOrder]:
        """Every order that a person has to see to, page by page."""
        found: list[CancelledOrder] = []
        after = 0
        while True:
            path = f"{self._path}/orders?after={after}"
            page = await self._client.ask(CancelledPage, "GET", path)
            found += page.orders
            if not page.next:
                return found
            after = page.next

    # What is said --------------------------------------------------------------------

    def _show(self, preview: Preview) -> None:
        """What it would cost."""
        orders, places = format_number(preview.orders, t.language), preview.places
        self._say(t("cancel.cli.orders", orders=orders, places=format_number(places, t.language)))
        for way, amount in sorted(preview.back.items()):
            key = "cancel.cli.credit" if way == CREDIT else "cancel.cli.back"
            self._say(t(key, amount=self._money(amount), method=_method(way)))
        if preview.fees:
            self._say(t("cancel.cli.fees", amount=self._money(preview.fees)))
        for key in ("free", "reserved", "open", "untold"):
            if count := getattr(preview, key):
                self._say(t.plural(f"cancel.cli.{key}", count))
        for why, count in sorted(preview.left.items()):
            self._say(t("cancel.cli.left", count=count, why=_why(why)))
        if preview.by_hand:
            self._say(t("cancel.cli.by_hand", amount=self._money(preview.by_hand)))

    async def _tell(self, known: Cancellation) -> None:
        """How far it is, and who has to be seen to."""
        if self._as_json:
            return
        counts = {name: format_number(count, t.language) for name, count in known.orders.items()}
        amount = self._money(known.amount)
        key = "cancel.cli.ended" if known.ended_ms else "cancel.cli.under_way"
        self._say(t(key, amount=amount, **counts))
        for one in await self._people():
            why = _why(one.why) if one.why else ""
            untold = "" if one.told else t("cancel.cli.not_told")
            words = ", ".join(filter(None, (why, untold)))
            self._say(t("cancel.cli.person", order=one.number, buyer=one.buyer, words=words))

    def _progress(self, known: Cancellation) -> None:
        if not sys.stderr.isatty():
            return
        total = sum(known.orders.values())
        ended = known.orders["done"] + known.orders["left"]
        full = BAR * ended // total if total else 0
        bar = "█" * full + "░" * (BAR - full)
        words = t("cancel.cli.progress", done=ended, total=total)
        print(f"\r{bar} {words}", end="", file=sys.stderr, flush=True)

    def _money(self, amount: int) -> str:
        return format_money(amount, self._currency, t.language)

    def _say(self, line: str) -> None:
        if not self._as_json:
            print(line)


def _method(way: str) -> str:
    key = f"receipt.method.{way}"
    return t(key) if key in t else way


def _why(code: str) -> str:
    for key in (f"cancel.why.{code}", f"refusal.{code}"):
        if key in t:
            return t(key)
    return code
