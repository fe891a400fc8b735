"""A network path, and a database behind it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path as Folder

import pytest
from sqlalchemy import make_url

from persistence.store import Store
from tests.faults.proxy import Path
from tests.persistence.houses import Opened, open_house


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    path = Path()
    yield path
    path.close()
    await asyncio.sleep(0)


@pytest.fixture
async def through(database_url: str, path: Path) -> str:
    """The address of the test's database, by way of the path."""
    url = make_url(database_url)
    port = await path.forward(str(Folder(str(url.query["host"])) / ".s.PGSQL.5432"))
    told = url.set(host="127.0.0.1", port=port, query={})
    return told.render_as_string(hide_password=False)


@pytest.fixture
async def opened(database_url: str) -> Opened:
    async with await Store.open(database_url) as store:
        return await open_house(store)
