"""The readers of a fake Stripe account, and the PaymentIntents that are made for them.

    reader = stripe.terminal.add_reader("Till 1")
    stripe.terminal.present(reader)                     # somebody's card, which pays
    stripe.terminal.present(reader, "insufficient_funds")
    stripe.terminal.unplug(reader)

Shapes and refusals as Stripe has them for readers that a server drives: a reader does one thing at
a time, another payment replaces one that nobody presented a card for yet, and a PaymentIntent that
is cancelled charges no card whatever its reader shows.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from tests.fakes.stripe_server import FakeStripe

Object = dict[str, Any]
GOOD_CARD = "4242424242424242"
DECLINES = {"4000000000000002": "generic_decline", "4000000000009995": "insufficient_funds"}
"""Test cards that are declined, and why."""
_CREATE = set("amount currency payment_method_types capture_method metadata description".split())
_PROCESS = set("payment_intent process_config".split())
_CONFIG = set("enable_customer_cancellation skip_tipping tipping return_url".split())
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation")


class FakeTerminal:
    """See the module. `intents` and `readers` are by id."""

    def __init__(
        self,
        stripe: "FakeStripe",
        refuse: Callable[..., Exception],
        check_amount: Callable[[int, str], None],
    ) -> None:
        self._stripe = stripe
        self._refuse = refuse
        self._check_amount = check_amount
        self.intents: dict[str, Object] = {}
        self.readers: dict[str, Object] = {}
        self.processing: set[str] = set()
        """Readers with a card in them, which is being authorised."""

    def routes(self) -> list[web.RouteDef]:
        api, readers = self._stripe._api, "/v1/terminal/readers"
        return [
            web.post("/v1/payment_intents", api(self._create)),
            web.get("/v1/payment_intents/{id}", api(self._get)),
            web.post("/v1/payment_intents/{id}/cancel", api(self._cancel)),
            web.get(readers, api(self._list)),
            web.get(readers + "/{id}", api(self._reader)),
            web.post(readers + "/{id}/process_payment_intent", api(self._process)),
            web.post(readers + "/{id}/cancel_action", api(self._cancel_action)),
            web.post(
                "/v1/test_helpers/terminal/readers/{id}/present_payment_method", api(self._present)
            ),
        ]

    # What happens at the counter.

    def add_reader(self, label: str = "Till 1") -> str:
        reader = self._stripe._id("tmr")
        self.readers[reader] = {
            "id": reader,
            "object": "terminal.reader",
            "action": None,
            "device_sw_version": "",
            "device_type": "simulated_wisepos_e",
            "ip_address": "127.0.0.1",
            "label": label,
            "last_seen_at": self._stripe.now_s() * 1_000,
            "livemode": False,
            "location": "tml_1",
            "metadata": {},
            "serial_number": f"serial-{reader}",
            "status": "online",
        }
        return reader

    def unplug(self, reader: str) -> None:
        """It is offline, in the middle of whatever it does."""
        self.readers[reader]["status"] = "offline"

    def shows(self, reader: str) -> str:
        """The PaymentIntent that a reader asks a card for, "" for none."""
        action = self.readers[reader]["action"]
        waits = action is not None and action["status"] == "in_progress"
        return action["process_payment_intent"]["payment_intent"] if waits else ""

    def present(self, reader: str, why: str = "", *, told: bool = True) -> None:
        """A card is presented, and declined where `why` says so.

        Not `told`: the reader loses its connection while Stripe charges the card.
        """
        shown = self.shows(reader)
        if not shown:
            raise ValueError(f"reader {reader} asks for no card")
        intent = self.intents[shown]
        if intent["status"] != "requires_payment_method":
            why = "intent_invalid_state"  # cancelled meanwhile: the card is not charged
        elif why:
            error = {"type": "card_error", "code": "card_declined", "decline_code": why}
            intent["last_payment_error"] = error | {"message": "Your card was declined."}
            self._stripe._tell("payment_intent.payment_failed", intent)
        else:
            self._charge(intent)
        if not told:
            self._act(reader, "failed", "connection_error", "The reader lost its connection.")
        elif why:
            code = "card_declined" if intent["last_payment_error"] else why
            self._act(reader, "failed", code, "Your card was declined.")
        else:
            self._act(reader, "succeeded")

    def give_up(self, reader: str) -> None:
        """The customer presses the reader's cancel button."""
        assert self.shows(reader)
        self._act(reader, "failed", "customer_canceled", "The customer canceled.")

    def _charge(self, intent: Object) -> None:
        charge = self._stripe._id("ch")
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge,
            "last_payment_error": None,
        }
        self._stripe.charges[intent["id"]] = {
            "id": charge,
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"],
            "amount_refunded": 0,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "payment_method_details": {"type": "card_present"},
            "metadata": dict(intent["metadata"]),
        }
        self._stripe._tell("payment_intent.succeeded", intent)

    def _act(self, reader: str, status: str, code: str = "", message: str = "") -> None:
        told = self.readers[reader]
        told["action"] = told["action"] | {
            "status": status,
            "failure_code": code or None,
            "failure_message": message or None,
        }
        self._stripe._tell(f"terminal.reader.action_{status}", told)

    # The API.

    def _create(self, _: web.Request, form: Object) -> Object:
        self._known(form, _CREATE)
        for name in ("amount", "currency", "payment_method_types"):
            if name not in form:
                raise self._refuse(400, f"Missing required param: {name}.", param=name)
        amount, currency = form["amount"], form["currency"]
        if re.fullmatch("[0-9]+", amount) is None:
            raise self._refuse(400, f"Invalid integer: {amount}", param="amount")
        self._check_amount(int(amount), currency)
        if int(amount) < 50:
            raise self._refuse(400, "Amount must be at least 50.", code="amount_too_small")
        types = list(form["payment_method_types"].values())
        if types != ["card_present"]:
            raise self._refuse(400, f"Invalid payment_method_types: {types}")
        intent = {
            "id": self._stripe._id("pi"),
            "object": "payment_intent",
            "amount": int(amount),
            "amount_capturable": 0,
            "amount_received": 0,
            "canceled_at": None,
            "capture_method": form.get("capture_method", "automatic_async"),
            "created": self._stripe.now_s(),
            "currency": currency,
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": form.get("metadata", {}),
            "payment_method_types": types,
            "status": "requires_payment_method",
        }
        self.intents[intent["id"]] = intent
        return dict(intent)

    def _get(self, request: web.Request, _: Object) -> Object:
        return dict(self._intent(request.match_info["id"]))

    def _cancel(self, request: web.Request, form: Object) -> Object:
        self._known(form, {"cancellation_reason"})
        intent = self._intent(request.match_info["id"])
        if intent["status"] not in CANCELABLE:
            raise self._refuse(
                400,
                "You cannot cancel this PaymentIntent because it has a status of "
                f"{intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        intent |= {"status": "canceled", "canceled_at": self._stripe.now_s()}
        self._stripe._tell("payment_intent.canceled", intent)
        return dict(intent)

    def _list(self, request: web.Request, _: Object) -> Object:
        limit = int(request.query.get("limit", "10"))
        data = [dict(one) for one in self.readers.values()]
        return {
            "object": "list",
            "url": "/v1/terminal/readers",
            "data": data[:limit],
            "has_more": len(data) > limit,
        }

    def _reader(self, request: web.Request, _: Object) -> Object:
        return dict(self._found(request))

    def _process(self, request: web.Request, form: Object) -> Object:
        self._known(form, _PROCESS)
        self._known(form.get("process_config", {}), _CONFIG)
        reader = self._found(request)
        intent = self._intent(form.get("payment_intent", ""))
        self._reachable(reader)
        if intent["status"] != "requires_payment_method":
            raise self._refuse(
                400,
                f"This PaymentIntent has a status of {intent['status']}.",
                code="intent_invalid_state",
            )
        reader["action"] = {
            "type": "process_payment_intent",
            "status": "in_progress",
            "failure_code": None,
            "failure_message": None,
            "process_payment_intent": {
                "payment_intent": intent["id"],
                "process_config": form.get("process_config", {}),
            },
        }
        return dict(reader)

    def _cancel_action(self, request: web.Request, _: Object) -> Object:
        reader = self._found(request)
        self._reachable(reader)
        reader["action"] = None
        return dict(reader)

    def _present(self, request: web.Request, form: Object) -> Object:
        self._known(form, {"type", "card_present"})
        reader = self._found(request)
        if not self.shows(reader["id"]):
            raise self._refuse(
                400, "The reader is not processing a payment.", code="terminal_reader_not_ready"
            )
        number = form.get("card_present", {}).get("number", GOOD_CARD)
        self.present(reader["id"], DECLINES.get(number, ""))
        return dict(reader)

    def _reachable(self, reader: Object) -> None:
        if reader["status"] == "offline":
            raise self._refuse(
                400, "Reader is currently offline.", code="terminal_reader_offline", stored=True
            )
        if reader["id"] in self.processing:
            raise self._refuse(
                400, "Reader is currently processing.", code="terminal_reader_busy", stored=True
            )

    def _known(self, form: Object, names: set[str]) -> None:
        for name in form.keys() - names:
            raise self._refuse(
                400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )

    def _intent(self, id: str) -> Object:
        if id not in self.intents:
            raise self._refuse(404, f"No such payment_intent: '{id}'", code="resource_missing")
        return self.intents[id]

    def _found(self, request: web.Request) -> Object:
        id = request.match_info["id"]
        if id not in self.readers:
            raise self._refuse(404, f"No such terminal.reader: '{id}'", code="resource_missing")
        return self.readers[id]
