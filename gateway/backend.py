"""What the edge needs from the rest of the house, as typed, fakeable Protocols.

Owns the seam between the gateway and everything behind it: performance actors,
the order desk, and the queries of the database. Knows neither Ray nor SQL: the
wiring hands in real handles, tests hand in `tests.fakes.backend`. Both pass the
same contract tests.

Errors that cross the seam:
    BackendUnavailable   nobody knows whether it happened: ask again, same ids
    PerformanceUnknown   there is no such performance
    SignatureInvalid     a webhook that its sender did not sign
Whatever else a backend raises is a bug, and answered as one (HTTP 500).
"""

from dataclasses import dataclass
from typing import Protocol

from engine.orders import Order, OrderRefused, PlaceOrder


class BackendUnavailable(Exception):  # noqa: N818 - a state of affairs, not a mistake
    """Not reached, or died before it answered. The same call, same ids, may be repeated."""


class PerformanceUnknown(Exception):  # noqa: N818
    """No performance has this number."""


class SignatureInvalid(Exception):  # noqa: N818
    """A webhook's signature does not match its payload, or is too old."""


class Performances(Protocol):
    """The performance actors, found (and activated) by performance number."""

    async def submit(self, performance: int, batch: bytes) -> bytes:
        """Decide and commit a batch.

        `batch` is msgpack list[engine.commands.Command]; the answer is msgpack
        list[engine.commands.Outcome], one per command and in their order.
        Raises PerformanceUnknown, or BackendUnavailable after any failure.
        """
        ...

    async def watch(self, performance: int, epoch: int, seq: int) -> bytes:
        """Long-poll the seat feed from the position (epoch, seq); (0, 0) has nothing yet.

        Answers msgpack [frame, tokens]: `frame` is an encoded feed frame (bytes)
        that continues from the position or starts over, or nil when nothing
        changed for some seconds; `tokens` are holds that ended by expiry since
        the position (a token may be told twice, never not at all).
        Raises PerformanceUnknown, or BackendUnavailable after any failure.
        """
        ...


class Desk(Protocol):
    """The order desk. Every call may be repeated: same arguments, same answer.

    All raise BackendUnavailable; those that name an order answer None, or an
    OrderRefused with code "order_unknown", when there is no such order.
    """

    async def place(self, request: PlaceOrder) -> Order | OrderRefused: ...

    async def get(self, order: str) -> Order | None: ...

    async def pay(
        self,
        order: str,
        method: str,
        attempt: int,
        given: int = 0,
        reference: str = "",
        operator: str = "",
    ) -> tuple[Order, str] | OrderRefused:
        """Take a payment by `method` (an engine.payments.PaymentMethod value).

        `attempt` counts from 1, by the caller: the same attempt is never taken twice; `given`
        is the cash handed over in minor units. Answers the order and the page
        to send the buyer to ("" when there is none).
        """
        ...

    async def cancel(self, order: str) -> Order | OrderRefused:
        """Give up an unpaid order; its holds can change again until they expire."""
        ...

    async def refund(
        self, order: str, refund: str, lines: tuple[int, ...], reason: str, operator: str
    ) -> Order | OrderRefused:
        """Refund these lines (none named: all that are sold). `refund` is the caller-made id."""
        ...

    async def webhook(self, payload: bytes, signature: str) -> None:
        """A Stripe event, as received. Raises SignatureInvalid."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything behind the edge."""

    performances: Performances
    desk: Desk
