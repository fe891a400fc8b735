"""Store credit in Postgres: never below nothing, whoever spends it at once, and never half."""

import asyncio
import secrets

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from engine.commands import Channel
from engine.credit import CODE_BYTES, CreditRefused, code_of
from engine.order_changes import undone
from engine.ordering import advance, draw_up, sold, with_payment_begun
from engine.orders import (
    Charge,
    ChargeKind,
    LineState,
    Order,
    OrderRefund,
    OrderState,
    PlaceOrder,
)
from engine.payments import Payment, begin_refund, pay_by_credit, pay_cash
from persistence.store import Store
from tests.persistence.houses import Opened
from tests.persistence.test_orders import new_order

CODE = code_of(bytes(range(CODE_BYTES)))


async def opened_credit(store: Store, performance: int, amount: int) -> Order:
    """The order whose refund opened a credit."""
    charge = Charge(
        1, "", amount, ChargeKind.CREDIT.value, state=LineState.SOLD, refund="r1", card=CODE
    )
    [saved] = await store.orders.save([replace(new_order(performance, 0), charges=(charge,))])
    return saved


def spending(order: Order, amount: int, attempt: str = "a") -> Order:
    payment = pay_by_credit(f"{order.id}-{attempt}", order.id, amount, order.currency, CODE)
    assert isinstance(payment, Payment)
    return replace(order, payments=(payment,))


async def balance(store: Store, performance: int) -> int:
    credit = await store.orders.credit(CODE, performance)
    assert credit is not None
    return credit.balance


async def test_a_credit_is_opened_spent_and_filled_again(store: Store, opened: Opened) -> None:
    first = await opened_credit(store, opened.first, 5_000)
    assert await balance(store, opened.first) == 5_000
    [changed] = await store.orders.save([replace(first, total=first.total + 1)])
    assert await balance(store, opened.first) == 5_000, "another save of it moves nothing"
    [paid] = await store.orders.save([spending(new_order(opened.second, 1), 3_000)])
    assert await balance(store, opened.first) == 2_000
    back = begin_refund(paid.payments[0], "r1", 1_000)
    assert isinstance(back, Payment)
    await store.orders.save([replace(paid, payments=(back,))])
    assert await balance(store, opened.first) == 3_000
    view = await store.credits.view(CODE)
    assert view is not None and view.credit.balance == 3_000
    assert [(one.order, one.amount, one.ref) for one in view.moves] == [
        (paid.number, 1_000, "a"),
        (paid.number, -3_000, "a"),
        (changed.number, 5_000, "r1"),
    ]


async def test_who_takes_too_much_is_refused_with_all_that_it_was_saved_with(
    store: Store, opened: Opened
) -> None:
    await opened_credit(store, opened.first, 1_000)
    good, greedy = new_order(opened.first, 1), spending(new_order(opened.first, 2), 1_001)
    with pytest.raises(CreditRefused) as refused:
        await store.orders.save([good, greedy])
    assert refused.value.ids == (greedy.id,)
    assert await store.orders.get(good.id) is None is await store.orders.get(greedy.id)
    assert await balance(store, opened.first) == 1_000
    stranger = replace(spending(new_order(opened.first, 3), 10), currency="CHF")
    with pytest.raises(CreditRefused):
        await store.orders.save([stranger])


async def test_of_many_who_spend_at_once_as_many_succeed_as_there_is_money_for(
    store: Store, opened: Opened
) -> None:
    await opened_credit(store, opened.first, 2_500)

    async def spend(seat: int) -> bool:
        try:
            await store.orders.save([spending(new_order(opened.first, seat), 1_000)])
        except CreditRefused:
            return False
        return True

    done = await asyncio.gather(*map(spend, range(1, 9)))
    assert done.count(True) == 2
    assert await balance(store, opened.first) == 500


async def test_a_balance_is_the_sum_of_its_moves_and_the_database_refuses_less_than_nothing(
    store: Store, opened: Opened
) -> None:
    await opened_credit(store, opened.first, 900)
    await store.orders.save([spending(new_order(opened.first, 1), 900)])
    async with store._engine.connect() as connection:
        summed = await connection.scalar(sa.text("SELECT sum(amount) FROM credit_moves"))
    assert summed == await balance(store, opened.first) == 0
    with pytest.raises(sa.exc.IntegrityError):
        async with store._engine.begin() as connection:
            await connection.execute(sa.text("UPDATE credits SET balance = -1"))


async def test_a_credit_is_its_own_houses(store: Store, opened: Opened) -> None:
    await opened_credit(store, opened.first, 900)
    assert await store.orders.credit(CODE, 2**30) is None
    assert await store.orders.credit(CODE[::-1], opened.first) is None
    assert await store.credits.view(CODE[::-1]) is None


async def test_a_gift_card_is_opened_once_it_is_paid_and_what_is_spent_does_not_go_back(
    store: Store, opened: Opened
) -> None:
    """An order without a place belongs to the house of the performance that it names."""
    wanted = PlaceOrder(
        secrets.token_hex(16), (), Channel.BOX_OFFICE, operator="ada",
        gift_cards=(5_000,), performance=opened.first, currency="EUR",
    )  # fmt: skip
    [drawn] = await store.orders.save([draw_up(wanted, [], 1_000, [CODE])])
    assert await store.orders.credit(CODE, opened.first) is None
    cash = pay_cash(f"{drawn.id}-a", drawn.id, 5_000, "EUR", 5_000)
    assert isinstance(cash, Payment)
    [selling] = await store.orders.save([advance(with_payment_begun(drawn, cash))])
    [sale] = await store.orders.save([sold(selling, {})])
    assert (sale.state, await balance(store, opened.first)) == (OrderState.PAID, 5_000)
    [spent] = await store.orders.save([spending(new_order(opened.second, 1), 3_000)])
    refunds = [OrderRefund(id, (), "", "ada", 1, gift_cards=((1, 2_000),)) for id in ("r", "s")]
    [asked] = await store.orders.save([replace(sale, refunds=(refunds[0],))])
    assert await balance(store, opened.first) == 0, "off the card before it is given back"
    with pytest.raises(CreditRefused):
        await store.orders.save([replace(asked, refunds=tuple(refunds))])
    [back] = await store.orders.save([undone(asked, refunds[0], (), "")])
    assert (back.state, back.paid, back.due) == (OrderState.PART_REFUNDED, 3_000, 0)
    view = await store.credits.view(CODE)
    assert view is not None and [(one.order, one.amount, one.ref) for one in view.moves] == [
        (sale.number, -2_000, "r"), (spent.number, -3_000, "a"), (sale.number, 5_000, "gift_card"),
    ]  # fmt: skip
    async with store._engine.connect() as connection:
        told = await connection.execute(
            sa.text(
                "SELECT kind, amount, tax_bp FROM ledger WHERE order_number = :n ORDER BY number"
            ),
            {"n": sale.number},
        )
        rows = [tuple(row) for row in told]
    assert sorted(rows) == sorted(
        [("gift_card", 5_000, -1), ("payment", 5_000, -1), ("gift_card", -2_000, -1),
         ("repayment", -2_000, -1)]
    )  # fmt: skip
