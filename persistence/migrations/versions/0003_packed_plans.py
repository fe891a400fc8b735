"""Plans as the engine's processes read them quickly, beside the form that is kept."""

from typing import Final

from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"
branch_labels: Final = None
depends_on: Final = None

STATEMENTS: Final = (
    "ALTER TABLE plans ADD COLUMN packed BYTEA",
    # Read as a whole, by somebody who waits: its space is worth less than the time to unpack it.
    "ALTER TABLE plans ALTER COLUMN packed SET STORAGE EXTERNAL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
