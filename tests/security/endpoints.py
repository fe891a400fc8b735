"""Every route and every websocket frame, and who may use it: the one table of rights.

A new route or frame needs a row here, or `test_endpoints.py` fails. A row says, by hand and not
by asking the code, who is let through. To add one:

    Endpoint("GET", "/api/performances/{performance}/inside", STAFF_AT_DOORS),

`body` is one that has the right shape, so that what decides is who asks; `fill` replaces what
stands for a name of the path (see `World.names` in test_endpoints.py).
"""

from typing import Any, Final, Literal, NamedTuple

OPERATORS: Final = ("admin", "supervisor", "cashier", "refund", "door", "report", "reseller")
EVERYBODY: Final = frozenset({"nobody", "buyer", "device", *OPERATORS})
ANY_TOKEN: Final = EVERYBODY - {"nobody"}
ANY_OPERATOR: Final = frozenset(OPERATORS)
SELLERS: Final = frozenset({"admin", "supervisor", "cashier"})
SALES: Final = SELLERS | {"refund"}
SUPERVISING: Final = frozenset({"admin", "supervisor"})
ADMIN: Final = frozenset({"admin"})
RESELLER: Final = frozenset({"reseller"})
BOOKS: Final = frozenset({"admin", "report"})
LISTS: Final = frozenset({"admin", "supervisor", "report"})
STAFF_AT_DOORS: Final = frozenset({"admin", "supervisor", "door", "device"})

Token = Literal["ignored", "optional", "needed"]


class Endpoint(NamedTuple):
    """One route, for one kind of request.

    `token` says what a token that is no good leads to: where it is "ignored" to the answer of
    nobody, else to 401.
    """

    method: str
    path: str
    may: frozenset[str]
    body: Any = None
    token: Token = "needed"
    fill: tuple[tuple[str, str], ...] = ()
    query: str = ""
    case: str = ""


SETTINGS: Final = {
    "currency": "EUR",
    "price_types": [{"id": "adult", "names": {"en": "Adult"}}],
    "prices": [{"category": 0, "price_type": "adult", "amount": 2000}],
}
LOOK: Final = {"name": "House", "time_zone": "Europe/Paris", "languages": ["fr"]}
_PAY_BY_CARD: Final = {"method": "test_card", "attempt": "1"}
_PAY_IN_CASH: Final = {"method": "cash", "attempt": "1", "given": 100_000}
_QUOTE: Final = {"baskets": [{"performance": 1, "lines": [[0, -1, "adult", 1]]}]}
_EXCHANGE: Final = {
    "id": "1", "lines": [1],
    "basket": {"performance": 1, "token": "0" * 32, "lines": [[0, -1, "adult", 1]]},
}  # fmt: skip
_PERFORMANCE: Final = {"production": 1, "plan": "0" * 64, "starts_ms": 0, "settings": SETTINGS}
_PROGRAMME: Final = {"id": "0" * 32, "fingerprint": "0" * 64, "programme": {"productions": []}}
_OPERATORS_AT_DOORS: Final = STAFF_AT_DOORS - {"device"}
_ROOM: Final = {"opens_ms": 1, "on_sale_ms": 2**50}

ENDPOINTS: Final = (
    # What anybody may see
    Endpoint("GET", "/", EVERYBODY, token="ignored"),
    Endpoint("GET", "/p/{performance}", EVERYBODY, token="ignored"),
    Endpoint("GET", "/o/{order}", EVERYBODY, token="ignored"),
    Endpoint("GET", "/scan", EVERYBODY, token="ignored"),
    Endpoint("GET", "/scan-worker.js", EVERYBODY, token="ignored"),
    Endpoint("GET", "/static/{name}", EVERYBODY, token="ignored"),
    Endpoint("GET", "/healthz", EVERYBODY, token="ignored"),
    Endpoint("GET", "/readyz", EVERYBODY, token="ignored"),
    Endpoint("GET", "/metrics", EVERYBODY, token="ignored"),
    Endpoint("GET", "/ws", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/openapi.json", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/asyncapi.json", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/house", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/messages/{language}", EVERYBODY, token="ignored"),
    Endpoint("POST", "/api/session", EVERYBODY, {}, token="ignored"),
    Endpoint("GET", "/api/performances", EVERYBODY, token="optional"),
    Endpoint("GET", "/api/performances/{performance}", EVERYBODY, token="optional"),
    Endpoint("GET", "/api/performances/{performance}/queue", EVERYBODY, token="optional"),
    Endpoint("GET", "/api/performances/{performance}/queue/log", EVERYBODY, token="optional"),
    Endpoint("GET", "/api/plans/{hash}", EVERYBODY, token="ignored"),
    Endpoint("POST", "/api/login", EVERYBODY, {"name": "ada", "password": "correct horse"},
             token="ignored"),
    # By its own signature, which is checked in test_objects.py
    Endpoint("POST", "/api/stripe/webhook", EVERYBODY, {}, token="ignored"),
    # An order's id, 32 random digits, is the key to its page
    Endpoint("POST", "/api/orders", SELLERS | RESELLER | {"buyer"},
             {"id": "f" * 32, "baskets": []}),
    Endpoint("POST", "/api/orders", SELLERS,
             {"id": "f" * 32, "baskets": [], "channel": "phone"}, case="by phone"),
    Endpoint("POST", "/api/quote", SELLERS | RESELLER | {"buyer"}, _QUOTE),
    Endpoint("POST", "/api/quote", SELLERS, _QUOTE | {"channel": "phone"}, case="by phone"),
    Endpoint("GET", "/api/orders/{order}", EVERYBODY, token="ignored"),
    Endpoint("POST", "/api/orders/{order}/pay", EVERYBODY, _PAY_BY_CARD, token="ignored"),
    Endpoint("POST", "/api/orders/{order}/pay", SELLERS, _PAY_IN_CASH, case="in cash"),
    Endpoint("POST", "/api/orders/{order}/reserve", SELLERS | {"buyer"}, {"kind": "on_site"}),
    Endpoint("POST", "/api/orders/{order}/reserve", SELLERS, {"kind": "pick_up"},
             case="by phone"),
    Endpoint("POST", "/api/orders/{order}/stop", SELLERS, {"attempt": "a"}),
    Endpoint("POST", "/api/orders/{order}/approve", SUPERVISING, {}),
    Endpoint("POST", "/api/orders/{order}/cancel", EVERYBODY, {}, token="ignored"),
    Endpoint("POST", "/api/orders/{order}/cancel", SELLERS, {}, case="of a till",
             fill=(("order", "{till_order}"),)),
    Endpoint("GET", "/api/orders/{order}/tickets.pdf", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/orders/{order}/gift-cards.pdf", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/orders/{order}/receipt.pdf", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/orders/{order}/papers", EVERYBODY, token="ignored"),
    Endpoint("GET", "/api/orders/{order}/papers/{paper}", EVERYBODY, token="ignored"),
    Endpoint("POST", "/api/orders/{order}/invoice", EVERYBODY, {}, token="ignored"),
    # One's own sales, and a reseller's, are in test_objects.py
    Endpoint("POST", "/api/orders/{order}/refund", ADMIN, {"id": "1"}, case="of others"),
    Endpoint("POST", "/api/orders/{order}/reissue", SELLERS, {"id": "1"}),
    Endpoint("POST", "/api/orders/{order}/exchange", SELLERS | {"buyer"}, _EXCHANGE),
    # One's own sales, or an admin; in test_objects.py
    Endpoint("POST", "/api/orders/{order}/undo", ADMIN, {"id": "1"}, case="of others"),
    Endpoint("POST", "/api/orders/{order}/print", SELLERS, {"id": "1"}),
    Endpoint("POST", "/api/orders/{order}/return", EVERYBODY, {"id": "1", "lines": [1]},
             token="ignored"),
    # Operators and devices
    Endpoint("POST", "/api/logout", ANY_OPERATOR, {}),
    Endpoint("GET", "/api/me", ANY_TOKEN),
    Endpoint("GET", "/api/sales", SALES | RESELLER),
    Endpoint("GET", "/api/ticket-list", LISTS),
    Endpoint("GET", "/api/ticket-list/totals", LISTS),
    Endpoint("GET", "/api/ticket-list/export", LISTS),
    Endpoint("GET", "/api/tickets", ANY_OPERATOR - RESELLER | {"device"}, query="performance=1"),
    Endpoint("GET", "/api/status", SUPERVISING),
    Endpoint("GET", "/api/performances/{performance}/journal", SUPERVISING),
    # What is kept
    Endpoint("GET", "/api/performances/{performance}/allocations", SELLERS | RESELLER),
    Endpoint("POST", "/api/performances/{performance}/allocations", SUPERVISING,
             {"name": "press", "channels": ["phone"], "seats": [1]}),
    Endpoint("POST", "/api/performances/{performance}/allocations/release", SUPERVISING,
             {"name": "press"}),
    Endpoint("GET", "/api/performances/{performance}/quotas", SELLERS),
    # The tills: those of others are in tests/gateway/test_http_tills.py
    Endpoint("GET", "/api/tills", SALES | {"report"}),
    Endpoint("POST", "/api/tills", SALES,
             {"id": "f" * 32, "till": "Till 1", "currency": "EUR"}),
    Endpoint("GET", "/api/tills/mine", SALES),
    Endpoint("GET", "/api/tills/{till}", SUPERVISING | {"report"}, case="of another"),
    Endpoint("GET", "/api/tills/{till}/report.pdf", SUPERVISING | {"report"}, case="of another"),
    Endpoint("POST", "/api/tills/{till}/entries", SUPERVISING,
             {"id": "1", "kind": "in", "amount": 100, "reason": "change"}, case="of another"),
    Endpoint("POST", "/api/tills/{till}/close", SUPERVISING, {"id": "1"}, case="of another"),
    Endpoint("GET", "/api/readers", SELLERS),
    Endpoint("PUT", "/api/readers/{reader}", SUPERVISING, {"tills": []}),
    Endpoint("POST", "/api/readers/{reader}/present", SUPERVISING, {}),
    # Cancelled performances
    Endpoint("GET", "/api/performances/{performance}/cancellation/preview", SUPERVISING),
    Endpoint("GET", "/api/performances/{performance}/cancellation", SUPERVISING),
    Endpoint("GET", "/api/performances/{performance}/cancellation/orders", SUPERVISING),
    Endpoint("POST", "/api/performances/{performance}/cancellation", ADMIN, {"reason": "ill"}),
    # The doors
    Endpoint("GET", "/api/performances/{performance}/inside", STAFF_AT_DOORS),
    Endpoint("GET", "/api/performances/{performance}/conflicts", _OPERATORS_AT_DOORS),
    Endpoint("GET", "/api/performances/{performance}/guests", _OPERATORS_AT_DOORS | {"cashier"}),
    Endpoint("POST", "/api/performances/{performance}/mark", _OPERATORS_AT_DOORS, {"tickets": [1]}),
    Endpoint("GET", "/api/performances/{performance}/door-list", STAFF_AT_DOORS),
    # By its code, which is checked in tests/gateway/test_http_devices.py
    Endpoint("POST", "/api/enrol", EVERYBODY, {"token": "e.unknown"}, token="ignored"),
    # The books
    Endpoint("GET", "/api/ledger/records", BOOKS),
    Endpoint("GET", "/api/ledger/periods", BOOKS),
    Endpoint("GET", "/api/ledger/periods/{period}/export", BOOKS),
    Endpoint("POST", "/api/ledger/close", ADMIN, {}),
    Endpoint("GET", "/api/ledger/journals", BOOKS),
    Endpoint("GET", "/api/ledger/journals/{performance}", BOOKS),
    Endpoint("GET", "/api/papers", BOOKS),
    Endpoint("GET", "/api/papers/{paper}", BOOKS),
    Endpoint("GET", "/api/settlement", BOOKS, query="from=2026-11-20&to=2026-11-21"),
    Endpoint("POST", "/api/settlements", ADMIN,
             {"from_day": "2026-11-20", "to_day": "2026-11-21"}),
    # Mails
    Endpoint("GET", "/api/credits/{code}", SELLERS),
    Endpoint("GET", "/api/mails", SELLERS),
    Endpoint("GET", "/api/mails/{mail}", SELLERS),
    Endpoint("POST", "/api/mails/{mail}/retry", SELLERS, {}),
    Endpoint("POST", "/api/orders/{order}/mail", SELLERS, {"id": "1"}),
    # Setting a house up
    Endpoint("PUT", "/api/house", ADMIN, LOOK),
    Endpoint("GET", "/api/plans", SUPERVISING),
    Endpoint("POST", "/api/plans", ADMIN, {}),
    Endpoint("GET", "/api/productions", SUPERVISING),
    Endpoint("GET", "/api/programme", SUPERVISING),
    Endpoint("POST", "/api/programme/named", SUPERVISING, {"keys": ["hamlet"]}),
    Endpoint("POST", "/api/programme", ADMIN, _PROGRAMME),
    Endpoint("POST", "/api/productions", ADMIN, {"titles": {"en": "X"}, "currency": "EUR"}),
    Endpoint("POST", "/api/performances", ADMIN, _PERFORMANCE),
    Endpoint("GET", "/api/performances/{performance}/settings", SUPERVISING),
    Endpoint("PUT", "/api/performances/{performance}/settings", SUPERVISING, SETTINGS),
    Endpoint("POST", "/api/performances/{performance}/queue", SUPERVISING, _ROOM),
    Endpoint("DELETE", "/api/performances/{performance}/queue", SUPERVISING),
    Endpoint("GET", "/api/operators", ADMIN),
    Endpoint("POST", "/api/operators", ADMIN,
             {"name": "Eve", "password": "correct horse", "roles": ["admin"]}),
    Endpoint("DELETE", "/api/operators/{operator}", ADMIN),
    Endpoint("GET", "/api/devices", SUPERVISING),
    Endpoint("POST", "/api/devices", SUPERVISING, {"name": "Eve's telephone"}),
    Endpoint("POST", "/api/devices/{device}/enrolment", SUPERVISING, {}),
    Endpoint("DELETE", "/api/devices/{device}", SUPERVISING),
    Endpoint("GET", "/api/audit", ADMIN),
)  # fmt: skip

_ID: Final = b"i" * 16
_TOKEN: Final = b"t" * 16
_TILLS: Final = SELLERS
_HOLDERS: Final = SELLERS | RESELLER | {"buyer"}
_DOORS: Final = STAFF_AT_DOORS


class Frame(NamedTuple):
    """A client's frame, one that is right, and who may send it."""

    example: tuple[Any, ...]
    may: frozenset[str]


FRAMES: Final = (
    Frame(("ping", 1), ANY_TOKEN),
    Frame(("watch", 1), ANY_TOKEN),
    Frame(("unwatch", 1), ANY_TOKEN),
    Frame(("hold", _ID, 1, _TOKEN, [1]), _HOLDERS),
    Frame(("best", _ID, 1, _TOKEN, 1), _HOLDERS),
    Frame(("release", _ID, 1, _TOKEN), _HOLDERS),
    Frame(("basket", _ID, 1, _TOKEN), _HOLDERS),
    Frame(("buy", _ID, [[1, _TOKEN, [[1, -1, "adult", 1]]]], 100_000), _TILLS),
    Frame(("block", _ID, 1, [1]), _TILLS),
    Frame(("unblock", _ID, 1, [1]), _TILLS),
    Frame(("scan", _ID, 1, "ST1"), _DOORS),
    Frame(("undo_scan", _ID, 1, 1), _DOORS),
    Frame(("kept_scan", _ID, 1, "ST1", "", "admit", 1, 1, "ADMITTED"), _DOORS),
    Frame(("queue", 1), frozenset({"buyer"})),
)
"""All but "hello", which is for everybody and comes first."""
