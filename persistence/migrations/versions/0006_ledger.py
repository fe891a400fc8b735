"""The ledger with its closed periods, the journal's hashes, and what going back in time needs."""

from typing import Final

from alembic import op

revision: Final = "0006"
down_revision: Final = "0004"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    """
    CREATE TABLE ledgers (
        organiser INTEGER NOT NULL,
        seed BYTEA NOT NULL,
        number BIGINT DEFAULT 0 NOT NULL,
        hash BYTEA DEFAULT '\\x0000000000000000000000000000000000000000000000000000000000000000'
            NOT NULL,
        at_ms BIGINT DEFAULT 0 NOT NULL,
        closed_until_ms BIGINT DEFAULT 0 NOT NULL,
        period INTEGER DEFAULT 0 NOT NULL,
        period_hash BYTEA
            DEFAULT '\\x0000000000000000000000000000000000000000000000000000000000000000'
            NOT NULL,
        CONSTRAINT pk_ledgers PRIMARY KEY (organiser),
        CONSTRAINT ck_ledgers_seed_size CHECK (octet_length(seed) = 32),
        CONSTRAINT fk_ledgers_organiser_house FOREIGN KEY(organiser) REFERENCES house (id)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE ledger (
        organiser INTEGER NOT NULL,
        number BIGINT NOT NULL,
        at_ms BIGINT NOT NULL,
        kind TEXT NOT NULL,
        order_number BIGINT NOT NULL,
        line INTEGER NOT NULL,
        performance INTEGER NOT NULL,
        ticket INTEGER NOT NULL,
        price_type TEXT NOT NULL,
        amount BIGINT NOT NULL,
        currency TEXT NOT NULL,
        tax_bp INTEGER NOT NULL,
        method TEXT NOT NULL,
        channel TEXT NOT NULL,
        operator TEXT NOT NULL,
        ref TEXT NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_ledger PRIMARY KEY (organiser, number)
    )
    """,
    """
    CREATE INDEX ix_ledger_order_number ON ledger (order_number)
    """,
    """
    CREATE TABLE ledger_periods (
        organiser INTEGER NOT NULL,
        number INTEGER NOT NULL,
        body TEXT NOT NULL,
        hash BYTEA NOT NULL,
        signature BYTEA NOT NULL,
        CONSTRAINT pk_ledger_periods PRIMARY KEY (organiser, number),
        CONSTRAINT fk_ledger_periods_organiser_house FOREIGN KEY(organiser) REFERENCES house (id)
    )
    """,
    """
    CREATE TABLE order_history (
        order_number BIGINT NOT NULL,
        revision INTEGER NOT NULL,
        until_ms BIGINT NOT NULL,
        body TEXT NOT NULL,
        CONSTRAINT pk_order_history PRIMARY KEY (order_number, revision)
    ) WITH (toast_tuple_target = 128)
    """,
    # Compressed, and beside its row: it is written at every step of an order, read almost never.
    "ALTER TABLE order_history ALTER COLUMN body SET STORAGE MAIN",
    # Empty: written before batches were chained.
    "ALTER TABLE journal ADD COLUMN hash BYTEA DEFAULT '\\x' NOT NULL",
    "ALTER TABLE writers ADD COLUMN head_hash BYTEA DEFAULT '\\x' NOT NULL",
    "ALTER TABLE performances ADD COLUMN first_settings BYTEA",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
