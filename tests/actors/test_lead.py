"""One node's part in the lead: it hears of changes at once, and begins anew when it has lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.actors import lead as lead_module
from engine.actors.lead import Lead
from engine.lead import Led

MINE, OTHERS = Led("a", 1, ("a",)), Led("b", 2, ("a", "b"))


class Database:
    """`answer` is what a beat is told; an exception while it is away."""

    def __init__(self) -> None:
        self.answer: Led | Exception = MINE
        self.lost = 0

    async def beat(self, node: str) -> Led:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def note_lost(self) -> None:
        self.lost += 1


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(lead_module, "BEAT_S", 0.01)
    return Database()


@pytest.fixture
async def lead(database: Database) -> AsyncIterator[Lead]:
    made = Lead("a", database.beat, database.note_lost)
    await made.other_than("", 0)
    yield made
    made.close()


async def test_whoever_waits_is_told_of_a_change_at_once(lead: Lead, database: Database) -> None:
    assert lead.leads
    asked = asyncio.create_task(lead.other_than("a", 1))
    await asyncio.sleep(0.05)
    assert not asked.done()
    database.answer = OTHERS
    async with asyncio.timeout(1):
        assert await asked == OTHERS
    assert not lead.leads and database.lost == 1


async def test_without_a_change_the_answer_is_the_same_after_a_while(
    lead: Lead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_module, "TOLD_S", 0.05)
    assert await lead.other_than("a", 1) == MINE


async def test_while_the_database_is_away_the_last_answer_stands(
    lead: Lead, database: Database
) -> None:
    database.answer = ConnectionError("away")
    await asyncio.sleep(0.05)
    assert lead.leads and not database.lost


async def test_to_lead_again_after_another_is_to_have_lost(lead: Lead, database: Database) -> None:
    database.answer = Led("a", 3, ("a", "b"))
    async with asyncio.timeout(1):
        await lead.other_than("a", 1)
    assert lead.leads and database.lost == 1, "somebody else led in term 2"


async def test_who_has_never_led_has_nothing_to_lose(database: Database) -> None:
    database.answer = Led("c", 5, ("c",))
    standing_by = Lead("a", database.beat, database.note_lost)
    await standing_by.other_than("", 0)
    database.answer = OTHERS
    await standing_by.other_than("c", 5)
    standing_by.close()
    assert database.lost == 0
