"""A buyer bot and a scanner, written from docs/protocol.md and from nothing else of ours.

Needs `msgpack` and `websockets`; the rest is the standard library. Blocking on
purpose: short scripts are what people write first. Tests run them in threads,
against the gateway over fakes and against the real thing. The section names in
brackets are those of the page.
"""

import contextlib
import json
import secrets
import time
import urllib.error
import urllib.request
from typing import Any

import msgpack
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

AVAILABLE, HELD, SOLD, BLOCKED = range(4)


class Refused(Exception):
    """The server said no: problem+json over HTTP [Errors], or an error frame."""

    def __init__(self, code: str, detail: str = "", document: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.document = document or {}


class Api:
    """The HTTP side [HTTP]."""

    def __init__(self, base: str, token: str = "") -> None:
        self.base = base
        self.token = token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self.fetch(method, path, body))

    def fetch(self, method: str, path: str, body: Any = None, patience_s: float = 30.0) -> bytes:
        """The body of an answer; 503 and no answer at all are asked again."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return self._once(method, path, body)
            except Refused as refused:
                if refused.document.get("status") != 503 or time.monotonic() > deadline:
                    raise
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _once(self, method: str, path: str, body: Any) -> bytes:
        request = urllib.request.Request(self.base + path, method=method)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, data, timeout=10) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                document = json.loads(error.read())
            raise Refused(document["code"], document["detail"], document) from None


class Picture:
    """The seats of one performance, kept by feed frames [The seat feed]."""

    def __init__(self, seats: int, areas: int) -> None:
        self.epoch = self.seq = 0
        self.statuses = [AVAILABLE] * seats
        self.areas = [0] * areas

    def apply(self, frame: list[Any]) -> bool:
        """Take a frame; False for a gap, after which one watches again."""
        if frame[0] == "snapshot":
            _, _, epoch, seq, packed, areas = frame
            if (epoch, seq) >= (self.epoch, self.seq):
                self.epoch, self.seq, self.areas = epoch, seq, areas
                self.statuses = [
                    packed[seat // 4] >> 2 * (seat % 4) & 3 for seat in range(len(self.statuses))
                ]
            return True
        _, _, epoch, from_seq, seq, packed, areas = frame
        if epoch < self.epoch or (epoch == self.epoch and seq <= self.seq):
            return True
        if epoch > self.epoch or from_seq > self.seq:
            return False
        for at in range(0, len(packed), 4):
            word = int.from_bytes(packed[at : at + 4], "little")
            self.statuses[word >> 2] = word & 3
        for area, left in areas:
            self.areas[area] = left
        self.seq = seq
        return True

    def free(self) -> list[int]:
        return [seat for seat, status in enumerate(self.statuses) if status == AVAILABLE]


class Link:
    """The websocket [The websocket]: says hello, asks until answered, comes back after a loss."""

    def __init__(self, base: str, token: str, patience_s: float = 30.0) -> None:
        self.address = base.replace("http", "ws", 1) + "/ws"
        self.token = token
        self.patience_s = patience_s
        self.pictures: dict[int, Picture] = {}
        self.lost: list[tuple[int, bytes]] = []
        self.reconnects = -1
        self.may: list[str] = []
        self._socket: Any = None
        self._scope = contextlib.ExitStack()

    def __enter__(self) -> "Link":
        self.open(time.monotonic() + self.patience_s)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._scope.close()

    def open(self, deadline: float) -> None:
        """Connect, say hello, watch again from where each picture stands [Reconnecting]."""
        pause = 0.05
        while True:
            try:
                self.close()
                self._socket = self._scope.enter_context(
                    connect(self.address, compression=None, max_size=None)
                )
                self._send(["hello", self.token, "en"])
                frame = msgpack.unpackb(self._socket.recv(timeout=10))
                if frame[0] == "error":
                    raise Refused(frame[1], frame[2])
                self.may = frame[3]
                for performance, picture in self.pictures.items():
                    self._send(["watch", performance, picture.epoch, picture.seq])
                self.reconnects += 1
                return
            except (OSError, ConnectionClosed, InvalidStatus, TimeoutError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(1.0, 2 * pause)

    def watch(self, performance: int, seats: int, areas: int = 0) -> Picture:
        """The picture, from its first snapshot on."""
        picture = self.pictures.setdefault(performance, Picture(seats, areas))
        self._send(["watch", performance, picture.epoch, picture.seq])
        deadline = time.monotonic() + self.patience_s
        while picture.epoch == 0:
            self.listen(deadline)
        return picture

    def ask(self, kind: str, *rest: Any, id: bytes = b"") -> list[Any]:
        """The outcome of a command, however often it has to be sent: always with the same id."""
        frame = [kind, id or secrets.token_bytes(16), *rest]
        deadline = time.monotonic() + self.patience_s
        self._send(frame)
        connection = self.reconnects
        while True:
            told = self.listen(deadline)
            if connection != self.reconnects:
                connection = self.reconnects
                self._send(frame)
            if told is None or len(told) < 2:
                continue
            if told[0] == "reply" and told[1] == frame[1]:
                outcome: list[Any] = told[2]
                if outcome[:2] != ["refused", "busy"] or time.monotonic() > deadline:
                    return outcome
                # A refusal is final for its id, and changed nothing: a new one is safe.
                time.sleep(0.1)
                frame[1] = secrets.token_bytes(16)
                self._send(frame)
            elif told[0] == "shed" and told[1] == frame[1]:
                time.sleep(told[3] / 1000)
                self._send(frame)
            elif told[0] == "error" and told[3] in (frame[1], b""):
                raise Refused(told[1], told[2])

    def listen(self, deadline: float, most_s: float = 10.0) -> list[Any] | None:
        """The next frame, feed and losses of holds noted; None after a reconnection or silence."""
        try:
            data = self._socket.recv(timeout=max(0.01, min(most_s, deadline - time.monotonic())))
        except TimeoutError:
            if time.monotonic() > deadline:
                raise
            return None
        except ConnectionClosed:
            self.open(deadline)
            return None
        frame: list[Any] = msgpack.unpackb(data)
        if frame[0] in ("snapshot", "delta"):
            picture = self.pictures.get(frame[1])
            if picture is not None and not picture.apply(frame):
                self._send(["watch", frame[1], picture.epoch, picture.seq])
        elif frame[0] == "lost":
            self.lost.append((frame[1], frame[2]))
        return frame

    def listen_for(self, seconds: float) -> None:
        """Keep the pictures up to date for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.listen(time.monotonic() + self.patience_s, left)

    def _send(self, frame: list[Any]) -> None:
        try:
            self._socket.send(msgpack.packb(frame))
        except ConnectionClosed:
            self.open(time.monotonic() + self.patience_s)
            self._socket.send(msgpack.packb(frame))


class Buyer:
    """Buys seats as a page does: session, watch, hold, order, pay, tickets."""

    def __init__(self, base: str, performance: int) -> None:
        self.api = Api(base)
        self.api.token = self.api.call("POST", "/api/session")["token"]
        self.performance = performance
        self.details = self.api.call("GET", f"/api/performances/{performance}")
        self.plan = self.api.call("GET", f"/api/plans/{self.details['plan']}")
        self.link = Link(base, self.api.token)
        self.token = secrets.token_bytes(16)

    def __enter__(self) -> "Buyer":
        self.link.__enter__()
        self.picture = self.link.watch(
            self.performance, len(self.plan["x"]), len(self.plan["areas"])
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def hold(self, *seats: int) -> list[Any]:
        return self.link.ask("hold", self.performance, self.token, list(seats), [])

    def best(self, size: int) -> list[Any]:
        return self.link.ask("best", self.performance, self.token, size)

    def basket(self) -> list[Any]:
        return self.link.ask("basket", self.performance, self.token)

    def release(self, *seats: int) -> list[Any]:
        return self.link.ask("release", self.performance, self.token, list(seats), [])

    def price_type(self, seat: int) -> str:
        """The first price type that is sold for a seat's category."""
        category = self.plan["category"][seat]
        on_sale = [kind["id"] for kind in self.details["price_types"]]
        return next(
            kind
            for kind in on_sale
            for place, name, _ in self.details["prices"]
            if (place, name) == (category, kind)
        )

    def place(self) -> dict[str, Any]:
        """An order for everything in the basket."""
        _, _, seats, areas, *_ = self.basket()
        lines = [[seat, -1, self.price_type(seat), 1] for seat in seats]
        assert not areas, "this bot buys seats only"
        order: dict[str, Any] = self.api.call(
            "POST",
            "/api/orders",
            {
                "id": secrets.token_hex(16),
                "baskets": [
                    {"performance": self.performance, "token": self.token.hex(), "lines": lines}
                ],
                "buyer": {"name": "Bot", "email": "bot@example.org", "language": "en"},
            },
        )
        return order

    def pay(self, order: dict[str, Any], attempt: str = "1") -> dict[str, Any]:
        answer = self.api.call(
            "POST",
            f"/api/orders/{order['id']}/pay",
            {"method": "test_card", "attempt": attempt},
        )
        paid: dict[str, Any] = answer["order"]
        return paid

    def tickets(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        seen = self.api.call("GET", f"/api/orders/{order['id']}")
        found: list[dict[str, Any]] = seen["tickets"]
        return found

    def tickets_pdf(self, order: dict[str, Any]) -> bytes:
        return self.api.fetch("GET", f"/api/orders/{order['id']}/tickets.pdf?lang=en")


class Scanner:
    """Scans tickets at a door."""

    def __init__(self, base: str, token: str, performance: int, gate: str = "") -> None:
        self.link = Link(base, token)
        self.performance = performance
        self.gate = gate

    def __enter__(self) -> "Scanner":
        self.link.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def scan(self, secret: str, mode: str = "admit") -> dict[str, Any]:
        """What the door says of a text, by the names of the page."""
        names = ("result", "ticket", "seat", "area", "price_type", "order", "used_at_ms")
        outcome = self.link.ask("scan", self.performance, secret, self.gate, mode)
        assert outcome[0] == "scanned", outcome
        return dict(zip((*names, "used_gate"), outcome[1:], strict=False))

    def look_up(self, secret: str) -> dict[str, Any]:
        return self.scan(secret, "look_up")
