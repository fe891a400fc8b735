"""Performances that are cancelled, and how far each of their orders is."""

from typing import Final

from alembic import op

revision: Final = "0016"
down_revision: Final = "0018"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    """
    CREATE TABLE cancellations (
        performance INTEGER NOT NULL,
        operator TEXT NOT NULL,
        reason TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        ended_ms BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT pk_cancellations PRIMARY KEY (performance),
        CONSTRAINT fk_cancellations_performance_performances
            FOREIGN KEY (performance) REFERENCES performances (id)
    )
    """,
    "CREATE INDEX ix_cancellations_unfinished ON cancellations (performance) WHERE ended_ms = 0",
    """
    CREATE TABLE cancelled_orders (
        performance INTEGER NOT NULL,
        order_number BIGINT NOT NULL,
        progress TEXT NOT NULL,
        why TEXT DEFAULT '' NOT NULL,
        amount BIGINT DEFAULT 0 NOT NULL,
        told BOOLEAN DEFAULT true NOT NULL,
        CONSTRAINT pk_cancelled_orders PRIMARY KEY (performance, order_number),
        CONSTRAINT fk_cancelled_orders_performance_cancellations
            FOREIGN KEY (performance) REFERENCES cancellations (performance),
        CONSTRAINT fk_cancelled_orders_order_number_orders
            FOREIGN KEY (order_number) REFERENCES orders (number),
        CONSTRAINT ck_cancelled_orders_progress_known
            CHECK (progress IN ('todo', 'waiting', 'done', 'left')),
        CONSTRAINT ck_cancelled_orders_amount_not_negative CHECK (amount >= 0)
    )
    """,
    """
    CREATE INDEX ix_cancelled_orders_unfinished ON cancelled_orders (performance, order_number)
    WHERE progress = 'todo' OR progress = 'waiting'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
