"""What is free and what is held, where seats have colours and where places have none."""

from typing import Any

import pytest

from engine.plan import Plan
from gateway.vacancies import UNKNOWN, Vacancies
from tests.actors.houses import settings
from tests.engine.small import house
from tests.gateway.client import new_id, until
from tests.gateway.conftest import Running, Start

AREA_PLAN: Plan = house(["aaa"], areas=[(4, "a")])


async def known(vacancies: Vacancies, performance: int) -> tuple[int, int]:
    await until(lambda: vacancies.of(performance) != UNKNOWN)
    return vacancies.of(performance)


async def reaches(vacancies: Vacancies, wanted: tuple[int, int]) -> None:
    await until(lambda: vacancies.of(1) == wanted)


async def test_a_performance_nobody_knows_is_never_counted(gateway: Running) -> None:
    vacancies = Vacancies(gateway.fake.backend, gateway.edge.hub.feeds)
    assert vacancies.of(77) == UNKNOWN
    await until(lambda: not vacancies._tasks)
    assert vacancies.of(77) == UNKNOWN
    await vacancies.stop()


async def test_seats_are_counted_by_their_colours_though_nobody_watches(gateway: Running) -> None:
    vacancies = Vacancies(gateway.fake.backend, gateway.edge.hub.feeds)
    assert await known(vacancies, 1) == (160, 0)
    buyer = await gateway.socket()
    assert (await buyer.hold(1, 0, 1, 2))[0] == "held"
    await reaches(vacancies, (157, 3))
    await vacancies.stop()


async def test_what_is_over_the_plans_size_is_no_seat(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(house(["aaa"]), settings())
    vacancies = Vacancies(gateway.fake.backend, gateway.edge.hub.feeds)
    assert await known(vacancies, 1) == (3, 0)
    buyer = await gateway.socket()
    assert (await buyer.hold(1, 0, 1, 2))[0] == "held"
    await reaches(vacancies, (0, 3))
    await vacancies.stop()


async def test_places_without_seats_are_held_until_their_tickets_are_there(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.vacancies.CENSUS_S", 0.05)
    gateway = await start()
    gateway.fake.add_performance(AREA_PLAN, settings())
    vacancies = Vacancies(gateway.fake.backend, gateway.edge.hub.feeds)
    assert await known(vacancies, 1) == (7, 0)
    sold = 0

    class Totals:
        @property
        def sold(self) -> int:
            return sold

    async def totals(performance: int) -> Any:
        assert performance == 1
        return Totals()

    monkeypatch.setattr(gateway.fake.sales, "totals", totals, raising=False)
    buyer = await gateway.socket()
    token = new_id()
    assert (await buyer.ask("hold", 1, token, [0, 1, 2], [[0, 4]]))[0] == "held"
    await reaches(vacancies, (0, 3))  # the seats' colours say enough
    feed = gateway.edge.hub.feeds._feeds[1]
    assert feed.replica is not None
    feed.replica.statuses[:3] = b"\2\2\2"  # as sold as can be
    sold = 3
    await reaches(vacancies, (0, 4))
    sold = 7
    await reaches(vacancies, (0, 0))
    await vacancies.stop()
