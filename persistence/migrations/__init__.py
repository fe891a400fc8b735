"""Bring a database to this version's schema: `migrate`, and the Alembic revisions."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from persistence.url import DatabaseUnavailable, reaching, sqlalchemy_url

MIGRATION_LOCK: Final = 0x5374_7261
"""Advisory lock: two processes that start at once migrate one after the other."""


async def migrate(url: str) -> None:
    """Upgrade the database to the newest revision; does nothing when it is there already.

    Raises:
        DatabaseUrlError, DatabaseUnavailable: See persistence.url.
    """
    engine = create_async_engine(sqlalchemy_url(url), poolclass=NullPool)
    try:
        with reaching(url):
            await _migrate(engine)
    except CommandError as error:
        raise DatabaseUnavailable(
            f"its tables were made by a newer version of this program ({error})"
        ) from error
    finally:
        await engine.dispose()


async def _migrate(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        # The lock belongs to the session: it outlives this commit, and ends with the
        # connection, however that ends.
        await connection.commit()
        await connection.run_sync(upgrade)
        await connection.commit()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Make the tables of a revision, in the transaction that is open."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def head_revision() -> str:
    """The revision of this version's tables."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def known_revisions() -> frozenset[str]:
    """Every revision that this version can bring up to date."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
