"""The currency of each line beside its amount, so that lines are summed up without their orders."""

from typing import Final

from alembic import op

revision: Final = "0019"
down_revision: Final = "0016"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    "ALTER TABLE order_lines ADD COLUMN currency TEXT",
    "UPDATE order_lines l SET currency = o.currency FROM orders o WHERE o.number = l.order_number",
    "ALTER TABLE order_lines ALTER COLUMN currency SET NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
