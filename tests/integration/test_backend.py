"""The real backend keeps the edge's contract: real Ray, real Postgres, no gateway between."""

import secrets
from collections.abc import AsyncIterator, Iterator

import msgspec
import psutil
import pytest

from engine.actors import local_ray
from engine.plan_io import dump_plan
from persistence.embedded import EmbeddedPostgres
from persistence.store import Store
from tests.actors.houses import settings, small_plan
from tests.conftest import copy_of
from tests.gateway.backend_contract import BackendContract, Subject
from tests.integration.server import free_port

pytestmark = [pytest.mark.timeout(180)]

HOLD_MS = 3_000
UNUSED_SCRIPTS = ("dashboard/dashboard.py", "log_monitor.py", "monitor.py")
PLAN = small_plan()


async def _open_house(url: str) -> None:
    async with Store(url) as store:
        house = await store.catalogue.create_house(
            name="House",
            time_zone="Europe/Paris",
            languages=("fr", "en"),
            settings={},
            ticket_seed=secrets.token_bytes(32),
            session_secret=secrets.token_bytes(32),
            now_ms=0,
        )
        await store.catalogue.add_plan(
            plan_hash=PLAN.content_hash(),
            name=PLAN.name,
            seats=len(PLAN.seats),
            places=len(PLAN.seats),
            body=dump_plan(PLAN),
            now_ms=0,
        )
        await store.catalogue.create_production(
            house.id, titles={"en": "Play"}, subtitles={}, currency="EUR", info={}, now_ms=0
        )


@pytest.fixture(scope="module")
def installed(postgres_server: EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """The database of a running installation."""
    import asyncio

    with copy_of(postgres_server.url, database_template) as url:
        asyncio.run(_open_house(url))
        local_ray.start()
        from engine.actors.wiring import Installation, Settings

        installation = Installation(Settings(url, "127.0.0.1", free_port(), "http://localhost"))
        try:
            installation.wait_ready()
            yield url
        finally:
            installation.stop()


def test_ray_runs_nothing_that_is_not_used(installed: str) -> None:
    running = " ".join(
        word for each in psutil.Process().children(recursive=True) for word in each.cmdline()
    )
    assert "RuntimeEnvAgent" in running, "Ray's own processes are looked at"
    assert [name for name in UNUSED_SCRIPTS if name in running] == []


class TestReal(BackendContract):
    @pytest.fixture
    async def subject(self, installed: str) -> AsyncIterator[Subject]:
        from engine.actors.handles import RayDesk, RayPerformances
        from engine.actors.wiring import backend

        async with Store(installed) as store:
            productions = await store.catalogue.list_productions()
            number = await store.catalogue.create_performance(
                productions[0].id,
                plan_hash=PLAN.content_hash(),
                starts_ms=1_800_000_000_000,
                settings=msgspec.json.encode(settings(hold_ms=HOLD_MS)),
                now_ms=0,
            )
            edge = backend(store)
            yield Subject(edge, number, PLAN, HOLD_MS)
            assert isinstance(edge.performances, RayPerformances)
            edge.performances.close()
            assert isinstance(edge.desk, RayDesk)
            edge.desk.leave()
