"""What the doors know of a scan beyond its result: overrides, scans kept by devices, undoing."""

from typing import Final

from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    "ALTER TABLE scans ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE scans ADD COLUMN sequence BIGINT NOT NULL DEFAULT -1",
    "ALTER TABLE scans ADD COLUMN scanned_ms BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE scans ADD COLUMN shown TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE scans ADD COLUMN undone_ms BIGINT NOT NULL DEFAULT 0",
    # Until now a scan was at the door when the engine heard of it.
    "UPDATE scans SET scanned_ms = at_ms",
    """
    ALTER TABLE scans
        ALTER COLUMN reason DROP DEFAULT,
        ALTER COLUMN sequence DROP DEFAULT,
        ALTER COLUMN scanned_ms DROP DEFAULT,
        ALTER COLUMN shown DROP DEFAULT,
        ALTER COLUMN undone_ms DROP DEFAULT
    """,
    """
    CREATE UNIQUE INDEX uq_scans_kept ON scans (performance, device, sequence)
        WHERE sequence >= 0
    """,
    "ALTER TABLE scans DROP CONSTRAINT ck_scans_mode_known",
    """
    ALTER TABLE scans ADD CONSTRAINT ck_scans_mode_known
        CHECK (mode IN ('admit', 'look_up', 'exit', 'mark'))
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
