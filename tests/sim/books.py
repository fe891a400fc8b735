"""What must be true of orders when a world has come to rest. Everything here raises `Broken`.

By what customers were told, by the orders as they were saved, by the performances' journals and
by the provider's own account, of which each is held against the others: no order is stuck, its
places are sold all or none, and what was paid and not given back is what is sold worth.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from engine.commands import TicketState
from engine.ledger import FactKind, facts_of
from engine.mails import mails_of
from engine.ordering import payment_of
from engine.orders import (
    GIVEN_UP,
    NEXT_STATES,
    SOLD_STATES,
    UNSOLD_STATES,
    Bought,
    LineState,
    Order,
    OrderState,
)
from engine.payments import PROVIDER_METHODS, Payment, PaymentMethod, RefundState, Standing
from engine.performance import Performance
from tests.sim.customers import Call, order_in
from tests.sim.desk import Tables, rests
from tests.sim.judge import Broken
from tests.sim.provider import Account, Object, paid_for, refund_key_of

TICKETED = (LineState.RESERVED, LineState.SOLD)
_OVER = (OrderState.REFUNDED, *UNSOLD_STATES)
_EARNED = (
    *(FactKind.SALE, FactKind.REFUND, FactKind.CANCELLATION),
    *(FactKind.FEE, FactKind.ALLOWANCE, FactKind.CREDIT),
    FactKind.GIFT_CARD,
)


class Books(NamedTuple):
    """Everything about orders when all is over. `houses` are what the journals say."""

    tables: Tables
    account: Account
    calls: list[Call]
    houses: dict[int, Performance]

    @property
    def histories(self) -> dict[str, list[Order]]:
        """Every state of every order that was ever stored."""
        found: dict[str, list[Order]] = {}
        for saved in self.tables.saves:
            for order in saved:
                found.setdefault(order.id, []).append(order)
        return found


def judge_orders(books: Books) -> None:
    histories = books.histories
    orders = [history[-1] for history in histories.values()]
    _judge_tickets(orders, books.houses)
    for order in orders:
        _judge_money(order)
    _judge_account(orders, books.account)
    _judge_credits(orders, books.tables)
    _judge_ledger(histories)
    _judge_mails(histories)
    _judge_answers(histories, books.calls)
    _judge_reads(books.calls, books.tables.by_zombies)
    _judge_again(books.calls)
    for history in histories.values():
        _judge_life(history)
        _judge_waiting(history)


def _name(order: Order) -> str:
    return f"order {order.number} ({order.id[:8]}, {order.state}, revision {order.revision})"


def _judge_life(history: list[Order]) -> None:
    """It went the ways that there are, one revision after the other, and has come to rest."""
    if [order.revision for order in history] != list(range(1, len(history) + 1)):
        raise Broken("revisions", f"{[_name(order) for order in history]}")
    for before, after in pairwise(history):
        if after.state is not before.state and after.state not in NEXT_STATES[before.state]:
            raise Broken("transition", f"{_name(before)} has become {_name(after)}")
    order = history[-1]
    if not rests(order):
        raise Broken("stuck", f"{_name(order)}: {order}")
    if order.state is OrderState.FAILED and not _failed_back(order):
        raise Broken("stuck", f"{_name(order)} owes money: {order}")


def _judge_waiting(history: list[Order]) -> None:
    """What waits is found among the orders that are unfinished: lists of places look there."""
    for order in history:
        waits = any(line.state in (LineState.PENDING, LineState.RESERVED) for line in order.lines)
        if waits and order.finished:
            raise Broken("waiting", f"{_name(order)} is finished, and a place of it waits")


def _judge_tickets(orders: list[Order], houses: dict[int, Performance]) -> None:
    """Every line that is sold or reserved has its ticket, and every live ticket its line."""
    named = {order.id for order in orders}
    live: dict[str, list[tuple[int, int, int, int, int, int, bool]]] = {}
    for performance, house in houses.items():
        for ticket in house.tickets:
            of = house.ticket_sales[ticket.number - 1][0]
            state = house.ticket_states.get(ticket.number, TicketState.VALID)
            if state is TicketState.REFUNDED or (of not in named and len(of) != 32):
                continue  # it has ended, or who bought it knows no desk
            version = house.ticket_versions.get(ticket.number, 0)
            paid = state is not TicketState.UNPAID
            place = ticket.number, ticket.seat, ticket.area
            row = performance, *place, ticket.amount, version, paid
            live.setdefault(of, []).append(row)
    for order in orders:
        lines = [
            (
                *(line.performance, line.ticket, line.seat, line.area, line.amount, line.version),
                line.state is LineState.SOLD,
            )
            for line in order.lines
            if line.state in TICKETED
        ]
        found = live.pop(order.id, [])
        if sorted(lines) != sorted(found):
            raise Broken("tickets", f"{_name(order)} has lines {lines} and tickets {found}")
        _judge_lines(order)
    if live:
        raise Broken("tickets", f"of orders that are not there: {live}")


def _judge_lines(order: Order) -> None:
    """All or nothing, save for what was to come by an exchange, or was reserved and called off."""
    may_end = {number for one in order.exchanges if one.refused for number in one.coming}
    may_end.update(number for one in order.refunds if one.called_off for number in one.undone)
    for line in order.lines:
        ended = line.state is LineState.CANCELLED and line.number in may_end
        if order.waits:
            right = ended or line.state is LineState.RESERVED
        elif order.state in SOLD_STATES:
            right = ended or line.state in (LineState.SOLD, LineState.REFUNDED)
        else:
            right = line.state in (LineState.CANCELLED, LineState.REFUNDED)
        if not right:
            raise Broken("half", f"{_name(order)} with {order.lines}")


# Money --------------------------------------------------------------------------------


def _failed_back(order: Order) -> int:
    """What the provider did not give back, and a person has to."""
    return sum(
        refund.amount
        for payment in order.payments
        for refund in payment.refunds
        if refund.state is RefundState.FAILED
    )


def _judge_money(order: Order) -> None:
    """What was paid and not given back is what stands worth; of what is reserved, less.

    What the provider did not give back is there too, until a person does.
    """
    kept = sum(payment.kept for payment in order.payments) - _failed_back(order)
    least = 0 if order.waits else order.worth
    most = order.worth - 1 if order.waits else order.worth
    if not least <= kept <= most:
        raise Broken("money", f"{_name(order)} has {kept} for {order.worth}: {order}")


def _judge_account(orders: list[Order], account: Account) -> None:
    """The provider has what the orders say: one page, one charge and each refund once."""
    payments = {
        payment.id: payment
        for order in orders
        for payment in order.payments
        if payment.method in PROVIDER_METHODS
    }
    waiting = {payment.id for order in orders if order.waits for payment in order.payments}
    _once("a page", (paid_for(one) for one in account.sessions.values()))
    _once("a page at a reader", (paid_for(one) for one in account.intents.values()))
    _judge_readers(payments, account)
    _once("a charge", (paid_for(one) for one in account.charges.values()))
    done = [one for one in account.refunds.values() if one["status"] != "failed"]
    _once("a refund", (f"{paid_for(one)} {refund_key_of(one)}" for one in done))
    for charge in account.charges.values():
        payment = payments.pop(paid_for(charge), None)
        if payment is None:
            raise Broken("account", f"nobody here knows of {charge}")
        # Of a page paid in silence is heard when its order ends: one that is reserved has time.
        if payment.reference not in account.lost or payment.id not in waiting:
            _judge_charge(payment, charge)
    for payment in payments.values():
        if payment.captured:
            raise Broken("account", f"the provider knows nothing of {payment}")


def _judge_readers(payments: dict[str, Payment], account: Account) -> None:
    """No card can be charged any more for a payment that is over.

    What no reader was ever asked for no card can pay: its answer was lost.
    """
    for id in account.shown:
        intent = account.intents[id]
        payment = payments.get(paid_for(intent))
        if payment is None or payment.intent != id:
            raise Broken("reader", f"nobody here knows of {intent}")
        waits = payment.standing is Standing.WAITING
        if intent["status"] == "requires_payment_method" and not waits:
            raise Broken("reader", f"a card may still pay {intent} of {payment}")


def _once(what: str, keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise Broken("twice", f"{what} of {key}")
        seen.add(key)


def _judge_charge(payment: Payment, charge: Object) -> None:
    there = charge["amount_captured"] - charge["amount_refunded"]
    if payment.captured != charge["amount_captured"] or payment.kept != there:
        raise Broken("account", f"{charge}, and here {payment}")


def _judge_credits(orders: list[Order], tables: Tables) -> None:
    """On each credit is what orders brought there and did not take."""
    come = dict.fromkeys(tables.credits.balances, 0)
    for order in orders:
        for charge in order.charges:
            if charge.card and charge.state is LineState.SOLD:
                come[charge.card] += charge.amount
        for payment in order.payments:
            if payment.method is PaymentMethod.STORE_CREDIT:
                come[payment.reference] -= payment.captured - payment.refunded
    for code, there in tables.credits.balances.items():
        if there != come[code] or there < 0:
            raise Broken("credit", f"{there} on {code}, and {come[code]} came")


def _judge_ledger(histories: dict[str, list[Order]]) -> None:
    """Of every order and so of all: the books say what is sold, and what money there is."""
    for history in histories.values():
        facts = [
            fact
            for before, after in zip([None, *history], history, strict=False)
            for fact in facts_of(before, after)
        ]
        order = history[-1]
        earned = sum(fact.amount for fact in facts if fact.kind in _EARNED)
        worth = 0 if order.waits else order.worth
        if earned != worth:
            raise Broken("ledger", f"{_name(order)} is worth {worth}, by the ledger {earned}")
        moved = (FactKind.PAYMENT, FactKind.REPAYMENT)
        paid = sum(fact.amount for fact in facts if fact.kind in moved)
        if paid != order.paid:
            raise Broken("ledger", f"{_name(order)} has {order.paid}, by the ledger {paid}")


def _judge_mails(histories: dict[str, list[Order]]) -> None:
    """Nobody is told of one thing twice."""
    for history in histories.values():
        told = [
            mail
            for before, after in zip([None, *history], history, strict=False)
            for mail in mails_of(before, after)
        ]
        if len(told) != len(set(told)):
            raise Broken("mail", f"{_name(history[-1])} tells {told}")


# What was answered --------------------------------------------------------------------


def _judge_answers(histories: dict[str, list[Order]], calls: list[Call]) -> None:
    """What was answered was saved; what was answered done stays done."""
    for call in calls:
        for _, answer in call.answers:
            if isinstance(answer, Bought):
                _judge_bought(answer, histories.get(call.args[0].id, []))
            told = order_in(answer)
            if told is None:
                continue
            history = histories.get(told.id, [])
            if len(history) < told.revision or history[told.revision - 1] != told:
                raise Broken("not saved", f"{call.method} answered {_name(told)}: {told}")
            _judge_promise(call, told, history[-1])


def _judge_bought(told: Bought, history: list[Order]) -> None:
    """Its tickets are the order's, now or before they were given back."""
    if not history or history[-1].number != told.number:
        raise Broken("not saved", f"{told} was answered")
    tickets = {
        (line.performance, line.ticket, line.seat, line.area, line.price_type, line.amount)
        for order in history
        for line in order.lines
    }
    if not tickets.issuperset(told.tickets):
        raise Broken("promise", f"{told} was answered, and {_name(history[-1])} has {tickets}")


def _judge_promise(call: Call, told: Order, order: Order) -> None:
    """What one answer lets the client believe."""
    why = f"{call.method} answered {_name(told)}, and now it is {_name(order)}"
    known = {line.number: line for line in order.lines}
    given_back = {number for refund in order.refunds for number in refund.undone}
    exchanged = [one for one in order.exchanges if one.done and not one.refused]
    given_back.update(number for one in exchanged for number in one.leaving)
    for line in told.lines:
        now = known[line.number]
        if line.state is LineState.SOLD:
            if now.state is not LineState.SOLD and now.number not in given_back:
                raise Broken("promise", f"{why}: line {line.number} is {now.state}")
            moved = now.number in given_back and now.ticket == -1  # to a line of another price
            if not moved and (now.ticket != line.ticket or now.version < line.version):
                raise Broken("promise", f"{why}: line {line.number} has another ticket")
        if line.state is LineState.REFUNDED and now.state is not LineState.REFUNDED:
            raise Broken("promise", f"{why}: line {line.number} is {now.state}")
    if told.state in _OVER and order.state not in _OVER:
        raise Broken("promise", why)
    done = {one.id: one for one in (*order.refunds, *order.exchanges)}
    for one in (*told.refunds, *told.exchanges):
        if one.done and done[one.id] != one:
            raise Broken("promise", f"{why}: {one} is {done[one.id]}")


def _judge_reads(calls: list[Call], by_zombies: set[str]) -> None:
    """Whoever asks after an answer has come hears nothing that is older.

    Save where two desks were at work at once: what one of them has in memory is out of date when
    the other saves, until it wants to save something itself, and is refused.
    """
    by_order: dict[str, list[tuple[float, float, int]]] = {}
    for call in calls:
        for at_s, answer in call.answers[:1]:
            told = order_in(answer)
            if told is not None and told.id not in by_zombies:
                row = call.invoked_s, at_s, told.revision
                by_order.setdefault(told.id, []).append(row)
    for id, rows in by_order.items():
        for invoked_s, _, revision in rows:
            newest = max((known for _, at_s, known in rows if at_s < invoked_s), default=0)
            if revision < newest:
                why = f"{revision} after {newest}, asked at {invoked_s:.3f}"
                raise Broken("older", f"order {id[:8]} was told at revision {why}")


def _judge_again(calls: list[Call]) -> None:
    """What was answered done, and is asked again under the same id, is answered alike."""
    same: dict[tuple[object, ...], list[Call]] = {}
    for call in calls:
        if call.answers and call.method != "get":
            same.setdefault((call.method, *map(repr, call.args)), []).append(call)
    for each in same.values():
        for call in each:
            for again in each:
                if call.is_done and again.invoked_s > call.answered_s:
                    if not _alike(call, again.answer):
                        what = f"{call.method} {call.args}: {call.answer}, then {again.answer}"
                        raise Broken("otherwise", what)


def _alike(call: Call, answer: object) -> bool:
    done, again, method = order_in(call.answer), order_in(answer), call.method
    if isinstance(call.answer, Bought):
        if isinstance(answer, Bought):
            return answer.number == call.answer.number
        return not call.answer.total  # it was for nothing, and was given back since
    assert done is not None
    if again is not None:
        return (again.id, again.number) == (done.id, done.number)
    if method == "pay":
        payment = payment_of(done, f"{done.id}-{call.args[2]}")
        # Else its page has ended since, or it was never made: an earlier one had paid.
        return payment is None or payment.standing is not Standing.CONFIRMED
    if method == "exchange":
        return done.exchange is not None  # it was given up since
    if method == "cancel":
        # Its money came after all, or it was an exchange that was cancelled, and not the last.
        return done.state in GIVEN_UP or bool(done.exchanges)
    if method == "reserve":
        return done.terms is None  # it was paid on a page that was to be closed for it
    return method == "approve"
