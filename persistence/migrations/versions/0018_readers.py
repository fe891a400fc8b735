"""Payments at card readers that the provider drives; orders that are exchanged."""

from typing import Final

from alembic import op

revision: Final = "0018"
down_revision: Final = "0015"
branch_labels: Final = None
depends_on: Final = None

_METHODS: Final = (
    "'cash', 'card_terminal', 'cheque', 'bank_transfer', 'test_card', 'stripe', "
    "'stripe_terminal', 'store_credit'"
)
_STATES: Final = (
    "'open', 'awaiting_approval', 'awaiting_payment', 'selling', 'paid', 'part_refunded', "
    "'exchanging', 'exchanged', 'refunded', 'cancelled', 'expired', 'failed'"
)
_KNOWN: Final = (
    ("payments", "method", _METHODS),
    ("till_repayments", "method", _METHODS),
    ("orders", "state", _STATES),
)
STATEMENTS: Final = tuple(
    statement
    for table, column, values in _KNOWN
    for statement in (
        f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{column}_known",
        f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{column}_known"
        f" CHECK ({column} IN ({values}))",
    )
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
