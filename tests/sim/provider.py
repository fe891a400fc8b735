"""A payment provider of virtual time: what Stripe promises, as far as it is used, and no more.

An account outlives every process. A request may get there and its answer not, it may get there
long after whoever asked has given up, it may be refused for a while, and, rarely, be answered
with an error for as long as its idempotency key is known. Notices come late, in any order, more
than once, and some about payment pages never.

The conversation is the product's own (`engine.actors.payments`): `Connection` stands where it
has Stripe's package, and says and raises what that does.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import stripe

from engine.actors.payments import REFUND_KEY, StripeGateway
from engine.actors.stripe_calls import PAYMENT_KEY
from tests.engine.small import NOW_MS
from tests.sim.loop import Process, Simulation

SECRET: Final = "whsec_simulated"
TRAVELS_S: Final = (0.02, 0.05, 0.05, 0.3)
GIVES_UP_S: Final = (0.1, 0.5, 2.0)
"""After this long a connection turns out to be broken."""
LATE_S: Final = (0.05, 1.0, 3.0, 8.0)
"""A request whose connection broke gets there after all, so much later."""
NOTICES_S: Final = (0.01, 0.05, 0.3, 1.5, 5.0)
SETTLES_S: Final = (0.1, 1.0, 4.0)
"""A refund is pending, or a slow payment under way, for so long."""
READERS: Final = ("tmr_1", "tmr_2")
AGAIN_S: Final = 1.0
"""A notice that was not answered is sent again."""

Object = dict[str, Any]


class Moods:
    """How the provider is just now: shares of requests, of refunds and of notices."""

    def __init__(self, draw: Callable[[], float], rough: bool) -> None:
        self.breaks = 0.25 * draw() if rough else 0.0
        self.refuses = 0.1 * draw() if rough else 0.0
        self.sticks = 0.03 if rough and draw() < 0.2 else 0.0
        self.bounces = 0.1 if rough and draw() < 0.2 else 0.0
        self.is_slow = 0.3 if draw() < 0.3 else 0.0
        self.doubles = 0.4 * draw() if rough else 0.0
        self.loses = 0.4 if rough and draw() < 0.3 else 0.0

    def settle(self) -> None:
        self.breaks = self.refuses = self.sticks = self.doubles = self.loses = 0.0


class Account:
    """What is there at the provider. `deliver` carries a notice and is told when it is taken."""

    def __init__(self, simulation: Simulation, rough: bool) -> None:
        self.simulation = simulation
        self.draw = simulation.draw
        self.moods = Moods(self.draw, rough)
        self.sessions: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}  # by PaymentIntent
        self.refunds: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}  # for readers alone
        self.shown: set[str] = set()
        """The intents that a reader was ever asked for."""
        self.readers: dict[str, Object] = {
            id: {"id": id, "label": id, "device_type": "simulated", "status": "online",
                 "action": None}
            for id in READERS
        }  # fmt: skip
        self.under_way = 0
        """Notices that will be taken, and what will change by itself."""
        self.lost: set[str] = set()
        """The pages of which a notice never comes."""
        self.is_visited = True
        self.deliver: Callable[[bytes, str, Callable[[], None]], None]
        self._answers: dict[str, tuple[Object, Object | None]] = {}  # None: an error, for good
        self._numbers = 0

    def now_s(self) -> int:
        return NOW_MS // 1_000 + int(self.simulation.now_s)

    def _id(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}_{self._numbers:06d}"

    # What the buyer does ---------------------------------------------------------------

    def pay(self, session_id: str) -> None:
        """Pay on a page, unless it has ended."""
        session = self.sessions[session_id]
        if session["status"] != "open" or not self.is_visited:
            return
        slow = self.draw() < self.moods.is_slow * 0.3
        intent = self._id("pi")
        session |= {"status": "complete", "payment_intent": intent, "url": None}
        session["payment_status"] = "unpaid" if slow else "paid"
        self.charges[intent] = {
            "id": self._id("ch"),
            "amount_captured": 0 if slow else session["amount_total"],
            "amount_refunded": 0,
            "currency": session["currency"],
            "payment_intent": intent,
            "metadata": session["metadata"],
        }
        self._tell("checkout.session.completed", session, may_be_lost=True)
        if slow:
            self._later(self._settle_session, session_id, self.draw() < 0.7)

    def _settle_session(self, session_id: str, succeeded: bool) -> None:
        session = self.sessions[session_id]
        if succeeded:
            session["payment_status"] = "paid"
            self.charges[session["payment_intent"]]["amount_captured"] = session["amount_total"]
        self._tell(
            f"checkout.session.async_payment_{'succeeded' if succeeded else 'failed'}", session
        )

    def _later(self, what: Callable[..., None], *args: Any) -> None:
        self.under_way += 1

        def then() -> None:
            self.under_way -= 1
            what(*args)

        self.simulation.after(SETTLES_S[int(self.draw() * len(SETTLES_S))], then)

    # What the shop asks ----------------------------------------------------------------

    def once(self, key: str, form: Object, carry_out: Callable[[Object], Object]) -> Object:
        """The answer to a request, and that of its first time to one that is repeated."""
        if key in self._answers:
            known, answer = self._answers[key]
            if known != form:
                raise stripe.IdempotencyError("other parameters", http_status=400)
            if answer is None:
                raise stripe.APIError(
                    "an error", http_status=500, headers={"idempotent-replayed": "true"}
                )
            return dict(answer)
        sticks = self.draw() < self.moods.sticks
        if sticks and self.draw() < 0.5:
            self._answers[key] = form, None
            raise stripe.APIError("an error", http_status=500)
        answer = carry_out(form)
        self._answers[key] = form, None if sticks else dict(answer)
        if sticks:
            raise stripe.APIError("an error", http_status=500)
        return answer

    def create_session(self, form: Object) -> Object:
        lines = form["line_items"]
        session = {
            "id": self._id("cs"),
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "amount_total": sum(
                line["price_data"]["unit_amount"] * line["quantity"] for line in lines
            ),
            "currency": lines[0]["price_data"]["currency"],
            "metadata": form["metadata"],
            "expires_at": form["expires_at"],
        }
        session["url"] = f"https://pay/{session['id']}"
        self.sessions[session["id"]] = session
        return dict(session)

    def session(self, session_id: str) -> Object:
        return dict(self.sessions[session_id])

    def expire_session(self, session_id: str) -> Object:
        session = self.sessions[session_id]
        if session["status"] != "open":
            raise stripe.InvalidRequestError("it has ended", None, http_status=400)
        session |= {"status": "expired", "url": None}
        self._tell("checkout.session.expired", session, may_be_lost=True)
        return dict(session)

    def create_refund(self, form: Object) -> Object:
        charge = self.charges[form["payment_intent"]]
        amount = form["amount"]
        if not 0 < amount <= charge["amount_captured"] - charge["amount_refunded"]:
            raise stripe.InvalidRequestError("too much", "amount", http_status=400)
        pending = self.draw() < 0.3
        refund = {
            "id": self._id("re"),
            "amount": amount,
            "currency": charge["currency"],
            "payment_intent": form["payment_intent"],
            "status": "pending" if pending else "succeeded",
            "metadata": form["metadata"],
        }
        self.refunds[refund["id"]] = refund
        charge["amount_refunded"] += amount
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        bounces = self.draw() < self.moods.bounces
        if pending or bounces:
            self._later(self._move_refund, refund["id"], "failed" if bounces else "succeeded")
        return dict(refund)

    def _move_refund(self, refund_id: str, status: str) -> None:
        refund = self.refunds[refund_id]
        refund["status"] = status
        if status == "failed":
            self.charges[refund["payment_intent"]]["amount_refunded"] -= refund["amount"]
        self._tell("refund.updated", refund)

    def refunds_of(self, intent: str) -> list[Object]:
        found = [dict(one) for one in self.refunds.values() if one["payment_intent"] == intent]
        return found[::-1]

    # At the readers ----------------------------------------------------------------------

    def present(self, reader: str, why: str = "") -> None:
        """A card, declined where `why` says so, at a reader that asks for one.

        The reader may lose its connection while the card is charged, and then knows less.
        """
        action = self.readers[reader]["action"]
        if action is None or action["status"] != "in_progress" or not self.is_visited:
            return
        intent = self.intents[action["process_payment_intent"]["payment_intent"]]
        status, code = "succeeded", None
        if intent["status"] != "requires_payment_method":
            status, code = "failed", "intent_invalid_state"
        elif why:
            intent["last_payment_error"] = {"code": "card_declined", "decline_code": why}
            status, code = "failed", "card_declined"
            self._tell("payment_intent.payment_failed", intent, may_be_lost=True)
        else:
            self._charge(intent)
            if self.draw() < self.moods.loses:
                status, code = "failed", "connection_error"
        self.readers[reader]["action"] = action | {"status": status, "failure_code": code}
        self._tell(f"terminal.reader.action_{status}", self.readers[reader], may_be_lost=True)

    def _charge(self, intent: Object) -> None:
        amount = intent["amount"]
        intent |= {"status": "succeeded", "amount_received": amount, "last_payment_error": None}
        self.charges[intent["id"]] = {
            "id": self._id("ch"),
            "amount_captured": amount,
            "amount_refunded": 0,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "metadata": intent["metadata"],
        }
        self._tell("payment_intent.succeeded", intent, may_be_lost=True)

    def create_intent(self, form: Object) -> Object:
        assert form["payment_method_types"] == ["card_present"], form
        intent = {
            "id": self._id("pi"),
            "status": "requires_payment_method",
            "amount": form["amount"],
            "amount_received": 0,
            "currency": form["currency"],
            "last_payment_error": None,
            "metadata": form["metadata"],
        }
        self.intents[intent["id"]] = intent
        return dict(intent)

    def intent(self, id: str) -> Object:
        return dict(self.intents[id])

    def cancel_intent(self, id: str) -> Object:
        intent = self.intents[id]
        if intent["status"] != "requires_payment_method":
            raise stripe.InvalidRequestError("it has ended", None, http_status=400)
        intent["status"] = "canceled"
        self._tell("payment_intent.canceled", intent, may_be_lost=True)
        return dict(intent)

    def reader(self, id: str) -> Object:
        return dict(self.readers[id])

    def process(self, form: Object) -> Object:
        """Have a reader ask for a card; of what it asked before it lets go."""
        intent = self.intents[form["payment_intent"]]
        if intent["status"] != "requires_payment_method":
            raise stripe.InvalidRequestError("it has ended", None, http_status=400)
        asked = {"payment_intent": intent["id"]}
        self.shown.add(intent["id"])
        reader = self.readers[form["reader"]]
        reader["action"] = {"status": "in_progress", "process_payment_intent": asked}
        return dict(reader)

    def cancel_action(self, id: str) -> Object:
        self.readers[id]["action"] = None
        return dict(self.readers[id])

    # Notices ---------------------------------------------------------------------------

    def _tell(self, kind: str, about: Object, may_be_lost: bool = False) -> None:
        if may_be_lost and self.draw() < self.moods.loses:
            self.lost.add(about["id"])
            return
        payload = msgspec.json.encode(
            {"id": self._id("evt"), "type": kind, "data": {"object": about}}
        )
        self.under_way += 1
        notice = _Notice(self, payload)
        for _ in range(1 + (self.draw() < self.moods.doubles)):
            self.simulation.after(NOTICES_S[int(self.draw() * len(NOTICES_S))], notice.send)


class _Notice:
    """Sent until it is taken."""

    def __init__(self, account: Account, payload: bytes) -> None:
        self._account = account
        self._payload = payload
        self._is_taken = False

    def send(self) -> None:
        account = self._account
        if not self._is_taken:
            account.deliver(self._payload, sign(self._payload, account.now_s()), self.taken)
            account.simulation.after(AGAIN_S * (1 + 3 * account.draw()), self.send)

    def taken(self) -> None:
        if not self._is_taken:
            self._is_taken = True
            self._account.under_way -= 1


def sign(payload: bytes, at_s: int) -> str:
    """A `Stripe-Signature` header."""
    signature = hmac.new(SECRET.encode(), b"%d.%s" % (at_s, payload), sha256).hexdigest()
    return f"t={at_s},v1={signature}"


class _Answer:
    """An object of Stripe's package, as far as it is read."""

    def __init__(self, values: Object) -> None:
        self._values = values

    def to_dict(self) -> Object:
        return self._values


class Connection:
    """`stripe.StripeClient` in one process. `step` is passed before and after every request."""

    def __init__(self, account: Account, process: Process, step: Callable[[], Any]) -> None:
        self._account = account
        self._process = process
        self._step = step
        sessions = SimpleNamespace(
            create_async=self._create_session,
            retrieve_async=self._retrieve,
            expire_async=self._expire,
        )
        refunds = SimpleNamespace(create_async=self._create_refund, list_async=self._list_refunds)
        checkout = SimpleNamespace(sessions=sessions)
        intents = SimpleNamespace(
            create_async=self._create_intent,
            retrieve_async=self._intent,
            cancel_async=self._cancel_intent,
        )
        readers = SimpleNamespace(
            retrieve_async=self._reader,
            process_payment_intent_async=self._process_intent,
            cancel_action_async=self._cancel_action,
        )
        self.v1 = SimpleNamespace(
            checkout=checkout,
            refunds=refunds,
            payment_intents=intents,
            terminal=SimpleNamespace(readers=readers),
        )

    async def _create_session(self, form: Object, options: Object) -> _Answer:
        account, key = self._account, options["idempotency_key"]
        return _Answer(await self._ask(account.once, key, form, account.create_session))

    async def _retrieve(self, session: str) -> _Answer:
        return _Answer(await self._ask(self._account.session, session))

    async def _expire(self, session: str) -> _Answer:
        return _Answer(await self._ask(self._account.expire_session, session))

    async def _create_refund(self, form: Object, options: Object) -> _Answer:
        account, key = self._account, options["idempotency_key"]
        return _Answer(await self._ask(account.once, key, form, account.create_refund))

    async def _list_refunds(self, form: Object) -> Any:
        found: Iterable[Object] = await self._ask(self._account.refunds_of, form["payment_intent"])
        return SimpleNamespace(data=[_Answer(one) for one in found])

    async def _create_intent(self, form: Object, options: Object) -> _Answer:
        account, key = self._account, options["idempotency_key"]
        return _Answer(await self._ask(account.once, key, form, account.create_intent))

    async def _intent(self, intent: str) -> _Answer:
        return _Answer(await self._ask(self._account.intent, intent))

    async def _cancel_intent(self, intent: str) -> _Answer:
        return _Answer(await self._ask(self._account.cancel_intent, intent))

    async def _reader(self, reader: str) -> _Answer:
        return _Answer(await self._ask(self._account.reader, reader))

    async def _process_intent(self, reader: str, form: Object, options: Object) -> _Answer:
        account, key = self._account, options["idempotency_key"]
        form = form | {"reader": reader}
        return _Answer(await self._ask(account.once, key, form, account.process))

    async def _cancel_action(self, reader: str) -> _Answer:
        return _Answer(await self._ask(self._account.cancel_action, reader))

    async def _ask(self, carry_out: Callable[..., Any], *args: Any) -> Any:
        """Carry it out at the provider, if it gets there."""
        await self._step()
        draw, moods = self._account.draw, self._account.moods
        if draw() < moods.refuses:
            await asyncio.sleep(TRAVELS_S[int(draw() * 4)])
            status = (409, 429, 500, 503)[int(draw() * 4)]
            kind = stripe.RateLimitError if status == 429 else stripe.APIError
            raise kind("not now", http_status=status)
        breaks = draw() < moods.breaks
        future = self._process.create_future()
        simulation = self._process.simulation

        def arrive() -> None:
            try:
                settle, answer = _succeed, carry_out(*args)
            except stripe.StripeError as error:
                settle, answer = _fail, error
            if not breaks:
                at_s = simulation.now_s + TRAVELS_S[int(draw() * 4)]
                simulation.at(at_s, self._process, settle, (future, answer))

        if not breaks:
            simulation.after(TRAVELS_S[int(draw() * 4)], arrive)
        elif draw() < 0.7:
            simulation.after(LATE_S[int(draw() * 4)], arrive)
        await self._step()
        if breaks:
            await asyncio.sleep(GIVES_UP_S[int(draw() * 3)])
            raise stripe.APIConnectionError("the connection broke")
        answer = await future
        await self._step()
        return answer


def _succeed(future: Any, answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: Any, error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class SimulatedGateway(StripeGateway):
    """The product's conversation with Stripe, over this connection."""

    def __init__(self, connection: Connection) -> None:
        self._webhook_secret = SECRET
        self._stripe = connection  # type: ignore[assignment]
        self._in_flight = 0

    async def close(self) -> None:
        pass


def paid_for(thing: Object) -> str:
    """Our payment that something at the provider is for."""
    named: str = thing["metadata"][PAYMENT_KEY]
    return named


def refund_key_of(refund: Object) -> str:
    key: str = refund["metadata"][REFUND_KEY]
    return key
