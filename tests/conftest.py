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
from sqlalchemy import make_url

from engine.actors import local_ray
from persistence.embedded import EmbeddedPostgres
from persistence.migrations import migrate
from persistence.url import connect

# Before any test imports ray: where its processes listen is decided then.
local_ray.set_environment()

_numbers = itertools.count(1)

_LONG = ("web", "e2e", "integration")
"""Folders whose files take long: they go first, so that at the end no process works alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0]
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=turn)


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
