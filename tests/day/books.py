"""The books of a day, summed up anew from the raw tables and from what people were told.

Reads the database with SQL of its own, and nothing of the product that reads or adds for it.
"""

import json
from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple

from persistence.embedded import EmbeddedPostgres
from persistence.url import Connection, connect
from tests.day.house import CANCELLED, FLOAT
from tests.day.people import Day

PAID: Final = """
SELECT p.method, p.currency, sum(p.captured) AS came, sum(p.refunded) AS went
FROM payments p GROUP BY 1, 2
"""
WORTH: Final = """
SELECT o.number, o.currency, o.state,
    coalesce((SELECT sum(l.amount) FROM order_lines l
        WHERE l.order_number = o.number AND l.state = 'sold'), 0) AS lines,
    coalesce((SELECT sum((f->>1)::bigint) FROM jsonb_array_elements(o.body->'lines') l,
        jsonb_array_elements(l->'fees') f
        WHERE l->>'state' = 'sold' AND NOT (f->>2)::bool), 0) AS fees,
    coalesce((SELECT sum((c->>'amount')::bigint) FROM jsonb_array_elements(o.body->'charges') c
        WHERE c->>'state' = 'sold' AND NOT (c->>'absorbed')::bool), 0) AS charges,
    coalesce((SELECT sum(p.captured - p.refunded) FROM payments p
        WHERE p.order_number = o.number), 0) AS money
FROM orders o
"""
TICKETS: Final = """
SELECT coalesce(t.performance, l.performance) AS performance,
    coalesce(t.number, l.ticket) AS ticket, t.state, l.state AS line
FROM (SELECT * FROM tickets WHERE state <> 'refunded') t
FULL JOIN (SELECT * FROM order_lines WHERE state IN ('sold', 'reserved')) l
    ON l.performance = t.performance AND l.ticket = t.number
WHERE t.number IS NULL OR l.ticket IS NULL OR (t.state = 'unpaid') <> (l.state = 'reserved')
"""
TWICE: Final = """
SELECT performance, seat, count(*) FROM tickets
WHERE seat >= 0 AND state <> 'refunded' GROUP BY 1, 2 HAVING count(*) > 1
"""
LEDGER: Final = "SELECT kind, method, currency, sum(amount) AS amount FROM ledger GROUP BY 1, 2, 3"
RATES: Final = """
SELECT currency, tax_bp, sum(amount) AS amount, 0 AS booked FROM (
    SELECT o.currency, (l->>'tax_bp')::int AS tax_bp, (l->>'amount')::bigint AS amount
    FROM orders o, jsonb_array_elements(o.body->'lines') l WHERE l->>'state' = 'sold'
    UNION ALL
    SELECT o.currency, (f->>4)::int, (f->>1)::bigint
    FROM orders o, jsonb_array_elements(o.body->'lines') l, jsonb_array_elements(l->'fees') f
    WHERE l->>'state' = 'sold' AND NOT (f->>2)::bool
    UNION ALL
    SELECT o.currency, (c->>'tax_bp')::int, (c->>'amount')::bigint
    FROM orders o, jsonb_array_elements(o.body->'charges') c
    WHERE c->>'state' = 'sold' AND NOT (c->>'absorbed')::bool
        AND c->>'kind' NOT IN ('credit', 'gift_card')
) told GROUP BY 1, 2
UNION ALL
SELECT currency, tax_bp, 0, sum(amount) FROM ledger
WHERE kind IN ('sale', 'refund', 'cancellation', 'fee', 'allowance') GROUP BY 1, 2
"""
CREDITS: Final = """
SELECT c.code, c.balance,
    coalesce((SELECT sum(m.amount) FROM credit_moves m WHERE m.code = c.code), 0) AS moved
FROM credits c
"""
TILLS: Final = "SELECT till, currency, closing FROM till_sessions"
BY_HAND: Final = ("cash", "card_terminal", "cheque", "bank_transfer")
KEPT: Final = ("credit", "gift_card")
AT_STRIPE: Final = ("stripe", "stripe_terminal")
AT_REST: Final = ("paid", "part_refunded", "refunded", "exchanged", "cancelled", "expired",
                  "awaiting_payment")  # fmt: skip


Row = dict[str, Any]


class Tables(NamedTuple):
    """Rows of the day's database, as they are."""

    paid: list[Row]
    worth: list[Row]
    tickets: list[Row]
    twice: list[Row]
    ledger: list[Row]
    credits: list[Row]
    tills: list[Row]
    rates: list[Row]

    @classmethod
    async def read(cls, connection: Connection) -> "Tables":
        queries = (PAID, WORTH, TICKETS, TWICE, LEDGER, CREDITS, TILLS, RATES)
        return cls(*[[dict(row) for row in await connection.fetch(query)] for query in queries])

    @classmethod
    async def of(cls, day: Day) -> "Tables":
        connection = await connect(EmbeddedPostgres(day.house.data).url)
        try:
            return await cls.read(connection)
        finally:
            await connection.close()


def wrong(day: Day, tables: Tables) -> list[str]:
    """Every sum that is not what it should be."""
    return [
        *money_of(tables), *tickets_of(tables), *books_of(tables),
        *_people(day, tables), *_provider(day, tables), *_tills(day, tables), *_rates(tables),
    ]  # fmt: skip


def books_of(tables: Tables) -> list[str]:
    """Where the ledger, or a credit, does not say what the orders say."""
    return [*_ledger(tables), *_credits(tables)]


def money_of(tables: Tables) -> list[str]:
    """Payments less refunds are what tickets, fees and charges are worth, order by order."""
    found = []
    for row in tables.worth:
        worth = row["lines"] + row["fees"] + row["charges"]
        if row["state"] != "awaiting_payment" and worth != row["money"]:
            found.append(f"order {row['number']} ({row['state']}) has {row['money']} for {worth}")
        if row["state"] not in AT_REST:
            found.append(f"order {row['number']} is {row['state']}")
    return found


def tickets_of(tables: Tables) -> list[str]:
    """Seats sold twice, tickets without their line, and lines without their ticket."""
    found = [f"seat {row['seat']} of {row['performance']} is sold twice" for row in tables.twice]
    for row in tables.tickets:
        told = f"ticket {row['ticket']} of {row['performance']}"
        found.append(f"{told} is {row['state']}, its line {row['line']}")
    return found


def _ledger(tables: Tables) -> list[str]:
    """The chained books say what the tables say, by currency and by method."""
    books: Counter[tuple[str, str]] = Counter()
    money: Counter[tuple[str, str]] = Counter()
    for row in tables.ledger:
        if row["kind"] in ("payment", "repayment"):
            money[row["method"], row["currency"]] += row["amount"]
        elif row["kind"] in ("sale", "refund", "cancellation"):
            books["places", row["currency"]] += row["amount"]
        elif row["kind"] in ("fee", "allowance", "credit", "gift_card"):
            books["charges", row["currency"]] += row["amount"]
    sums: Counter[tuple[str, str]] = Counter()
    for row in tables.worth:
        sums["places", row["currency"]] += row["lines"]
        sums["charges", row["currency"]] += row["fees"] + row["charges"]
    paid = {(row["method"], row["currency"]): row["came"] - row["went"] for row in tables.paid}
    found = _differ("the ledger's", dict(books), dict(sums))
    return found + _differ("the ledger's money by", dict(money), paid)


def _rates(tables: Tables) -> list[str]:
    """The ledger has at each rate of VAT what stands of the orders at it."""
    orders: Counter[tuple[str, int]] = Counter()
    booked: Counter[tuple[str, int]] = Counter()
    for row in tables.rates:
        orders[row["currency"], row["tax_bp"]] += row["amount"]
        booked[row["currency"], row["tax_bp"]] += row["booked"]
    return _differ("the ledger's at", dict(booked), dict(orders))


def _credits(tables: Tables) -> list[str]:
    found = [
        f"credit {row['code']} has {row['balance']}, {row['moved']} were moved"
        for row in tables.credits
        if row["balance"] != row["moved"] or row["balance"] < 0
    ]
    opened = sum(row["amount"] for row in tables.ledger if row["kind"] in KEPT)
    spent = sum(row["came"] - row["went"] for row in tables.paid if row["method"] == "store_credit")
    left = sum(row["balance"] for row in tables.credits)
    if opened - spent != left:
        found.append(
            f"{opened} were kept as credit or gift cards and {spent} spent: {left} are left"
        )
    return found


def _people(day: Day, tables: Tables) -> list[str]:
    """What cashiers were told is what the tables have, by method."""
    sums: Counter[str] = Counter()
    for row in tables.paid:
        if row["method"] in BY_HAND:
            sums[row["method"]] += row["came"] - row["went"]
    told = {method: day.told[method] for method in BY_HAND}
    return _differ("what cashiers were told of", told, {one: sums[one] for one in BY_HAND})


def _provider(day: Day, tables: Tables) -> list[str]:
    """What the provider's account has is what the tables say it has."""
    account = sum(
        charge["amount_captured"] - charge["amount_refunded"]
        for charge in day.stripe.charges.values()
    )
    ours = sum(row["came"] - row["went"] for row in tables.paid if row["method"] in AT_STRIPE)
    return [] if account == ours else [f"the provider has {account}, the house says {ours}"]


def _tills(day: Day, tables: Tables) -> list[str]:
    found = []
    for row in tables.tills:
        closing = json.loads(row["closing"]) if isinstance(row["closing"], str) else row["closing"]
        if closing is None:
            found.append(f"{row['till']} is open")
            continue
        counted = FLOAT + day.drawers[row["currency"]]
        if (closing["amount"], closing["difference"]) != (counted, 0):
            found.append(f"{row['till']}: {counted} in the drawer, closed with {closing}")
    return found


def _differ(what: str, one: dict[Any, int], other: dict[Any, int]) -> list[str]:
    return [
        f"{what} {key}: {one.get(key, 0)} and {other.get(key, 0)}"
        for key in sorted({*one, *other}, key=str)
        if one.get(key, 0) != other.get(key, 0)
    ]


def figures(day: Day, tables: Tables) -> dict[str, object]:
    """What there was, for people to read."""
    states = Counter(row["state"] for row in tables.worth)
    money: dict[str, int] = defaultdict(int)
    for row in tables.paid:
        money[f"{row['method']} {row['currency']}"] += int(row["came"] - row["went"])
    return {
        "stories": dict(sorted(day.stories.items())),
        "orders": dict(sorted(states.items())),
        "money": dict(sorted(money.items())),
        "credits": len(tables.credits),
        "cancelled_performance": CANCELLED,
    }
