"""The database for every test that needs one.

`database_url` is an empty, migrated database of its own for each test, on an
embedded server that runs once a session.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import pytest
from hypothesis import settings
from sqlalchemy import make_url

from engine.actors import local_ray
from persistence.embedded import EmbeddedPostgres
from persistence.migrations import migrate
from persistence.url import connect

# Before any test imports ray: where its processes listen is decided then.
local_ray.set_environment()

# How long an example takes is the machine's business.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_numbers = itertools.count(1)

_WAITING = ("integration", "cluster", "e2e", "security/test_api_schema.py")
_WORKING = ("stateful", "console/test_app", "sim", "web")
"""What takes long goes first, so that at the end no process works alone: files that mostly wait for
servers to start and to be missed, by turns with files that keep a processor busy."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    files = {item.path: item.path.relative_to(here).as_posix() for item in items}
    turns: dict[Path, int] = {}
    for first, kind in enumerate((_WAITING, _WORKING)):
        long = [path for path, name in files.items() if name.startswith(kind)]
        turns |= {path: first + 2 * number for number, path in enumerate(long)}
    last = 2 * len(turns)
    items.sort(key=lambda item: turns.get(item.path, last))


def _on(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@contextmanager
def template_of(url: str) -> Iterator[str]:
    """A migrated database to copy from, on the server of `url`; yields its name."""
    name = f"strapontin_template_{os.getpid()}_{next(_numbers)}"
    _on(url, f"CREATE DATABASE {name}")
    try:
        asyncio.run(migrate(_named(url, name)))
        yield name
    finally:
        _on(url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def copy_of(url: str, template: str) -> Iterator[str]:
    """A database of its own; yields its address."""
    name = f"strapontin_test_{os.getpid()}_{next(_numbers)}"
    _on(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _named(url, name)
    finally:
        _on(url, f"DROP DATABASE {name} WITH (FORCE)")


_EMPTY: Final = """
DO $$ DECLARE it record; BEGIN
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR it IN SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %s', it.name); END LOOP;
    FOR it IN SELECT seqrelid::regclass AS name, seqstart FROM pg_sequence
    LOOP PERFORM setval(it.name, it.seqstart, false); END LOOP;
END $$
"""
_SHAPE: Final = """
SELECT md5(string_agg(what, ',' ORDER BY what)) FROM (
    SELECT version_num AS what FROM alembic_version
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT concat(oid, relname, relkind, reloptions) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat(attrelid, attname, atttypid, attnotnull, attisdropped)
        FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT concat(adrelid, adnum, pg_get_expr(adbin, adrelid)) FROM pg_attrdef
    UNION ALL SELECT concat(oid, conname, convalidated) FROM pg_constraint
    UNION ALL SELECT concat(oid, tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT concat(oid, proname, prosrc) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat(oid, extname) FROM pg_extension
    UNION ALL SELECT concat(setdatabase, setrole, setconfig) FROM pg_db_role_setting
) shape
"""
LENT_AGAIN: Final = 40
"""A database is made anew after so many tests: what they deleted is still in its files."""


class Databases:
    """Empty, migrated databases of one server, copied from a template.

    To make one takes longer than most tests: each is emptied and lent again, unless a test changed
    its shape.
    """

    def __init__(self, url: str, template: str) -> None:
        self._url = url
        self._template = template
        self._free: list[tuple[str, int, str]] = []  # its name, how often it was lent, its shape

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of one that nobody else has."""
        name, times, shape = self._free.pop() if self._free else self._made()
        url = _named(self._url, name)
        try:
            yield url
        finally:
            if times + 1 < LENT_AGAIN and asyncio.run(_emptied(url, shape)):
                self._free.append((name, times + 1, shape))
            else:
                _on(self._url, f"DROP DATABASE {name} WITH (FORCE)")

    def _made(self) -> tuple[str, int, str]:
        name = f"strapontin_test_{os.getpid()}_{next(_numbers)}"
        _on(self._url, f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name, 0, asyncio.run(_shape(_named(self._url, name)))


async def _shape(url: str) -> str:
    connection = await connect(url)
    try:
        found: str = await connection.fetchval(_SHAPE)
        return found
    finally:
        await connection.close()


async def _emptied(url: str, shape: str) -> bool:
    """Whether it is again what it was made as."""
    connection = await connect(url)
    try:
        if await connection.fetchval(_SHAPE) != shape:
            return False
        await connection.execute(_EMPTY)
        return True
    finally:
        await connection.close()


class QuickPostgres(EmbeddedPostgres):
    """Does not wait for the disk: nothing here pulls the plug of the machine."""

    settings: ClassVar[Mapping[str, str]] = {**EmbeddedPostgres.settings, "fsync": "off"}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """The embedded server of this session. Tests that hurt a server make their own."""
    home = Path(tempfile.mkdtemp(prefix="strapontin-tests-"))
    try:
        with QuickPostgres(home / "data") as server:
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def database_template(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    with template_of(postgres_server.url) as template:
        yield template


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedPostgres, database_template: str) -> Databases:
    return Databases(postgres_server.url, database_template)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """Address of an empty, migrated database that no other test has."""
    with databases.lent() as url:
        yield url
