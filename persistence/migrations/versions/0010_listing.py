"""Indexes for the list of places: orders by time and operator, stopped tickets, scans by time."""

from typing import Final

from alembic import op

revision: Final = "0010"
down_revision: Final = "0009"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    "CREATE INDEX ix_tickets_stopped ON tickets (performance, number) "
    "WHERE state IN ('blocked', 'revoked')",
    "CREATE INDEX ix_scans_scanned_ms ON scans USING brin (scanned_ms) WITH (pages_per_range = 32)",
    "CREATE INDEX ix_orders_operator ON orders (operator, number) WHERE operator <> ''",
    "CREATE INDEX ix_orders_created ON orders (created_ms, number) "
    "INCLUDE (currency, channel, operator)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
