"""Store credit in Postgres: balances, and every move with the order that made it.

Owns `move`, which runs in the transaction that saves the orders, and reading back. A balance is
the sum of its moves, and is never below nothing: who comes second for the same money is refused.
What an order moves is the engine's (`engine.credit`).
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.credit import Credit, CreditMove, CreditRefused, CreditView, MoveRow, moves_of
from engine.orders import Order
from persistence.schema import credit_moves, credits, performances, productions

MAX_MOVES_READ: Final = 100

_OPEN: Final = sa.text("""
INSERT INTO credits (code, organiser, currency, balance, order_number, opened_ms)
SELECT :code, r.organiser, :currency, :amount, :order, :at_ms
FROM performances p JOIN productions r ON r.id = p.production WHERE p.id = :performance
RETURNING code
""")
_CHANGE: Final = sa.text("""
UPDATE credits c SET balance = c.balance + :amount
FROM performances p JOIN productions r ON r.id = p.production
WHERE c.code = :code AND c.currency = :currency AND c.balance + :amount >= 0
    AND p.id = :performance AND r.organiser = c.organiser
RETURNING c.code
""")


_CREDIT: Final = sa.select(
    credits.c.code,
    credits.c.currency,
    credits.c.balance,
    credits.c.order_number,
    credits.c.opened_ms,
)


async def move(
    connection: AsyncConnection,
    changes: Sequence[tuple[Order | None, Order]],
    at_ms: int,
) -> None:
    """Move what orders became (each before and after) take from credits and bring to them.

    Raises:
        CreditRefused: there is less on one than is taken; the transaction is to be given up.
    """
    wanted = [(order, one) for before, order in changes for one in moves_of(before, order)]
    refused: list[str] = []
    # One lock order for everybody.
    for order, one in sorted(wanted, key=lambda each: (each[1].code, each[0].id)):
        values = {
            "code": one.code,
            "currency": order.currency,
            "amount": one.amount,
            "performance": order.seller,
        }
        if one.opens:
            values |= {"order": order.number, "at_ms": at_ms}
        found = await connection.execute(_OPEN if one.opens else _CHANGE, values)
        if found.one_or_none() is None:
            refused.append(order.id)
    if refused:
        raise CreditRefused(refused)
    if wanted:
        rows = [_row(order, one, at_ms) for order, one in wanted]
        await connection.execute(credit_moves.insert(), rows)


def _row(order: Order, one: CreditMove, at_ms: int) -> dict[str, object]:
    return {
        "code": one.code,
        "order_number": order.number,
        "amount": one.amount,
        "ref": one.ref,
        "at_ms": at_ms,
    }


class Credits:
    """What is there. Every method is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, code: str, performance: int) -> Credit | None:
        """The credit with this code, where the organiser of this performance gave it."""
        query = (
            _CREDIT.join(productions, productions.c.organiser == credits.c.organiser)
            .join(performances, performances.c.production == productions.c.id)
            .where(credits.c.code == code, performances.c.id == performance)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Credit(*row)

    async def view(self, code: str) -> CreditView | None:
        """A credit with its latest MAX_MOVES_READ moves."""
        moves = (
            sa.select(
                credit_moves.c.order_number,
                credit_moves.c.amount,
                credit_moves.c.ref,
                credit_moves.c.at_ms,
            )
            .where(credit_moves.c.code == code)
            .order_by(credit_moves.c.id.desc())
            .limit(MAX_MOVES_READ)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(_CREDIT.where(credits.c.code == code))).one_or_none()
            if row is None:
                return None
            rows = await connection.execute(moves)
            return CreditView(Credit(*row), tuple(MoveRow(*one) for one in rows))
