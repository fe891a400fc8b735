"""Devices that enrol by a code of their own, and say when they were there and what they keep."""

from typing import Final

from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    "ALTER TABLE devices ADD COLUMN enrolment_hash BYTEA",
    "ALTER TABLE devices ADD COLUMN enrolment_expires_ms BIGINT",
    "ALTER TABLE devices ADD COLUMN seen_ms BIGINT",
    "ALTER TABLE devices ADD COLUMN kept_scans INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE devices ADD CONSTRAINT uq_devices_enrolment_hash UNIQUE (enrolment_hash)",
    "ALTER TABLE devices ADD CONSTRAINT ck_devices_kept_scans_not_negative CHECK (kept_scans >= 0)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
