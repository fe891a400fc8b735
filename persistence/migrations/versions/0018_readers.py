"""Payments at card readers that the provider drives."""

from typing import Final

from alembic import op

revision: Final = "0018"
down_revision: Final = "0014"
branch_labels: Final = None
depends_on: Final = None

_METHODS: Final = (
    "'cash', 'card_terminal', 'cheque', 'bank_transfer', 'test_card', 'stripe', "
    "'stripe_terminal', 'store_credit'"
)
STATEMENTS: Final = tuple(
    statement
    for table in ("payments", "till_repayments")
    for statement in (
        f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_method_known",
        f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_method_known"
        f" CHECK (method IN ({_METHODS}))",
    )
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
