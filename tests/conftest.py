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
from typing import ClassVar

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


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """Address of an empty, migrated database, dropped after the test."""
    with copy_of(postgres_server.url, database_template) as url:
        yield url
