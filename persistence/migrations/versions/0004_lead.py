"""A cluster's nodes, and the lease by which one of them leads."""

from typing import Final

from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    """
    CREATE TABLE lead (
        single BOOLEAN DEFAULT true NOT NULL,
        node TEXT NOT NULL,
        term BIGINT NOT NULL,
        until_ms BIGINT NOT NULL,
        CONSTRAINT pk_lead PRIMARY KEY (single),
        CONSTRAINT ck_lead_one_row CHECK (single)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE nodes (
        name TEXT NOT NULL,
        seen_ms BIGINT NOT NULL,
        CONSTRAINT pk_nodes PRIMARY KEY (name)
    ) WITH (fillfactor = 50)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
