"""The lease in Postgres: one node leads, and is succeeded when it falls silent."""

import asyncio

import pytest

from engine.lead import LEASE_MS
from persistence.lead import Leads
from persistence.url import connect


async def let_it_run_out(url: str, node: str) -> None:
    """As if this node had been silent for longer than a lease."""
    connection = await connect(url)
    await connection.execute(
        "UPDATE lead SET until_ms = until_ms - $2 WHERE node = $1", node, LEASE_MS + 1
    )
    await connection.execute(
        "UPDATE nodes SET seen_ms = seen_ms - $2 WHERE name = $1", node, LEASE_MS + 1
    )
    await connection.close()


@pytest.fixture
async def leads(database_url: str):  # type: ignore[no-untyped-def]
    made = [Leads(database_url) for _ in range(2)]
    yield made
    for each in made:
        await each.close()


async def test_the_first_leads_and_goes_on_leading(leads: list[Leads]) -> None:
    assert await leads[0].beat("a") == ("a", 1, ("a",))
    assert await leads[1].beat("b") == ("a", 1, ("a", "b"))
    assert await leads[0].beat("a") == ("a", 1, ("a", "b"))


async def test_who_is_silent_is_succeeded_and_told_so(
    leads: list[Leads], database_url: str
) -> None:
    await leads[0].beat("a")
    await leads[1].beat("b")
    await let_it_run_out(database_url, "a")
    assert await leads[1].beat("b") == ("b", 2, ("b",))
    assert await leads[0].beat("a") == ("b", 2, ("a", "b"))


async def test_a_lease_that_nobody_else_wanted_goes_on(
    leads: list[Leads], database_url: str
) -> None:
    await leads[0].beat("a")
    await let_it_run_out(database_url, "a")
    assert await leads[0].beat("a") == ("a", 1, ("a",)), "the same term: nobody led meanwhile"


async def test_of_many_who_want_the_lead_at_once_one_has_it(
    leads: list[Leads], database_url: str
) -> None:
    await leads[0].beat("a")
    await let_it_run_out(database_url, "a")
    many = [Leads(database_url) for _ in range(8)]
    led = await asyncio.gather(*(each.beat(f"n{i}") for i, each in enumerate(many)))
    assert len({(one.node, one.term) for one in led}) == 1 and led[0].term == 2
    for each in many:
        await each.close()


async def test_who_leaves_makes_room_at_once(leads: list[Leads]) -> None:
    await leads[0].beat("a")
    await leads[0].leave("a")
    assert await leads[1].beat("b") == ("b", 2, ("b",))
