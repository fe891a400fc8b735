"""The list of performances tells how each sale stands, and when that changes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.widgets import DataTable

from console.screens.programme import ProgrammeScreen
from console.till import now_ms
from engine.settings import SaleStatus
from tests.console.driving import cashier
from tests.console.houses import settings, theatre
from tests.console.server import House, running_house
from tests.console.waiting import until

HOUR_MS = 3_600_000


@pytest.fixture
async def later() -> AsyncIterator[House]:
    opens_ms = now_ms() + HOUR_MS
    async with running_house(rules=settings(sale_opens_ms=opens_ms)) as house:
        closing = settings(sale_closes_ms=opens_ms, tills_close_ms=opens_ms)
        house.fake.add_performance(theatre(), closing, "Phèdre")
        closed = settings(status=SaleStatus.CLOSED)
        house.fake.add_performance(theatre(), closed, "Le Cid")
        yield house


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (80, {"Cyrano": "dès le ", "Phèdre": "en vente", "Le Cid": "fermée"}),
        (130, {"Cyrano": "en vente dès le ", "Phèdre": "en vente jusqu'au ", "Le Cid": "fermée"}),
    ],
)
async def test_when_a_sale_begins_and_ends_is_in_the_list(
    later: House, tmp_path: Path, width: int, words: dict[str, str]
) -> None:
    async with cashier(later, tmp_path, size=(width, 24), language="fr") as me:
        await me.log_in(later.password)
        await me.sees(ProgrammeScreen)
        table = me.app.screen.query_one(DataTable)
        await until(lambda: table.row_count == 3)
        rows = [[str(cell) for cell in table.get_row_at(row)] for row in range(3)]
        told = {title.split(" (")[0]: status for _, title, status, *_ in rows}
        assert told.keys() == words.keys()
        for title, beginning in words.items():
            assert told[title].startswith(beginning)
            dated = beginning.endswith(" ")
            assert any(letter.isdigit() for letter in told[title]) is dated
