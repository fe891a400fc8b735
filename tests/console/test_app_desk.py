"""Beside the sale: orders and refunds, the door, languages, themes, help, roles."""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.command import CommandPalette
from textual.widgets import DataTable, Input, SelectionList

from console import looks
from console.client import Client
from console.screens.ask import AskDialog
from console.screens.conflicts import ConflictsScreen
from console.screens.door import DoorScreen
from console.screens.help import HelpDialog
from console.screens.login import LoginScreen
from console.screens.order import OrderScreen, RefundDialog
from console.screens.programme import ProgrammeScreen
from console.screens.sale import SaleScreen
from console.screens.sales import SalesScreen
from console.widgets.big_text import BigText
from engine.commands import (
    Channel,
    Held,
    Hold,
    KeptScan,
    Line,
    ScanMode,
    ScanOutcome,
    SeatStatus,
)
from engine.credit import CODE_BYTES, code_of, credits_of, spaced
from engine.mails import MailKind
from engine.orders import (
    Buyer,
    LineState,
    Order,
    OrderHold,
    OrderRefund,
    OrderState,
    PlaceOrder,
    Terms,
    TermsKind,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState
from engine.settings import Gate
from renderers import secret as ticket_secrets
from tests.console.driving import Cashier, a_sold_order, cashier, open_order
from tests.console.server import House
from tests.console.waiting import until


def ticket_secret(house: House, order: Order, line: int = 0) -> str:
    one = order.lines[line]
    return ticket_secrets.sign(house.fake.ticket_key, one.performance, one.ticket, one.version)


# Orders --------------------------------------------------------------------------


async def test_one_line_is_refunded_and_its_seat_is_free_for_everybody(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        replica = me.house.replica
        screen = await open_order(me)
        await me.press("down", "space", "r")
        await me.sees(RefundDialog)
        assert [line.number for line in me.app.screen.lines] == [order.lines[1].number]  # type: ignore[attr-defined]
        await me.type("ill")
        await me.press("enter")
        await me.told("Refunded")
        states = [line.state for line in screen.order.lines]
        assert states == [LineState.SOLD, LineState.REFUNDED, LineState.SOLD]
        assert screen.order.refunds[0].reason == "ill"
        await until(lambda: replica.statuses[order.lines[1].seat] == SeatStatus.AVAILABLE)


async def test_unmarked_the_whole_order_is_refunded(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await a_sold_order(me)
        screen = await open_order(me)
        await me.press("r")
        await me.sees(RefundDialog)
        await me.press("escape")
        await me.sees(OrderScreen)
        assert screen.order.state is OrderState.PAID
        await me.press("r")
        await me.sees(RefundDialog)
        await me.press("enter")
        await me.told("Refunded")
        assert screen.order.state is OrderState.REFUNDED
        await me.press("r")
        await me.told("Nothing here")


REASONS = {
    "cashier": {"en": "Your role does not refund", "fr": "Votre rôle ne rembourse pas"},
    "refund": {"en": "only your own sales", "fr": "que vos propres ventes"},
}


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("role", ["cashier", "refund"])
async def test_who_may_not_refund_an_order_is_told_before_typing(
    house: House, tmp_path: Path, role: str, language: str
) -> None:
    await house.operator("paul", "cashier", role)
    await sold_on_the_web(house)
    async with cashier(house, tmp_path, name="paul", language=language) as me:
        await me.open_sale(house.password)
        screen = await open_order(me)
        why = screen.query_one("#no-refund")
        assert why.display and REASONS[role][language] in str(why.render())
        assert "web" in str(why.render()) or role == "cashier"
        assert me.app.t("console.key.refund") not in me.keys
        await me.press("r")
        await me.pilot.pause()
        assert me.app.screen is screen


async def test_the_refund_role_refunds_its_own_sale(house: House, tmp_path: Path) -> None:
    await house.operator("paul", "cashier", "refund")
    async with cashier(house, tmp_path, name="paul") as me:
        await me.open_sale(house.password)
        await a_sold_order(me, 1)
        screen = await open_order(me)
        assert not screen.query_one("#no-refund").display
        await me.press("r")
        await me.sees(RefundDialog)
        await me.press("enter")
        await me.told("Refunded")
        assert screen.order.state is OrderState.REFUNDED


async def test_a_role_that_was_taken_away_is_refused_by_the_server(
    house: House, tmp_path: Path
) -> None:
    await house.operator("paul", "cashier")
    async with cashier(house, tmp_path, name="paul") as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, 1)
        me.app.roles |= {"refund"}  # as it was when paul logged in
        await open_order(me)
        await me.press("r")
        await me.sees(RefundDialog)
        await me.press("enter")
        await me.told("role does not allow")
        now = await Client(house.url, me.app.client.token).order(order.id)
        assert now.state is OrderState.PAID


# Where the money goes --------------------------------------------------------------


NOBODY = Buyer()


async def ordered_on_the_web(house: House, buyer: Buyer = NOBODY) -> Order:
    """One seat, not paid yet."""
    core, desk = house.fake.performances, house.fake.desk
    token = secrets.token_bytes(16)
    held = await core.ask(1, Hold(token, token, "a buyer", Channel.WEB, (3,)))
    assert isinstance(held, Held)
    basket = OrderHold(1, token.hex(), (Line(3, -1, "full"),))
    placed = await desk.place(
        PlaceOrder(secrets.token_hex(16), (basket,), session="a buyer", buyer=buyer)
    )
    assert isinstance(placed, Order)
    return placed


async def sold_on_the_web(house: House, buyer: Buyer = NOBODY) -> Order:
    """One seat, by test card."""
    placed = await ordered_on_the_web(house, buyer)
    paid = await house.fake.desk.pay(placed.id, "test_card", "a", 0, "", "")
    assert isinstance(paid, tuple)
    return paid[0]


async def test_tickets_are_mailed_again_where_there_is_an_address(
    house: House, tmp_path: Path
) -> None:
    order = await sold_on_the_web(house, Buyer("Ada", "ada@house.example"))
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await open_order(me)
        assert me.app.t("console.key.mail_tickets") in me.keys
        await me.press("m")
        await me.told("ada@house.example")
        [mail] = house.fake.mails.rows.values()
        assert (mail.order, mail.kind) == (order.id, MailKind.TICKETS)
        await me.press("escape", "escape")
        await me.sees(SaleScreen)
        await a_sold_order(me, 1)
        await open_order(me)
        assert me.app.t("console.key.mail_tickets") not in me.keys


async def refunded(me: Cashier) -> tuple[str, str]:
    """What the question said, and what the refund says."""
    await open_order(me)
    await me.press("r")
    await me.sees(RefundDialog)
    asked = str(me.app.screen.query_one("#text").render())
    await me.press("enter")
    await me.sees(OrderScreen)
    await until(lambda: bool(me.notice))
    return asked, me.notice


@pytest.mark.parametrize(
    ("language", "method", "money"),
    [
        ("en", "Test card", "goes back to the buyer's card by itself: hand nothing out"),
        ("fr", "Carte d'essai", "sur la carte de l'acheteur : ne rendez rien"),
    ],
)
async def test_money_of_a_web_order_goes_back_by_itself(
    house: House, tmp_path: Path, language: str, method: str, money: str
) -> None:
    await sold_on_the_web(house)
    async with cashier(house, tmp_path, language=language) as me:
        await me.open_sale(house.password)
        asked, told = await refunded(me)
        assert method in asked
        assert money in told and "48" in told
        assert "Hand back" not in told and "Rendez" not in told


async def test_cash_is_handed_back(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await a_sold_order(me, 1)
        asked, told = await refunded(me)
        assert "back · Cash." in asked
        assert "Hand back CHF 48.00 in cash." in told.replace("\xa0", " ")


async def test_a_card_terminals_money_goes_back_over_the_terminal(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "t")
        await me.type("V-4711")
        await me.press("enter")
        await me.sold()
        await me.press("enter")
        await me.sees(SaleScreen)
        asked, told = await refunded(me)
        assert "back · Card terminal." in asked
        assert "on the card terminal, reference V-4711" in told
        assert "Hand back" not in told


async def test_an_amount_goes_to_a_credit_and_the_places_stay_sold(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await a_sold_order(me, 2)
        screen = await open_order(me)
        await me.press("r")
        await me.sees(RefundDialog)
        await me.press("f4", "tab")
        for wrong, words in (("x", "Not an amount"), ("97", "at most")):
            await me.type(wrong)
            await me.press("enter")
            await me.told(words)
            await me.press("ctrl+u")
        await me.type("20")
        await me.press("enter")
        await me.told("The amount is given back.")
        order = screen.order
        assert order.state is OrderState.PART_REFUNDED
        assert [line.state for line in order.lines] == [LineState.SOLD, LineState.SOLD]
        [(code, amount)] = credits_of(order)
        assert amount == 2_000 and spaced(code) in me.notice
        assert spaced(code) in str(screen.query_one("#payments").render())
        assert house.fake.desk.orders.credits.balances == {code: 2_000}


async def test_lost_tickets_are_made_anew_and_printed(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, 2)
        screen = await open_order(me)
        lost = [ticket_secret(house, order, line) for line in (0, 1)]
        await me.press("down", "space", "n")
        await me.sees(AskDialog)
        await me.press("enter")
        await until(lambda: [line.version for line in screen.order.lines] == [0, 1])
        await me.told(".pdf")  # and they are printed
        assert ticket_secret(house, screen.order, 0) == lost[0]
        assert ticket_secret(house, screen.order, 1) != lost[1]


async def test_a_credit_pays_a_part_and_what_it_paid_returns_to_it(
    house: House, tmp_path: Path
) -> None:
    code = code_of(bytes(CODE_BYTES))
    credits = house.fake.desk.orders.credits
    credits.balances[code], credits.currencies[code] = 3_000, "CHF"
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "g")
        await me.type("0000")
        await me.press("enter")
        await me.told("no such credit")
        await me.press("ctrl+u")
        await me.type(spaced(code).lower())
        await me.press("enter")
        await me.told("18.00")  # still to pay
        assert credits.balances == {code: 0}
        await me.press("c", "enter")
        order = (await me.sold()).order
        assert [one.captured for one in order.payments] == [3_000, 1_800]
        await me.press("enter")
        await me.sees(SaleScreen)
        _, told = await refunded(me)
        assert "on the credit again" in told and "in cash" in told
        assert credits.balances == {code: 3_000}


def paid_by(method: PaymentMethod, *backs: Refund) -> Payment:
    return Payment("p", "o", method, 5_002, "CHF", captured=5_002, reference="R", refunds=backs)


@pytest.mark.parametrize(
    ("payments", "words"),
    [
        ((), "No money goes back."),
        ((paid_by(PaymentMethod.CASH, Refund("r", 502, RefundState.SUCCEEDED)),), "5.00 in cash"),
        (
            (paid_by(PaymentMethod.STRIPE, Refund("r", 502, RefundState.PENDING)),),
            "5.02 goes back to the buyer's card",
        ),
        (
            (paid_by(PaymentMethod.STRIPE, Refund("r", 502, RefundState.FAILED)),),
            "5.02: it has to be paid back another way",
        ),
        (
            (paid_by(PaymentMethod.CASH, Refund("before", 502, RefundState.SUCCEEDED)),),
            "No money goes back.",
        ),
    ],
)
async def test_only_this_refunds_money_is_told(
    house: House, tmp_path: Path, payments: tuple[Payment, ...], words: str
) -> None:
    order = await sold_on_the_web(house)
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        screen = await open_order(me)
        assert screen.order.id == order.id
        refund = OrderRefund("r", (1,), "", "", 0)
        screen.order = replace(order, payments=payments, refunds=(refund,))
        assert words in screen._money_back("r").replace("\xa0", " ")


@pytest.mark.parametrize("by", ["number", "seat"])
async def test_an_order_is_found_again(house: House, tmp_path: Path, by: str) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        wanted = await a_sold_order(me, 1)
        other = await a_sold_order(me, 1)
        text = {
            "number": str(wanted.number),
            "seat": me.house.seating.short(wanted.lines[0].seat),
        }[by]
        await me.press("s")
        await me.sees(SalesScreen)
        screen = me.app.screen
        assert isinstance(screen, SalesScreen)
        await until(lambda: len(screen._orders) == 2)
        assert [order.number for order in screen._orders] == [other.number, wanted.number]
        await me.press("slash")
        await me.type(text)
        await until(lambda: [order.number for order in screen._orders] == [wanted.number])
        await me.press("enter")
        await me.sees(OrderScreen)
        assert me.app.screen.order.id == wanted.id  # type: ignore[attr-defined]


async def test_a_buyers_name_finds_the_order_and_survives_a_crash(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await a_sold_order(me, 1)
        await me.press("1", "b")
        await until(lambda: me.house.sale.size == 1)
        await me.press("n")
        await me.sees(AskDialog)
        await me.type("ragueneau")
        await me.press("enter")
        await me.sees(SaleScreen)
        await until(lambda: "ragueneau" in str(me.app.screen.query_one("#basket-title").render()))
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(SaleScreen)
        await me.press("p", "c", "enter")
        order = (await me.sold()).order
        assert order.buyer.name == "ragueneau"
        await me.press("enter")
        await me.sees(SaleScreen)
        assert me.house.sale.buyer == ""
        await me.press("s")
        await me.sees(SalesScreen)
        await me.press("slash")
        await me.type("ragu")
        screen = me.app.screen
        assert isinstance(screen, SalesScreen)
        await until(lambda: [one.number for one in screen._orders] == [order.number])


async def test_papers_are_printed_again(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, 1)
        await until((tmp_path / f"papers/{order.number}-tickets.pdf").exists)
        for path in (tmp_path / "papers").iterdir():
            path.unlink()
        await open_order(me)
        for key, what in (("t", "tickets"), ("e", "receipt")):
            await me.press(key)
            await until(lambda what=what: (tmp_path / f"papers/{order.number}-{what}.pdf").exists())  # type: ignore[misc]
        await me.press("i")
        await until(lambda: (tmp_path / "papers/F2026-000001.pdf").exists())


# The door ------------------------------------------------------------------------


async def at_door(me: Cashier) -> DoorScreen:
    await me.press("d")
    await me.sees(DoorScreen)
    screen = me.app.screen
    assert isinstance(screen, DoorScreen)
    return screen


async def scan(me: Cashier, text: str) -> tuple[str, str, str]:
    """Colour class, big words and small words after a scan."""
    screen = me.app.screen
    # At once: a hundred and twenty keys, one by one, are a test of the driver.
    screen.query_one("#secret", Input).value = text
    await me.press("enter")
    await until(lambda: screen.query_one(BigText).text != "…")
    await me.pilot.pause()
    await until(lambda: screen.query_one(BigText).text != "…")
    classes = screen.query_one("#result").classes & {"-good", "-warn", "-bad", "-look"}
    (look,) = classes or {""}
    big = screen.query_one(BigText)
    return look, f"{big.sign} {big.text}", str(screen.query_one("#details").render())


async def test_a_ticket_is_admitted_once_and_then_told_when_and_where(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        place = me.house.seating.words(order.lines[0].seat, me.app.t)
        await at_door(me)
        code = ticket_secret(house, order)
        look, big, details = await scan(me, code)
        assert (look, big) == ("-good", "good ADMITTED")
        assert place in details and "Full" in details
        look, big, details = await scan(me, code)
        assert (look, big) == ("-warn", "warn ALREADY USED")
        assert re.search(r"Used .*\d\d:\d\d at Main door", details)


async def test_looking_up_burns_nothing_and_never_looks_green(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        screen = await at_door(me)
        code = ticket_secret(house, order)
        await me.press("f4")
        assert "LOOK-UP" in str(screen.query_one("#mode").render())
        for _ in range(2):
            look, big, details = await scan(me, code)
            assert (look, big) == ("-look", "good VALID")
            assert "not admitted" in details
        await me.press("f4")
        assert (await scan(me, code))[:2] == ("-good", "good ADMITTED")
        await me.press("f4")
        assert (await scan(me, code))[:2] == ("-look", "warn ALREADY USED")


async def test_what_is_no_ticket_is_red_and_a_refunded_one_says_so(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, 1)
        client = Client(house.url, me.app.client.token)
        await client.refund(order.id, "ab" * 16, (), "")
        await at_door(me)
        assert (await scan(me, "hello"))[:2] == ("-bad", "bad UNKNOWN")
        code = ticket_secret(house, order)
        assert (await scan(me, code))[:2] == ("-bad", "bad REFUNDED")


async def test_the_gate_is_chosen_and_judged(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, 1)  # in the stalls; the side door is for the circle
        screen = await at_door(me)
        await me.press("f5")
        assert "Side door" in str(screen.query_one("#mode").render())
        assert (await scan(me, ticket_secret(house, order)))[0] == "-warn"


@pytest.mark.parametrize(("columns", "shown"), [(100, True), (80, False)])
async def test_the_programme_shows_what_is_sold_where_there_is_room(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, shown: bool
) -> None:
    async def counts(performances: Sequence[int]) -> dict[int, int]:
        return dict.fromkeys(performances, 37)

    monkeypatch.setattr(house.fake.sales, "counts", counts)
    async with cashier(house, tmp_path, size=(columns, 24)) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
        table = me.app.screen.query_one(DataTable)
        row = [str(cell) for cell in table.get_row_at(0)]
        assert ("37 / 260" in row) == shown, row
        assert table.virtual_size.width <= columns


async def test_a_door_operator_goes_straight_to_the_door(house: House, tmp_path: Path) -> None:
    await house.operator("dora", "door")
    async with cashier(house, tmp_path, name="dora") as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
        assert "sales" not in me.keys
        await me.press("enter")
        await me.sees(DoorScreen)


async def details_of(me: Cashier, part: str) -> str:
    screen = me.app.screen
    await until(lambda: part in str(screen.query_one("#details").render()))
    return str(screen.query_one("#details").render())


async def test_who_leaves_is_checked_out_once(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        code = ticket_secret(house, order)
        screen = await at_door(me)
        await me.press("f6")
        assert "CHECKING OUT" in str(screen.query_one("#mode").render())
        look, _, details = await scan(me, code)
        assert look == "-warn" and "Has not come in" in details
        await me.press("f6")
        assert (await scan(me, code))[1] == "good ADMITTED"
        await me.press("f6")
        assert (await scan(me, code))[:2] == ("-good", "good EXITED")
        _, big, details = await scan(me, code)
        assert big == "warn ALREADY USED" and "Has left already" in details


async def test_what_was_let_through_last_is_taken_back(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        code = ticket_secret(house, order)
        screen = await at_door(me)
        await me.press("f7")
        await details_of(me, "nothing to take back")
        await scan(me, code)
        await me.press("f7")
        await details_of(me, "can be scanned again")
        assert screen.query_one(BigText).text == "UNDONE"
        assert (await scan(me, code))[1] == "good ADMITTED"


async def test_a_supervisor_lets_in_all_the_same_and_says_why(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        code = ticket_secret(house, order)
        await at_door(me)
        await me.press("f8")
        await details_of(me, "Scan the ticket first")
        await scan(me, code)
        assert (await scan(me, code))[0] == "-warn"
        await me.press("f8")
        await me.sees(AskDialog)
        await me.type("lost")
        await me.press("enter")
        await me.sees(DoorScreen)
        await until(lambda: me.app.screen.query_one(BigText).text == "ADMITTED")
        live = house.fake.performances.live[1].core
        await until(lambda: [one.forced for one in live.ticket_uses[1]] == [False, True])


async def test_the_door_role_has_no_override(house: House, tmp_path: Path) -> None:
    await house.operator("dora", "door")
    async with cashier(house, tmp_path, name="dora", size=(140, 45)) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
        await me.press("enter")
        await me.sees(DoorScreen)
        assert "undo" in me.keys and "override" not in me.keys
        await me.press("f8")
        await me.pilot.pause()
        assert isinstance(me.app.screen, DoorScreen)


async def test_the_door_says_how_many_are_inside_and_warns(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.screens.door.COUNT_S", 0.05)
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me)
        screen = await at_door(me)
        line = screen.query_one("#inside")
        await until(lambda: "Inside: 0" in str(line.render()))
        await scan(me, ticket_secret(house, order))
        await until(lambda: "Inside: 1 · came in here: 1" in str(line.render()))
        live = house.fake.performances.live[1].core
        gates = (Gate("main", "Main door", capacity=1), Gate("side", "Side door", (1,)))
        live.configure(replace(live.settings, gates=gates))
        await until(lambda: "FULL: 1 of 1" in str(line.render()))
        assert line.has_class("-full")
        await me.press("f5")
        await until(lambda: not line.has_class("-full"))


async def test_double_admissions_are_listed_with_who_was_right(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path, size=(140, 45)) as me:
        await me.open_sale(house.password)
        await a_sold_order(me)
        live = house.fake.performances.live[1].core
        for device, at_ms in (("lane 1", 2_000), ("lane 2", 1_000)):
            shown = ScanOutcome.ADMITTED
            kept = (1, 1, 0, ScanMode.ADMIT, 1, at_ms, shown)
            live.apply(KeptScan(device.ljust(16).encode(), "main", device, *kept), 3_000)
        await at_door(me)
        await me.press("f9")
        await me.sees(ConflictsScreen)
        table = me.app.screen.query_one(DataTable)
        await until(lambda: table.row_count == 2)
        rows = [table.get_row_at(number) for number in range(2)]
        assert [(row[3:5], row[6]) for row in rows] == [
            (["Main door", "lane 2"], "✓ first"),
            (["Main door", "lane 1"], "× again"),
        ]
        assert rows[0][0] == "1" and rows[1][0] == ""
        await me.press("escape")
        await me.sees(DoorScreen)


# Words, looks, help --------------------------------------------------------------


async def test_the_language_changes_at_once_everywhere(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path, size=(140, 45)) as me:
        await me.open_sale(house.password)
        await me.press("2", "b")
        await until(lambda: me.house.sale.size == 2)
        cursor = me.house.sale.seats
        await me.press("f2")
        assert "payer" in me.keys and "pay " not in me.keys
        screen = me.app.screen
        assert "Panier" in str(screen.query_one("#basket-title").render())
        assert "rang" in str(screen.query_one("#place").render())
        assert "Plein" in str(screen.query_one("#basket").render())
        assert "Cyrano (fr)" in str(screen.query_one("#status").render())
        assert me.house.sale.seats == cursor
        await me.press("p")
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.pilot.pause()
        assert "À PAYER" in str(me.app.screen.query_one("#currency").render())
        await me.press("f2")
        assert "TO PAY" in str(me.app.screen.query_one("#currency").render())


async def test_an_operators_language_is_used_unless_one_was_named(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    async with cashier(house, tmp_path, language="") as me:
        await me.sees(LoginScreen)
        assert me.app.t.language == "fr"
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        assert me.app.t.language == "en"  # as the operator was made
    async with cashier(house, tmp_path, language="fr") as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        assert me.app.t.language == "fr"


async def test_themes_go_round(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        seen = []
        for _ in range(3):
            seen.append(me.app.theme)
            await me.press("f3")
        assert seen == list(looks.THEMES) and me.app.theme == looks.THEMES[0]


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_help_lists_every_key_of_the_sale(
    house: House, tmp_path: Path, language: str
) -> None:
    async with cashier(house, tmp_path, language=language) as me:
        await me.open_sale(house.password)
        await me.press("f1")
        await me.sees(HelpDialog)
        text = str(me.app.screen.query_one("#text").render())
        wanted = [
            binding.description
            for binding in (*SaleScreen.BINDINGS, *type(me.app).BINDINGS)
            if binding.description
        ]
        assert len(wanted) > 18
        for key in wanted:
            assert me.app.t(key.replace(".key.", ".help.")) in text
        await me.press("escape")
        await me.sees(SaleScreen)


async def test_the_palette_finds_and_does_our_commands(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path, language="fr") as me:
        await me.open_sale(house.password)
        await me.press("ctrl+p")
        await me.sees(CommandPalette)
        await me.type("entr")
        await until(lambda: "entrée" in _palette_text(me).lower())
        await me.press("down", "enter")
        await until(lambda: isinstance(me.app.screen, DoorScreen))


def _palette_text(me: Cashier) -> str:
    from textual.widgets import OptionList

    found = me.app.screen.query(OptionList)
    return " ".join(str(option.prompt) for each in found for option in each.options)


@pytest.mark.parametrize("size", [(80, 24), (140, 45), (60, 20)])
async def test_the_most_needed_keys_are_always_named(
    house: House, tmp_path: Path, size: tuple[int, int]
) -> None:
    async with cashier(house, tmp_path, size=size) as me:
        await me.open_sale(house.password)
        keys = me.keys
        assert len(keys) <= size[0]
        assert keys.rstrip().endswith("F1 help")
        if size[0] >= 80:
            assert "b best" in keys and "p pay" in keys


async def test_an_unreachable_server_is_named_on_the_login_screen(
    house: House, tmp_path: Path, unused_port
) -> None:  # type: ignore[no-untyped-def]
    url = f"http://127.0.0.1:{unused_port()}"
    async with cashier(house, tmp_path, url=url) as me:
        await me.log_in("x")
        await me.told(url)
        assert isinstance(me.app.screen, LoginScreen)


async def test_a_wrong_password_can_be_tried_again(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.log_in("wrong")
        await me.told("password is wrong")
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)


async def test_logging_out_ends_the_session(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        token = me.app.client.token
        await me.press("l")
        await me.sees(LoginScreen)
        with pytest.raises(Exception, match=r"log in|token"):
            await Client(house.url, token).sales(-1, "", 1)


async def test_a_list_keeps_its_marks_when_the_language_changes(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await a_sold_order(me)
        screen = await open_order(me)
        await me.press("down", "space", "f2")
        assert screen.query_one(SelectionList).selected == [screen.order.lines[1].number]


async def test_orders_that_wait_for_a_yes_are_listed_alone(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await a_sold_order(me, 1)
        order = await ordered_on_the_web(house)
        waiting = await house.fake.desk.reserve(order.id, Terms(TermsKind.INVOICE), "")
        assert isinstance(waiting, Order)
        await me.press("s")
        await me.sees(SalesScreen)
        table = me.app.screen.query_one(DataTable)
        await until(lambda: table.row_count == 2)
        await me.press("w")
        await until(lambda: table.row_count == 1)
        assert str(waiting.number) in str(table.get_row_at(0)[0])
        await me.press("w")
        await until(lambda: table.row_count == 0)
        await me.told("No order waits")
        await me.press("w")
        await until(lambda: table.row_count == 2)
