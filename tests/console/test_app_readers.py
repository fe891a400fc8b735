"""A card at the reader, from the console: paid, declined, stopped, cut off, and gone on with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.widgets import Static

from console.screens import reader as reader_screen
from console.screens.pay import PayDialog
from console.screens.reader import ReaderDialog
from console.widgets.big_text import BigText
from engine.actors.payments import StripeGateway
from engine.actors.saga import Shop
from engine.payments import PaymentMethod
from tests.console.driving import Cashier, cashier
from tests.console.server import House
from tests.console.test_app_tills import open_till, session
from tests.console.waiting import until
from tests.fakes.stripe_server import FakeStripe

METHOD = PaymentMethod.STRIPE_TERMINAL


async def title(performance: int) -> str:
    return f"Performance {performance}"


@pytest.fixture
async def stripe(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeStripe]:
    """With a reader at Caisse 1."""
    monkeypatch.setattr(reader_screen, "POLL_S", 0.05)
    async with FakeStripe(webhook_url=f"{house.url}/api/stripe/webhook") as server:
        keys = StripeGateway(server.api_key, server.webhook_secret, server.url)
        await house.fake.desk.take_cards(keys, Shop(house.url, title))
        reader = server.terminal.add_reader()
        the_house = house.fake.catalogue.the_house
        assert the_house is not None
        the_house.settings["readers"] = {"caisse 1": reader}
        yield server


def reader_of(stripe: FakeStripe) -> str:
    [reader] = stripe.terminal.readers
    return reader


async def to_pay(me: Cashier, house: House, places: str = "2") -> None:
    await me.open_sale(house.password)
    if me.app.own_till is None or me.app.own_till.report is None:
        await open_till(me)
        await me.press("escape")
    await until(lambda: bool(me.app.own_till and me.app.own_till.reader))
    await me.press(places, "b", "p")
    await me.sees(PayDialog)


async def asked(me: Cashier, stripe: FakeStripe) -> None:
    await me.sees(ReaderDialog)
    await until(lambda: bool(stripe.terminal.shows(reader_of(stripe))))


async def test_the_sale_goes_on_by_itself_when_the_card_is_read(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await me.press("t")
        await asked(me, stripe)
        assert me.app.screen.query_one(BigText).text == "96.00"
        assert "asks for the card" in str(me.app.screen.query_one("#doing", Static).render())
        await me.told("by itself")
        stripe.terminal.present(reader_of(stripe))
        order = (await me.sold()).order
        [payment] = order.payments
        assert (payment.method, payment.captured) == (METHOD, 9_600)
        assert payment.till == session(house).id


async def test_the_reader_is_chosen_before_the_price_is_known(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await open_till(me)
        await me.press("escape")
        await until(lambda: bool(me.app.own_till and me.app.own_till.reader))
        for key in ("2", "b", "p", "t"):
            await me.pilot._app._press_keys([key])  # type: ignore[attr-defined]
        await asked(me, stripe)
        stripe.terminal.present(reader_of(stripe))
        await me.sold()


async def test_a_card_that_is_declined_says_why_and_enter_tries_again(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await me.press("t")
        await asked(me, stripe)
        stripe.terminal.present(reader_of(stripe), "insufficient_funds")
        await me.told("not enough money on the card")
        assert "Nothing is paid" in str(me.app.screen.query_one("#doing", Static).render())
        await me.press("enter")
        await asked(me, stripe)
        stripe.terminal.present(reader_of(stripe))
        order = (await me.sold()).order
        assert [one.captured for one in order.payments] == [0, 9_600]


async def test_a_reader_that_is_off_says_so_and_cash_is_taken(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    stripe.terminal.unplug(reader_of(stripe))
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await me.press("t")
        await me.told("offline")
        await me.press("escape")
        await me.sees(PayDialog)
        await me.press("c", "enter")
        assert (await me.sold()).order.payments[-1].method is PaymentMethod.CASH


async def test_escape_stops_the_reader_and_another_terminal_is_noted(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await me.press("t")
        await asked(me, stripe)
        await me.press("escape")
        await me.sees(PayDialog)
        assert stripe.terminal.shows(reader_of(stripe)) == ""
        await me.press("n")
        await me.type("V-4711")
        await me.press("enter")
        payment = (await me.sold()).order.payments[-1]
        assert (payment.method, payment.reference) == (PaymentMethod.CARD_TERMINAL, "V-4711")


async def test_a_part_at_the_reader(house: House, stripe: FakeStripe, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.press("p")
        await me.type("40")
        await me.press("enter", "t")
        await asked(me, stripe)
        assert me.app.screen.query_one(BigText).text == "40.00"
        stripe.terminal.present(reader_of(stripe))
        await me.sees(PayDialog)
        await me.told("56.00")
        await me.press("c", "enter")
        order = (await me.sold()).order
        assert [one.captured for one in order.payments] == [4_000, 5_600]


async def test_a_desk_that_does_not_answer_is_asked_until_it_does(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await me.press("t")
        await asked(me, stripe)
        assert me.app.till is not None
        me.app.till.client._retry_waits_s = (0.01,)
        house.fake.desk.down = True
        await me.told("No answer yet")
        stripe.terminal.present(reader_of(stripe))
        house.fake.desk.down = False
        assert len((await me.sold()).order.payments) == 1


async def test_a_console_that_died_is_followed_by_one_that_waits_on(
    house: House, stripe: FakeStripe, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await to_pay(me, house)
        await me.press("t")
        await asked(me, stripe)
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ReaderDialog)
        stripe.terminal.present(reader_of(stripe))
        assert len((await me.sold()).order.payments) == 1
    assert len(stripe.terminal.intents) == 1
