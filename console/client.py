"""The server's HTTP side, as a till and a scanner need it.

Owns the requests, what their failures mean, and which of them may be sent
twice. Knows no widget and no websocket (`console.link` is that). Standard
library only: the console starts in under a second.

    ClientError
    ├── Unreachable      no answer: wrong address, server stopped, network lost
    └── Problem          an answer that says no (RFC 9457), with its stable `code`
"""

import asyncio
import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from console.programme import Performance
from console.seating import PlanColumns
from console.trust import fingerprint_of, shown_by, trusting
from engine.commands import Channel
from engine.credit import CreditView
from engine.door_list import DoorList
from engine.journal import JournalCheck, Page
from engine.ledger import Head, Record
from engine.ledger_periods import Closed
from engine.mails import MailRow
from engine.orders import Order, OrderHold, PlaceOrder
from engine.papers import PaperRow
from engine.payments import CardReader
from engine.settlement import Settlement
from engine.tills import AddEntry, CloseTill, OpenTill, TillReport, TillSession

T = TypeVar("T")

DEFAULT_SERVER: Final = "http://127.0.0.1:8000"
TIMEOUT_S: Final = 10.0
"""Longest wait for one answer."""
RETRY_WAITS_S: Final = (0.2, 0.5, 1.0, 2.0)
"""Waits before a request that is safe to repeat is sent again after no answer."""
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
DOWNLOAD_BYTES: Final = 256 * 1024
"""Read and written at once of a file of any size."""


class ClientError(Exception):
    """A request that did not succeed."""


class Unreachable(ClientError):
    """No answer from `server`; `reason` is the system's own word for it."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server}: {reason}")
        self.server = server
        self.reason = reason


class Problem(ClientError):
    """The server refused. `seats` and `performance` are set where a seat was the cause."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        seats: Sequence[int] = (),
        performance: int = -1,
    ) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
        self.seats = tuple(seats)
        self.performance = performance

    @property
    def refused(self) -> bool:
        """The server decided, and did nothing; otherwise nobody knows, and one asks again."""
        return self.status < 500


class Operator(msgspec.Struct, frozen=True):
    """Who logged in."""

    name: str
    roles: tuple[str, ...]
    language: str = ""


class LoggedIn(msgspec.Struct, frozen=True):
    token: str
    operator: Operator


class HouseInfo(msgspec.Struct, frozen=True):
    name: str
    time_zone: str
    languages: tuple[str, ...] = ()


class FeeCost(msgspec.Struct, frozen=True):
    fee: str
    names: dict[str, str]
    amount: int


class Cost(msgspec.Struct, frozen=True):
    """What a basket would cost: minor units, `fees` included, but for those of a way to pay."""

    currency: str
    total: int
    fees: tuple[FeeCost, ...]


class RoomInfo(msgspec.Struct, frozen=True):
    """An open waiting room. `available` is -1 while it is not known."""

    phase: str
    opens_ms: int
    on_sale_ms: int
    commitment: str
    arrived: int
    front: int
    available: int


class RecordPage(msgspec.Struct, frozen=True):
    """Records of the ledger, and where it ended in that moment; None: nothing was recorded."""

    head: Head | None
    records: list[Record]


class PeriodPage(msgspec.Struct, frozen=True):
    head: Head | None
    periods: list[Closed]


class ClosedPeriods(msgspec.Struct, frozen=True):
    periods: list[Closed]


class Journals(msgspec.Struct, frozen=True):
    performances: list[int]


class Device(msgspec.Struct, frozen=True):
    """A machine at a door. `enrolment` is told once, to who made it."""

    id: int
    name: str
    gate: str
    performances: tuple[int, ...]
    revoked_ms: int | None = None
    seen_ms: int | None = None
    kept_scans: int = 0
    enrolment: str = ""
    enrolment_expires_ms: int = 0


class Enrolled(msgspec.Struct, frozen=True):
    """What a machine became by the code it was shown."""

    token: str
    name: str
    gate: str
    performances: tuple[int, ...]


class OwnTill(msgspec.Struct, frozen=True):
    """The till session that one has open, None for none; `required` is the house's wish.

    `reader` is the card reader at its till, "" for none.
    """

    required: bool
    report: TillReport | None
    reader: str = ""


class ReaderAt(CardReader, frozen=True):
    """A card reader, and the tills where it stands."""

    tills: tuple[str, ...] = ()


class Paid(msgspec.Struct, frozen=True):
    order: Order


class BadAddress(ClientError):
    """`server` is not something one can connect to."""


def server_address(server: str) -> str:
    """`host:port`, or a URL, as `scheme://host[:port][/path]` without a trailing slash.

    Raises:
        BadAddress: no host, another scheme than http or https, or a port out of range.
    """
    text = server.strip()
    if "://" not in text:
        text = f"http://{text}"
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError as error:
        raise BadAddress(server) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadAddress(server)
    return text.rstrip("/")


class Client:
    """Requests to one server, with a token once logged in. Safe for use by several tasks.

    `certificate` (DER) is believed besides those that the public authorities vouch for.
    """

    def __init__(
        self,
        server: str,
        token: str = "",
        timeout_s: float = TIMEOUT_S,
        retry_waits_s: Sequence[float] = RETRY_WAITS_S,
        certificate: bytes = b"",
    ) -> None:
        self.server = server_address(server)
        self.token = token
        self._timeout_s = timeout_s
        self._retry_waits_s = retry_waits_s
        self._certificate = certificate
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext | None:
        """What verifies the server; None where nothing is encrypted."""
        if self._context is None and self.server.startswith("https:"):
            self._context = trusting(self._certificate)
        return self._context

    def as_another(self, token: str = "") -> "Client":
        """The same server, asked for somebody else, and once only."""
        other = Client(self.server, token, self._timeout_s, (), self._certificate)
        other._context = self._context
        return other

    def as_patient(self, timeout_s: float) -> "Client":
        """The same server and token, for an answer that takes long to begin; asked once."""
        other = self.as_another(self.token)
        other._timeout_s = timeout_s
        return other

    async def download(self, path: str, file: IO[bytes]) -> None:
        """Write what is answered into a file. Raises OSError when that cannot be written."""
        await asyncio.to_thread(self._download, path, file)

    # Who is at the till ------------------------------------------------------

    async def login(self, name: str, password: str) -> Operator:
        """Log in and keep the token. Sent once: a password is not for repeating."""
        body = {"name": name, "password": password}
        answer = _read(await self._once("POST", "/api/login", body), LoggedIn)
        self.token = answer.token
        return answer.operator

    async def logout(self) -> None:
        await self._once("POST", "/api/logout", {})
        self.token = ""

    # What is on --------------------------------------------------------------

    async def house(self) -> HouseInfo:
        return await self.ask(HouseInfo, "GET", "/api/house")

    async def performances(self) -> list[Performance]:
        """Sorted by their start."""
        found = await self.ask(list[Performance], "GET", "/api/performances")
        return sorted(found, key=lambda performance: (performance.starts_ms, performance.id))

    async def performance(self, performance: int) -> Performance:
        return await self.ask(Performance, "GET", f"/api/performances/{performance}")

    async def plan(self, plan: str) -> PlanColumns:
        """The plan of a content hash."""
        return await self.ask(PlanColumns, "GET", f"/api/plans/{quote(plan)}")

    # Waiting rooms -----------------------------------------------------------

    async def open_room(self, performance: int, opens_ms: int, on_sale_ms: int) -> RoomInfo:
        """Announce a waiting room; the same again changes nothing."""
        body = {"opens_ms": opens_ms, "on_sale_ms": on_sale_ms}
        return await self.ask(RoomInfo, "POST", f"/api/performances/{performance}/queue", body)

    async def room(self, performance: int) -> RoomInfo:
        return await self.ask(RoomInfo, "GET", f"/api/performances/{performance}/queue")

    async def close_room(self, performance: int) -> None:
        await self._once("DELETE", f"/api/performances/{performance}/queue", None)

    async def room_log(self, performance: int) -> bytes:
        """The public log, as it was sent."""
        path = f"/api/performances/{performance}/queue/log"
        return await self._persist("GET", path, None, "application/json")

    # Devices -----------------------------------------------------------------
    # What makes something that is shown once is sent once.

    async def devices(self) -> list[Device]:
        """Revoked ones too, newest first."""
        return await self.ask(list[Device], "GET", "/api/devices")

    async def add_device(self, name: str, gate: str, performances: Sequence[int]) -> Device:
        body = {"name": name, "gate": gate, "performances": list(performances)}
        return _read(await self._once("POST", "/api/devices", body), Device)

    async def offer_enrolment(self, device: int) -> Device:
        """Another code for a device that is there."""
        return _read(await self._once("POST", f"/api/devices/{device}/enrolment", {}), Device)

    async def revoke_device(self, device: int) -> None:
        await self._once("DELETE", f"/api/devices/{device}", None)

    async def door_list(self, performance: int, since: int, first: int, kept: int) -> DoorList:
        """What changed at the doors after a seq, tickets from a number on; `kept` are not sent."""
        query = urlencode({"since": since, "first": first, "kept": kept})
        path = f"/api/performances/{performance}/door-list?{query}"
        return await self.ask(DoorList, "GET", path)

    async def enrol(self, enrolment: str) -> Enrolled:
        """Use a code up, and keep the token."""
        answer = _read(await self._once("POST", "/api/enrol", {"token": enrolment}), Enrolled)
        self.token = answer.token
        return answer

    # Orders ------------------------------------------------------------------
    # Every one of these carries an id made and saved by the caller, so that a
    # request whose answer was lost is sent again and counts once.

    async def would_cost(self, order: PlaceOrder) -> Cost:
        """What an order would cost, with its fees; nothing is made of it."""
        baskets = [{"performance": one.performance, "lines": one.lines} for one in order.baskets]
        body: dict[str, Any] = {"baskets": baskets, "delivery": order.delivery.value}
        if order.channel is Channel.PHONE:
            body["channel"] = order.channel.value
        return await self.ask(Cost, "POST", "/api/quote", msgspec.to_builtins(body))

    async def place(self, order: PlaceOrder) -> Order:
        return await self.ask(Order, "POST", "/api/orders", msgspec.to_builtins(order))

    async def order(self, order: str) -> Order:
        return await self.ask(Order, "GET", f"/api/orders/{quote(order)}")

    async def pay(
        self,
        order: str,
        method: str,
        attempt: str,
        given: int | None,
        reference: str,
        amount: int = 0,
    ) -> Order:
        """Record cash (`given` minor units), or what the other methods have as `reference`.

        `amount` is a part of what is due, 0 for all of it.
        """
        body: dict[str, Any] = {"method": method, "attempt": attempt}
        if given is not None:
            body["given"] = given
        if reference:
            body["reference"] = reference
        if amount:
            body["amount"] = amount
        answer = await self.ask(Paid, "POST", f"/api/orders/{quote(order)}/pay", body)
        return answer.order

    async def stop_payment(self, order: str, attempt: str) -> Order:
        """Wait no longer for the card of an attempt; it may turn out to be paid."""
        body = {"attempt": attempt}
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/stop", body)

    async def reserve(self, order: str, kind: str, until_ms: int) -> Order:
        """Keep an order's seats without its money."""
        body = {"kind": kind, "until_ms": until_ms}
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/reserve", body)

    async def approve(self, order: str) -> Order:
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/approve", {})

    async def cancel(self, order: str, exchange: str = "") -> Order:
        """Give up an unpaid order: its hold is open again."""
        which = f"?exchange={quote(exchange)}" if exchange else ""
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/cancel{which}", {})

    async def refund(
        self,
        order: str,
        id: str,
        lines: Sequence[int],
        reason: str,
        amount: int = 0,
        to_credit: bool = False,
        gift_cards: Sequence[int] = (),
    ) -> Order:
        """Refund lines and gift cards by number (none named: all of them), or an amount in minor
        units."""
        body: dict[str, object] = {"id": id, "lines": list(lines), "reason": reason}
        body |= {"amount": amount, "to_credit": to_credit, "gift_cards": list(gift_cards)}
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/refund", body)

    async def credit(self, code: str) -> CreditView:
        """What is left on a credit, and its latest moves."""
        return await self.ask(CreditView, "GET", f"/api/credits/{quote(code)}")

    async def reissue(self, order: str, id: str, lines: Sequence[int]) -> Order:
        """New tickets for lines by number; none named: all of them."""
        body = {"id": id, "lines": list(lines)}
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/reissue", body)

    async def exchange(
        self, order: str, id: str, lines: Sequence[int], hold: OrderHold, fee: int
    ) -> Order:
        """Give lines by number for what `hold` holds; `fee` (minor units) is charged for it."""
        basket = msgspec.to_builtins(hold)
        body = {"id": id, "lines": list(lines), "basket": basket, "fee": fee}
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/exchange", body)

    async def undo(self, order: str, id: str) -> Order:
        """Take back one's own sale, while none of its tickets is printed."""
        return await self.ask(Order, "POST", f"/api/orders/{quote(order)}/undo", {"id": id})

    async def print_tickets(
        self, order: str, id: str, language: str, lines: Sequence[int] = ()
    ) -> bytes:
        """Tickets to be printed: what was before is marked. The same `id` is the same print."""
        path = f"/api/orders/{quote(order)}/print?{urlencode({'lang': language})}"
        body = {"id": id, "lines": list(lines)}
        return await self._persist("POST", path, body, "application/pdf")

    async def tickets_pdf(self, order: str, language: str, lines: Sequence[int] = ()) -> bytes:
        """Those of lines by number; none named: all of them."""
        query = urlencode([("line", line) for line in lines])
        return await self._pdf(f"/api/orders/{quote(order)}/tickets.pdf", language, query)

    async def receipt_pdf(self, order: str, language: str) -> bytes:
        return await self._pdf(f"/api/orders/{quote(order)}/receipt.pdf", language)

    async def invoice(
        self, order: str, language: str, name: str = "", address: Sequence[str] = ()
    ) -> PaperRow:
        """The order's invoice: issued if there is none, for its buyer unless a name is given."""
        path = f"/api/orders/{quote(order)}/invoice?{urlencode({'lang': language})}"
        return await self.ask(PaperRow, "POST", path, {"name": name, "address": list(address)})

    async def papers_of(self, order: str) -> list[PaperRow]:
        """The invoice and the credit notes of an order."""
        return await self.ask(list[PaperRow], "GET", f"/api/orders/{quote(order)}/papers")

    async def paper_pdf(self, order: str, name: str) -> bytes:
        path = f"/api/orders/{quote(order)}/papers/{quote(name)}"
        return await self._persist("GET", path, None, "application/pdf")

    async def sales(self, performance: int, text: str, limit: int, state: str = "") -> list[Order]:
        """Latest orders first, of one performance (or all: -1), matching `text`.

        Where there is no text: those in `state`, one of RESERVED_STATES, or all.
        """
        query = {"limit": str(limit)} | ({"q": text} if text else {})
        query |= {"state": state} if state else {}
        if performance >= 0:
            query["performance"] = str(performance)
        return await self.ask(list[Order], "GET", f"/api/sales?{urlencode(query)}")

    # Settlements -------------------------------------------------------------

    async def settlement(self, from_day: str, to_day: str, performance: int) -> Settlement:
        """What a period comes to; of one performance, or all (0)."""
        content = await self.settlement_file(from_day, to_day, performance, "json", "")
        return _read(content, Settlement)

    async def settlement_file(
        self, from_day: str, to_day: str, performance: int, form: str, language: str
    ) -> bytes:
        query = {"from": from_day, "to": to_day, "performance": performance}
        query |= {"format": form, "lang": language}
        return await self._persist("GET", f"/api/settlement?{urlencode(query)}", None, "*/*")

    async def issue_settlement(self, from_day: str, to_day: str, performance: int) -> PaperRow:
        """Give it its number; the same period again has the same one."""
        body = {"from_day": from_day, "to_day": to_day, "performance": performance}
        return await self.ask(PaperRow, "POST", "/api/settlements", body)

    # Mails -------------------------------------------------------------------

    async def mails(self, order: int, state: str, before: int) -> list[MailRow]:
        """The latest first; of one order's number (0: all) and in one state ("": any)."""
        query = {"order": order, "before": before} | ({"state": state} if state else {})
        return await self.ask(list[MailRow], "GET", f"/api/mails?{urlencode(query)}")

    async def mail(self, mail: int) -> MailRow:
        return await self.ask(MailRow, "GET", f"/api/mails/{mail}")

    async def retry_mail(self, mail: int) -> MailRow:
        """Send one that failed, or waits, now."""
        return await self.ask(MailRow, "POST", f"/api/mails/{mail}/retry", {})

    async def send_tickets(self, order: str, id: str) -> MailRow:
        """The order's tickets once more; the same `id` is the same mail."""
        return await self.ask(MailRow, "POST", f"/api/orders/{quote(order)}/mail", {"id": id})

    # Tills -------------------------------------------------------------------
    # Each command carries its id too; the operator is whoever asks.

    async def own_till(self) -> OwnTill:
        return await self.ask(OwnTill, "GET", "/api/tills/mine")

    async def open_till(self, wanted: OpenTill) -> TillReport:
        return await self.ask(TillReport, "POST", "/api/tills", _command(wanted))

    async def enter_till(self, session: str, wanted: AddEntry) -> TillReport:
        """Move cash in an open session, or count it."""
        path = f"/api/tills/{quote(session)}/entries"
        return await self.ask(TillReport, "POST", path, _command(wanted))

    async def close_till(self, session: str, wanted: CloseTill) -> TillReport:
        path = f"/api/tills/{quote(session)}/close"
        return await self.ask(TillReport, "POST", path, _command(wanted))

    async def till(self, session: str) -> TillReport:
        return await self.ask(TillReport, "GET", f"/api/tills/{quote(session)}")

    async def tills(
        self, *, before: int = 0, open_only: bool = False, limit: int = 50
    ) -> list[TillSession]:
        """The latest first: one's own, or all for whoever supervises."""
        query = urlencode({"before": before, "open": int(open_only), "limit": limit})
        return await self.ask(list[TillSession], "GET", f"/api/tills?{query}")

    async def till_pdf(self, session: str, language: str) -> bytes:
        return await self._pdf(f"/api/tills/{quote(session)}/report.pdf", language)

    # Card readers ------------------------------------------------------------

    async def readers(self) -> list[ReaderAt]:
        return await self.ask(list[ReaderAt], "GET", "/api/readers")

    async def bind_reader(self, reader: str, tills: Sequence[str]) -> None:
        """Say at which tills a reader stands, and at no others."""
        await self.ask(dict[str, Any], "PUT", f"/api/readers/{quote(reader)}", {"tills": [*tills]})

    async def present_card(self, reader: str, number: str) -> None:
        """Present a test card to a simulated reader, "" for one that pays."""
        path = f"/api/readers/{quote(reader)}/present"
        await self.ask(dict[str, Any], "POST", path, {"number": number})

    # Watching ----------------------------------------------------------------

    async def journal(self, performance: int, after_seq: int) -> Page:
        """What was decided after a position, a page of it, undecoded."""
        path = f"/api/performances/{performance}/journal?after={after_seq}"
        content = await self._persist("GET", path, None, "application/msgpack")
        try:
            return msgspec.msgpack.decode(content, type=Page)
        except msgspec.DecodeError as error:
            raise Problem(200, "unexpected", str(error)) from error

    async def status(self, performance: int, kind: type[T]) -> T:
        """The gateway's own figures and the performance's waiting room, read as a `kind`."""
        return await self.ask(kind, "GET", f"/api/status?performance={performance}")

    # The books ---------------------------------------------------------------

    async def ledger_records(self, after: int) -> RecordPage:
        return await self.ask(RecordPage, "GET", f"/api/ledger/records?after={after}")

    async def ledger_periods(self, after: int) -> PeriodPage:
        return await self.ask(PeriodPage, "GET", f"/api/ledger/periods?after={after}")

    async def close_ledger(self, early: bool) -> list[Closed]:
        """What was closed. Repeated, it closes nothing more that is over."""
        body = {"early": early}
        content = await self._once("POST", "/api/ledger/close", body)
        return _read(content, ClosedPeriods).periods

    async def export_ledger(self, period: int, file: IO[bytes]) -> None:
        """Write a period's export into a file. Raises OSError when that cannot be written."""
        await self.download(f"/api/ledger/periods/{period}/export", file)

    async def journals(self, after: int) -> list[int]:
        """The performances after a number that have a journal."""
        path = f"/api/ledger/journals?after={after}"
        return (await self.ask(Journals, "GET", path)).performances

    async def check_journal(self, performance: int, seqs: Sequence[int]) -> JournalCheck:
        query = urlencode([("at", str(seq)) for seq in seqs])
        return await self.ask(JournalCheck, "GET", f"/api/ledger/journals/{performance}?{query}")

    # The wire ----------------------------------------------------------------

    async def get(self, path: str) -> bytes:
        """What this server answers at a path."""
        return await self._persist("GET", path, None, "*/*")

    async def ready(self) -> bool:
        """Whether the server, its database and its directory answer."""
        status, _ = await asyncio.to_thread(self._exchange, "GET", "/readyz", None, "*/*")
        return status == 200

    async def _pdf(self, path: str, language: str, query: str = "") -> bytes:
        address = f"{path}?{urlencode({'lang': language})}&{query}".rstrip("&")
        return await self._persist("GET", address, None, "application/pdf")

    async def ask(self, kind: type[T], method: str, path: str, body: Any = None) -> T:
        """A request that may be repeated; its answer, read as what it should be."""
        return _read(await self._persist(method, path, body, "application/json"), kind)

    async def _persist(self, method: str, path: str, body: Any, accept: str) -> bytes:
        for wait_s in self._retry_waits_s:
            try:
                return await self._once(method, path, body, accept)
            except Unreachable:
                await asyncio.sleep(wait_s)
            except Problem as problem:
                if problem.status != 503:
                    raise
                await asyncio.sleep(wait_s)
        return await self._once(method, path, body, accept)

    async def _once(
        self, method: str, path: str, body: Any, accept: str = "application/json"
    ) -> bytes:
        status, content = await asyncio.to_thread(self._exchange, method, path, body, accept)
        if status >= 400:
            raise _problem(status, content)
        return content

    def _exchange(self, method: str, path: str, body: Any, accept: str) -> tuple[int, bytes]:
        """One request on its own connection, in a thread: no stale keep-alive to guess about."""
        connection, prefix, headers = self._connection(accept)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, prefix + path, content, headers)
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.server, reason_of(error)) from error
        finally:
            connection.close()

    def _download(self, path: str, file: IO[bytes]) -> None:
        connection, prefix, headers = self._connection("*/*")
        try:
            connection.request("GET", prefix + path, None, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _problem(response.status, response.read(MAX_BODY_BYTES))
            while part := response.read(DOWNLOAD_BYTES):
                _keep(file, part)
        except _NotKept as error:
            raise error.why from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.server, reason_of(error)) from error
        finally:
            connection.close()

    def _connection(self, accept: str) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """A new connection, what every path begins with, and what every request says."""
        parts = urlsplit(self.server)
        host = parts.hostname or ""
        connection = (
            http.client.HTTPSConnection(
                host, parts.port, timeout=self._timeout_s, context=self.context
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=self._timeout_s)
        )
        headers: dict[str, str] = {"Accept": accept, "Connection": "close"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return connection, parts.path, headers


class _NotKept(Exception):
    """Our own file could not be written, which is not the server's fault."""

    def __init__(self, why: OSError) -> None:
        self.why = why


def _keep(file: IO[bytes], part: bytes) -> None:
    try:
        file.write(part)
    except OSError as error:
        raise _NotKept(error) from error


def performance_numbers(text: str) -> tuple[int, ...]:
    """Of "12,13"; none of "". Raises ValueError for what is no such list."""
    return tuple([int(one) for one in text.split(",") if one.strip()])


def fingerprint_shown_by(server: str) -> str:
    """Of its certificate; "" for an address without one. Raises Unreachable: it shows none."""
    return fingerprint_of(certificate_of(server)) if server.startswith("https:") else ""


def certificate_of(server: str) -> bytes:
    """The certificate that an https server shows, believed or not, in DER.

    Raises:
        Unreachable: it shows none.
    """
    try:
        return shown_by(server)
    except OSError as error:
        raise Unreachable(server, reason_of(error)) from error


def _command(wanted: OpenTill | AddEntry | CloseTill) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(wanted)
    del body["operator"]
    return body


def _read(content: bytes, kind: type[T]) -> T:
    """Raises Problem where the answer is not what it should be: another server, or a newer one."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise Problem(200, "unexpected", str(error)) from error


def reason_of(error: BaseException) -> str:
    """The system's word for a failed connection, short enough for one line."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror | ssl.SSLError | OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _problem(status: int, content: bytes) -> Problem:
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    if not isinstance(told, Mapping):
        return Problem(status, f"http_{status}", content[:200].decode(errors="replace"))
    return Problem(
        status,
        str(told.get("code") or f"http_{status}"),
        str(told.get("detail") or told.get("title") or ""),
        [seat for seat in told.get("seats", ()) if isinstance(seat, int)],
        told["performance"] if isinstance(told.get("performance"), int) else -1,
    )
