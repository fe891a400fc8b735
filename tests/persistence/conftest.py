"""Every test here runs on the embedded server and on servers known by their address."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from persistence import pool
from persistence.embedded import EmbeddedPostgres
from persistence.store import Store
from tests.conftest import Databases, template_of
from tests.persistence.houses import Opened, open_house
from tests.postgres import PlainServer

GIVEN = "STRAPONTIN_TEST_DATABASE_URL"
"""A server to test on besides: its user must be allowed to create databases."""


@pytest.fixture(scope="session")
def tcp_databases(postgres_server: EmbeddedPostgres) -> Iterator[Databases]:
    with PlainServer() as server, template_of(server.url) as template:
        yield Databases(server.url, template)


@pytest.fixture(scope="session")
def given_databases() -> Iterator[Databases]:
    url = os.environ[GIVEN]
    with template_of(url) as template:
        yield Databases(url, template)


@pytest.fixture(params=["embedded", "tcp", *(["given"] if os.environ.get(GIVEN) else [])])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """As in tests/conftest.py, on each kind of server."""
    kind = "" if request.param == "embedded" else f"{request.param}_"
    databases: Databases = request.getfixturevalue(f"{kind}databases")
    with databases.lent() as url:
        yield url


@pytest.fixture
async def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    # A test that is kept from running for seconds is no process that is gone.
    monkeypatch.setattr(pool, "ABANDONED_MS", 120_000)
    async with await Store.open(database_url) as opened:
        yield opened


@pytest.fixture
async def opened(store: Store) -> Opened:
    """A house with one production and two performances."""
    return await open_house(store)
