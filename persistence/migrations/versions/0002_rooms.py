"""Waiting rooms: the seed of each draw, and what happened in each room, one event a row."""

from typing import Final

from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    """
    CREATE TABLE rooms (
        performance INTEGER NOT NULL,
        number INTEGER NOT NULL,
        seed BYTEA NOT NULL,
        commitment BYTEA NOT NULL,
        closed BOOLEAN NOT NULL,
        CONSTRAINT pk_rooms PRIMARY KEY (performance, number),
        CONSTRAINT ck_rooms_seed_size CHECK (octet_length(seed) = 32),
        CONSTRAINT ck_rooms_commitment_of_the_seed CHECK (commitment = sha256(seed)),
        CONSTRAINT fk_rooms_performance_performances FOREIGN KEY(performance)
            REFERENCES performances (id)
    )
    """,
    """
    CREATE UNIQUE INDEX uq_rooms_open ON rooms (performance)
        WHERE NOT closed
    """,
    """
    CREATE TABLE room_events (
        performance INTEGER NOT NULL,
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at_ms BIGINT NOT NULL,
        event BYTEA NOT NULL,
        CONSTRAINT pk_room_events PRIMARY KEY (performance, room, seq)
    )
    """,
    """
    ALTER TABLE room_events ALTER COLUMN event SET STORAGE EXTERNAL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
