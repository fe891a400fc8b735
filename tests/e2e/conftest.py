"""One served house for a module, and the browser of the page's tests."""

from collections.abc import Iterator

import pytest

from tests.e2e.house import demo_house
from tests.integration.server import ServedHouse
from tests.web.conftest import browser, faults, open_page

__all__ = ["browser", "faults", "house", "open_page"]


@pytest.fixture(scope="module")
def house() -> Iterator[ServedHouse]:
    with demo_house() as served:
        yield served
