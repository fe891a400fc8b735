"""The part of Stripe's API that Strapontin uses, in one process, with the buyer on strings.

    async with FakeStripe(webhook_url="http://127.0.0.1:8080/api/stripe/webhook") as stripe:
        gateway = StripeGateway(stripe.api_key, stripe.webhook_secret, stripe.url)
        ...
        stripe.pay(session_id)       # or let a browser press the button on the session's page
        await stripe.drained()       # every webhook has been answered, or given up

Speaks form-encoded requests and idempotency keys as Stripe does, refuses parameters it does not
know, and signs its webhooks. Faults are ordered with `fail_next`, `cut_next` and `hang_next`;
webhooks are duplicated, delayed, dropped, or held back and released in any order with `webhooks`.

As a program: `python -m tests.fakes.stripe_server --port 12111 --webhook-url URL`.
"""

import argparse
import asyncio
import contextlib
import hmac
import html
import itertools
import json
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from tests.fakes.stripe_terminal import FakeTerminal

MIN_SESSION_S, MAX_SESSION_S = 30 * 60, 24 * 60 * 60
MIN_CHARGE = 50
DELIVERY_TRIES, DELIVERY_PAUSE_S = 5, 0.05
KNOWN_PARAMETERS = set(
    "mode line_items client_reference_id metadata payment_intent_data expires_at success_url "
    "cancel_url locale adaptive_pricing excluded_payment_method_types".split()
)

Object = dict[str, Any]


class ApiError(Exception):
    """An answer in Stripe's error shape. `stored` ones are kept under the idempotency key."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
        stored: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.stored = status, stored
        error = {"type": type, "message": message, "code": code, "param": param}
        self.body: Object = {"error": {name: value for name, value in error.items() if value}}


@dataclass
class Fault:
    """What happens to the next API request whose path contains `path`."""

    path: str = ""
    error: ApiError | None = None
    cut: bool = False  # carry it out, then drop the connection instead of answering
    hang_s: float = 0.0


@dataclass
class Webhooks:
    """How notices travel. Change any field at any time."""

    url: str | None
    copies: int = 1
    delay_s: float = 0.0
    dropped: set[str] = field(default_factory=set)  # event types that never arrive
    held: bool = False  # keep notices back until `FakeStripe.release`


class FakeStripe:
    """One Stripe account. `url` is the API base once started."""

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        api_key: str = "sk_test_fake",
        webhook_secret: str = "whsec_fake",
        port: int = 0,
        now_s: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.api_key, self.webhook_secret = api_key, webhook_secret
        self.webhooks = Webhooks(webhook_url)
        self.now_s = now_s
        self.refund_status = "succeeded"  # what new refunds begin as; "pending" to settle later
        self.sessions: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}  # by PaymentIntent
        self.refunds: dict[str, Object] = {}
        self.events: list[Object] = []  # all that happened, dropped or not
        self.deliveries: list[tuple[str, int]] = []  # (event type, status; 0 for no answer)
        self.requests: list[tuple[str, str, str]] = []  # (method, path, idempotency key)
        self._port = port
        self._faults: deque[Fault] = deque()
        self._answers: dict[str, tuple[str, int, Object]] = {}
        self._under_way: set[str] = set()
        self._numbers = itertools.count(1)
        self._held: list[Object] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self.terminal = FakeTerminal(self, ApiError, _check_amount)
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/checkout/sessions", self._api(self._create_session)),
                web.get("/v1/checkout/sessions/{id}", self._api(self._get_session)),
                web.post("/v1/checkout/sessions/{id}/expire", self._api(self._expire_session)),
                web.post("/v1/refunds", self._api(self._create_refund)),
                web.get("/v1/refunds", self._api(self._list_refunds)),
                web.get("/pay/{id}", self._pay_page),
                web.post("/pay/{id}/{choice:pay|cancel}", self._pay_choice),
                *self.terminal.routes(),
            ]
        )
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._client and self._runner, "stopped before it was started"
        await self._client.close()
        await self._runner.cleanup()

    async def __aenter__(self) -> "FakeStripe":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # What the buyer, the bank and the account's owner do.

    def pay(self, session_id: str, *, settled: bool = True) -> None:
        """Complete an open session; not `settled`: by a slow method, to `settle` later."""
        session = self._current(session_id)
        if session["status"] != "open":
            raise ValueError(f"session {session_id} is {session['status']}")
        intent, charge = self._id("pi"), self._id("ch")
        session |= {"status": "complete", "payment_intent": intent, "url": None}
        session["payment_status"] = "paid" if settled else "unpaid"
        self.charges[intent] = {
            "id": charge,
            "object": "charge",
            "amount": session["amount_total"],
            "amount_captured": session["amount_total"] if settled else 0,
            "amount_refunded": 0,
            "currency": session["currency"],
            "payment_intent": intent,
            "metadata": dict(session["_intent_metadata"]),
        }
        self._tell("checkout.session.completed", session)

    def settle(self, session_id: str, *, succeeded: bool = True) -> None:
        """The slow payment of a completed session arrives, or does not."""
        session = self.sessions[session_id]
        if succeeded:
            session["payment_status"] = "paid"
            self.charges[session["payment_intent"]]["amount_captured"] = session["amount_total"]
        outcome = "succeeded" if succeeded else "failed"
        self._tell(f"checkout.session.async_payment_{outcome}", session)

    def time_out(self, session_id: str) -> None:
        """The session's expiry passes."""
        session = self.sessions[session_id]
        if session["status"] == "open":
            session |= {"status": "expired", "url": None}
            self._tell("checkout.session.expired", session)

    def refund_by_hand(self, session_id: str, amount: int) -> str:
        """Refund in the dashboard, where nobody fills in our metadata. Returns the refund's id."""
        return self._refund(self.sessions[session_id]["payment_intent"], amount, {})["id"]

    def move_refund(self, refund_id: str, status: str) -> None:
        """The bank says how far a refund has come: succeeded, failed or canceled."""
        refund = self.refunds[refund_id]
        refund["status"] = status
        if status in ("failed", "canceled"):
            self.charges[refund["payment_intent"]]["amount_refunded"] -= refund["amount"]
        self._tell("refund.updated", refund)
        if status == "failed":
            self._tell("refund.failed", refund)

    # Faults.

    def fail_next(
        self,
        status: int,
        *,
        path: str = "",
        code: str | None = None,
        times: int = 1,
        stored: bool = False,
    ) -> None:
        """Refuse the next `times` requests; `stored`: for good, under their idempotency key.

        `path` here and below is a part of a method and a path, as "POST /v1/refunds".
        """
        error = ApiError(status, f"ordered fault {status}", code=code, stored=stored)
        if status >= 500:
            error.body["error"]["type"] = "api_error"
        self._faults.extend(Fault(path=path, error=error) for _ in range(times))

    def cut_next(self, *, path: str = "", times: int = 1) -> None:
        """Carry out the next requests, and lose the answers."""
        self._faults.extend(Fault(path=path, cut=True) for _ in range(times))

    def hang_next(self, seconds: float, *, path: str = "", times: int = 1) -> None:
        """Let the next requests wait."""
        self._faults.extend(Fault(path=path, hang_s=seconds) for _ in range(times))

    # Webhooks.

    def release(
        self, order: Callable[[list[Object]], Sequence[Object]] = lambda events: events
    ) -> None:
        """Send the notices held back, in the order (and as often) as `order` returns them."""
        held, self._held = self._held, []
        self._run(self._deliver_in_turn(order(held)))

    async def drained(self) -> None:
        """Until no notice is on its way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def sign(self, payload: bytes, *, at_s: int | None = None, secret: str | None = None) -> str:
        """A `Stripe-Signature` header for a payload."""
        at_s = self.now_s() if at_s is None else at_s
        key = (secret or self.webhook_secret).encode()
        return f"t={at_s},v1={hmac.new(key, b'%d.%s' % (at_s, payload), sha256).hexdigest()}"

    def _tell(self, type: str, about: Object) -> None:
        event = {
            "id": self._id("evt"),
            "object": "event",
            "type": type,
            "created": self.now_s(),
            "livemode": False,
            "data": {"object": json.loads(json.dumps(_public(about)))},
        }
        self.events.append(event)
        if self.webhooks.url is None or type in self.webhooks.dropped:
            return
        if self.webhooks.held:
            self._held.append(event)
            return
        for _ in range(self.webhooks.copies):
            self._run(self._deliver(event))

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_in_turn(self, events: Sequence[Object]) -> None:
        for event in events:
            await self._deliver(event)

    async def _deliver(self, event: Object) -> None:
        assert self._client and self.webhooks.url
        await asyncio.sleep(self.webhooks.delay_s)
        payload = json.dumps(event).encode()
        for _ in range(DELIVERY_TRIES):
            headers = {"Content-Type": "application/json", "Stripe-Signature": self.sign(payload)}
            try:
                async with self._client.post(
                    self.webhooks.url, data=payload, headers=headers
                ) as response:
                    status = response.status
            except aiohttp.ClientError:
                status = 0
            self.deliveries.append((event["type"], status))
            if 200 <= status < 300:
                return
            await asyncio.sleep(DELIVERY_PAUSE_S)

    # The API.

    def _api(
        self, carry_out: Callable[[web.Request, Object], Object]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            key = request.headers.get("Idempotency-Key", "")
            self.requests.append((request.method, request.path, key))
            fault = self._next_fault(f"{request.method} {request.path}")
            try:
                if request.headers.get("Authorization") != f"Bearer {self.api_key}":
                    raise ApiError(401, "Invalid API Key provided")
                status, body, replayed = await self._once(key, request, carry_out, fault)
            except ApiError as error:
                status, body, replayed = error.status, error.body, False
            if fault.cut and request.transport:
                request.transport.abort()
            headers = {"Request-Id": self._id("req")}
            if replayed:
                headers["Idempotent-Replayed"] = "true"
            return web.json_response(body, status=status, headers=headers)

        return handler

    async def _once(
        self,
        key: str,
        request: web.Request,
        carry_out: Callable[[web.Request, Object], Object],
        fault: Fault,
    ) -> tuple[int, Object, bool]:
        """The answer, and whether it is that of an earlier request under the same key."""
        text = await request.text() if request.method == "POST" else request.query_string
        same = f"{request.method} {request.path} {text}"
        if key in self._answers:
            known, status, body = self._answers[key]
            if known != same:
                raise ApiError(
                    400,
                    "Keys for idempotent requests can only be used with the same parameters "
                    "they were first used with.",
                    type="idempotency_error",
                )
            return status, body, True
        if key and key in self._under_way:
            raise ApiError(
                409,
                "There is currently another in-progress request using this key.",
                code="idempotency_key_in_use",
                type="idempotency_error",
            )
        self._under_way.add(key)
        try:
            if fault.error:
                raise fault.error
            await asyncio.sleep(fault.hang_s)
            answer = 200, carry_out(request, _unflattened(text))
        except ApiError as error:
            if not error.stored:
                raise
            answer = error.status, error.body
        finally:
            self._under_way.discard(key)
        if key:
            self._answers[key] = (same, *answer)
        return *answer, False

    def _next_fault(self, path: str) -> Fault:
        for fault in self._faults:
            if fault.path in path:
                self._faults.remove(fault)
                return fault
        return Fault()

    def _create_session(self, _: web.Request, form: Object) -> Object:
        for name in form.keys() - KNOWN_PARAMETERS:
            raise ApiError(
                400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )
        for name in ("mode", "line_items", "success_url"):
            if name not in form:
                raise ApiError(
                    400, f"Missing required param: {name}.", code="parameter_missing", param=name
                )
        currency, total = _total(form["line_items"])
        now_s = self.now_s()
        expires_s = int(form.get("expires_at", now_s + MAX_SESSION_S))
        if not now_s + MIN_SESSION_S <= expires_s <= now_s + MAX_SESSION_S:
            raise ApiError(
                400,
                "The `expires_at` timestamp must be 30 minutes to 24 hours from now.",
                param="expires_at",
            )
        session_id = self._id("cs_test")
        session = {
            "id": session_id,
            "object": "checkout.session",
            "mode": form["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "amount_total": total,
            "currency": currency,
            "client_reference_id": form.get("client_reference_id"),
            "metadata": form.get("metadata", {}),
            "locale": form.get("locale"),
            "expires_at": expires_s,
            "success_url": form["success_url"],
            "cancel_url": form.get("cancel_url"),
            "url": f"{self.url}/pay/{session_id}",
            "_intent_metadata": form.get("payment_intent_data", {}).get("metadata", {}),
            "_form": form,
        }
        self.sessions[session_id] = session
        return _public(session)

    def _get_session(self, request: web.Request, _: Object) -> Object:
        return _public(self._current(request.match_info["id"]))

    def _expire_session(self, request: web.Request, _: Object) -> Object:
        session = self._current(request.match_info["id"])
        if session["status"] != "open":
            raise ApiError(
                400,
                'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of `{session['status']}`.",
            )
        self.time_out(session["id"])
        return _public(session)

    def _create_refund(self, _: web.Request, form: Object) -> Object:
        intent = form.get("payment_intent", "")
        if intent not in self.charges:
            raise ApiError(
                404, f"No such payment_intent: '{intent}'", code="resource_missing", param="intent"
            )
        amount = int(form.get("amount", self.charges[intent]["amount_captured"]))
        return self._refund(intent, amount, form.get("metadata", {}))

    def _refund(self, intent: str, amount: int, metadata: Object) -> Object:
        charge = self.charges[intent]
        left = charge["amount_captured"] - charge["amount_refunded"]
        if left <= 0:
            raise ApiError(
                400,
                f"Charge {charge['id']} has already been refunded.",
                code="charge_already_refunded",
            )
        if not 0 < amount <= left:
            raise ApiError(
                400,
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        _check_amount(amount, charge["currency"])
        refund = {
            "id": self._id("re"),
            "object": "refund",
            "amount": amount,
            "currency": charge["currency"],
            "charge": charge["id"],
            "payment_intent": intent,
            "status": self.refund_status,
            "metadata": metadata,
        }
        self.refunds[refund["id"]] = refund
        charge["amount_refunded"] += amount
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        return dict(refund)

    def _list_refunds(self, request: web.Request, _: Object) -> Object:
        intent = request.query.get("payment_intent")
        found = [one for one in self.refunds.values() if one["payment_intent"] == intent]
        limit = int(request.query.get("limit", "10"))
        return {
            "object": "list",
            "url": "/v1/refunds",
            "data": [dict(one) for one in reversed(found)][:limit],
            "has_more": len(found) > limit,
        }

    def _current(self, session_id: str) -> Object:
        """The session, timed out if its expiry has passed."""
        if session_id not in self.sessions:
            raise ApiError(
                404, f"No such checkout.session: '{session_id}'", code="resource_missing"
            )
        if self.sessions[session_id]["expires_at"] <= self.now_s():
            self.time_out(session_id)
        return self.sessions[session_id]

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):08d}"

    # The payment page.

    async def _pay_page(self, request: web.Request) -> web.Response:
        session_id = request.match_info["id"]
        if session_id not in self.sessions:
            return web.Response(status=404, text="No such payment page.")
        session = self._current(session_id)
        if session["status"] != "open":
            body = f"<p id='status'>This page is {session['status']}.</p>"
        else:
            total = f"{session['amount_total']} {session['currency'].upper()}"
            body = (
                f"<p>Fake Stripe. No money moves. To pay, in Stripe's units: <b>{total}</b></p>"
                + "".join(
                    f"<form method='post' action='/pay/{session_id}/{choice}'>"
                    f"<button id='{choice}'>{label}</button></form>"
                    for choice, label in (("pay", "Pay"), ("cancel", "Cancel"))
                )
            )
        names = "".join(
            f"<li>{line['quantity']} × {html.escape(line['price_data']['product_data']['name'])}"
            for line in session["_form"]["line_items"].values()
        )
        head = "<meta charset=utf-8><link rel=icon href='data:,'><title>Fake Stripe</title>"
        page = f"<!doctype html>{head}<ul>{names}</ul>"
        return web.Response(text=page + body, content_type="text/html")

    async def _pay_choice(self, request: web.Request) -> web.Response:
        session = self._current(request.match_info["id"])
        if session["status"] == "open" and request.match_info["choice"] == "pay":
            self.pay(session["id"])
            target = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        elif request.match_info["choice"] == "cancel" and session["cancel_url"]:
            target = session["cancel_url"]
        else:
            target = f"/pay/{session['id']}"
        raise web.HTTPSeeOther(target)


def _public(thing: Object) -> Object:
    return {name: value for name, value in thing.items() if not name.startswith("_")}


def _unflattened(text: str) -> Object:
    """`a[b][0][c]=d` as nested dicts; a list's indices stay its keys."""
    values: Object = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        inner = values
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return values


def _total(lines: Object) -> tuple[str, int]:
    total, currencies = 0, set()
    for line in lines.values():
        price = line["price_data"]
        for amount in (price["unit_amount"], line["quantity"]):
            if not amount.isdecimal():
                raise ApiError(400, f"Invalid integer: {amount}", code="parameter_invalid_integer")
        _check_amount(int(price["unit_amount"]), price["currency"])
        total += int(price["unit_amount"]) * int(line["quantity"])
        currencies.add(price["currency"])
    if len(currencies) != 1:
        raise ApiError(400, "All line items must have one currency.")
    if total < MIN_CHARGE:
        raise ApiError(400, "The total is below the minimum charge.", code="amount_too_small")
    return currencies.pop(), total


def _check_amount(amount: int, currency: str) -> None:
    if re.fullmatch("[a-z]{3}", currency) is None:
        raise ApiError(400, f"Invalid currency: {currency}", param="currency")
    step = {"isk": 100, "ugx": 100, "bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10}
    if amount % step.get(currency, 1):
        raise ApiError(
            400,
            f"Invalid amount {amount} for {currency}.",
            code="invalid_charge_amount_no_decimal_compatible",
        )


async def _serve(arguments: argparse.Namespace) -> None:
    async with FakeStripe(
        webhook_url=arguments.webhook_url,
        api_key=arguments.api_key,
        webhook_secret=arguments.webhook_secret,
        port=arguments.port,
    ) as server:
        reader = server.terminal.add_reader()
        print(f"card reader {reader}, fake Stripe at {server.url}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.stripe_server")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--webhook-url")
    parser.add_argument("--api-key", default="sk_test_fake")
    parser.add_argument("--webhook-secret", default="whsec_fake")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
