"""A programme over real actors and a real database: all of it or nothing, whatever dies between.

The edge runs in this process, so that it can die after any call of what is behind it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace as with_parts
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from console.client import Client, Problem
from console.season import asking
from engine.actors import local_ray
from engine.plan_io import dump_plan
from engine.season import (
    PerformanceFound,
    PerformanceWanted,
    ProductionWanted,
    Programme,
    canonical,
    compare,
)
from engine.settings import KeptSeats, SaleStatus, Settings
from gateway import app as gateway_app
from gateway.backend import Backend, BackendUnavailable
from gateway.config import Config
from gateway.session import digest_of, new_token, now_ms
from persistence.embedded import EmbeddedPostgres
from persistence.store import Store
from tests.actors.houses import settings, small_plan
from tests.conftest import copy_of
from tests.integration.server import free_port

pytestmark = [pytest.mark.timeout(180)]

PLAN = small_plan()
START_MS = 2_000_000_000_000
DAY_MS = 86_400_000
BEFORE = settings()
PRESS = KeptSeats("press", ("phone",), seats=(0, 1))
AFTER = replace(settings(), max_per_order=3, allocations=(PRESS,))


@pytest.fixture(scope="module")
def installed(postgres_server: EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """The database of a running installation with an empty house."""
    with copy_of(postgres_server.url, database_template) as url:
        asyncio.run(_open_house(url))
        local_ray.start()
        from engine.actors.wiring import Installation
        from engine.actors.wiring import Settings as Told

        installation = Installation(Told(url, "127.0.0.1", free_port(), "http://localhost"))
        try:
            installation.wait_ready()
            yield url
        finally:
            installation.stop()


async def _open_house(url: str) -> None:
    async with Store(url) as store:
        await store.catalogue.create_house(
            name="House",
            time_zone="Europe/Paris",
            languages=("fr",),
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


class Edge:
    """A gateway whose backend dies before or after one of its calls, and stays dead until healed.

    Every call that a change makes is two steps: nothing of it happened, or all and nobody heard.
    """

    WATCHED = ("apply", "pending", "told", "submit")

    def __init__(self, backend: Backend) -> None:
        self.dies_at = 0
        self.steps = 0
        self.calls: list[str] = []
        self.backend = with_parts(
            backend,
            season=_Mortal(backend.season, self),
            performances=_Mortal(backend.performances, self),
        )

    def heal(self, dies_at: int = 0) -> None:
        self.dies_at, self.steps, self.calls = dies_at, 0, []

    def step(self) -> None:
        self.steps += 1
        if 0 < self.dies_at <= self.steps:
            raise BackendUnavailable("dead")


class _Mortal:
    def __init__(self, real: Any, edge: Edge) -> None:
        self._real = real
        self._edge = edge

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in Edge.WATCHED:
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            self._edge.step()
            answer = await method(*arguments, **named)
            self._edge.calls.append(name)
            self._edge.step()
            return answer

        return call


class House:
    def __init__(self, store: Store, edge: Edge, client: Client) -> None:
        self.store = store
        self.edge = edge
        self.client = client

    async def found(self, key: str) -> tuple[PerformanceFound, ...]:
        """The performances of a production, in order."""
        productions = await self.store.season.named([key])
        return productions[0].performances if productions else ()

    async def apply(self, programme: Programme, id: str = "") -> asking.Applied:
        state = await asking.named(self.client, [one.key for one in programme.productions])
        id = id or secrets.token_hex(16)
        return await asking.apply(self.client, id, state.fingerprint, programme)

    async def wake(self, performance: int) -> None:
        """Have an actor serve it: from then on its settings are the actor's."""
        path = f"/api/performances/{performance}/settings"
        told = await self.client.ask(Settings, "GET", path)
        await self.client.ask(Settings, "PUT", path, msgspec.to_builtins(told))


@pytest.fixture
async def house(installed: str) -> AsyncIterator[House]:
    from engine.actors.handles import RayPerformances
    from engine.actors.wiring import backend

    async with Store(installed) as store:
        real = backend(store)
        edge = Edge(real)
        config = Config(session_key=b"k" * 32, ticket_key=b"t" * 32, retry_for_s=0.2)
        server = await gateway_app.serve(gateway_app.build(edge.backend, config), "127.0.0.1", 0)
        token, at_ms = new_token("o"), now_ms()
        admin = await store.access.create_operator(
            1, name=secrets.token_hex(4), password_hash="", roles=("admin",), language="fr",
            now_ms=at_ms,
        )  # fmt: skip
        await store.access.open_session(
            admin.id, token_hash=digest_of(token), expires_ms=at_ms + DAY_MS, now_ms=at_ms
        )
        # Sent once: what is lost is what the test wants to look at.
        client = Client(f"http://127.0.0.1:{server.port}", token, 60, retry_waits_s=())
        try:
            yield House(store, edge, client)
        finally:
            edge.heal()
            await server.stop()
            assert isinstance(real.performances, RayPerformances)
            real.performances.close()


def programme(key: str, wanted: Settings, *days: int) -> Programme:
    return Programme(
        (
            ProductionWanted(
                key,
                {"fr": key},
                wanted.currency,
                performances=tuple(
                    PerformanceWanted(
                        f"day {day}", START_MS + day * DAY_MS, PLAN.content_hash(), wanted
                    )
                    for day in days
                ),
            ),
        )
    )


async def test_a_change_is_whole_or_not_at_all_wherever_the_edge_dies(house: House) -> None:
    """Dead after each step in turn; healed, the same request ends in the same state."""
    first, second = programme("hamlet", BEFORE, 1, 2, 3), programme("hamlet", AFTER, 1, 2, 4)
    await house.apply(first)
    awake = [one.id for one in (await house.found("hamlet"))[:2]]
    for number in awake:
        await house.wake(number)
    halfway = unheard = 0
    step = 0
    while True:
        step += 1
        await house.apply(first)
        before = await house.found("hamlet")
        assert compare(first, await house.store.season.named(["hamlet"]), 0).is_empty
        state = await asking.named(house.client, ["hamlet"])
        id = secrets.token_hex(16)
        house.edge.heal(dies_at=step)
        try:
            await asking.apply(house.client, id, state.fingerprint, second)
        except Problem as problem:
            assert problem.status == 503
        else:
            break
        # Rows are all there or none is; actors that were not told yet are noted.
        after = await house.found("hamlet")
        pending = await house.store.season.pending()
        if after == before:
            assert pending == []
        else:
            assert len(after) == 4 and len(after) == len({one.id for one in after})
            told = {one.id for one in after if one.settings == AFTER and one.id in awake}
            left = {one.performance for each in pending for one in each.todo}
            assert told | left == set(awake) and not told & left
            halfway += bool(left)
            unheard += not left
        house.edge.heal()
        done = await asking.apply(house.client, id, state.fingerprint, second)
        assert done == asking.Applied(*((1, 2, 1) if step == 1 or len(before) == 3 else (0, 3, 1)))
        assert await house.store.season.pending() == []
        assert compare(second, await house.store.season.named(["hamlet"]), 0).is_empty
    # The control: it did die with actors untold, and with nothing left but the answer.
    assert halfway >= 3 and unheard >= 2 and step > 10
    assert house.edge.calls.count("submit") == 2


async def test_a_gateway_that_starts_finishes_what_another_left(house: House) -> None:
    await house.apply(programme("lear", BEFORE, 1))
    (one,) = await house.found("lear")
    await house.wake(one.id)
    house.edge.heal(dies_at=7)  # when the change is written, and its actor is not told
    with pytest.raises(Problem):
        await house.apply(programme("lear", AFTER, 1))
    (pending,) = await house.store.season.pending()
    assert [each.performance for each in pending.todo] == [one.id]
    assert (await house.found("lear"))[0].settings == BEFORE
    house.edge.heal()
    config = Config(session_key=b"k" * 32, ticket_key=b"t" * 32)
    app = gateway_app.build(house.edge.backend, config)
    other = await gateway_app.serve(app, "127.0.0.1", 0)
    try:
        await app[gateway_app.FINISHING]
    finally:
        await other.stop()
    assert await house.store.season.pending() == []
    assert (await house.found("lear"))[0].settings == AFTER
    path = f"/api/performances/{one.id}/allocations?name=press"
    [kept] = (await house.client.ask(dict[str, Any], "GET", path))["allocations"]
    told = [kept[name] for name in ("name", "channels", "left", "indices")]
    assert told == ["press", ["phone"], 2, [0, 1]]


async def test_a_change_in_between_is_refused_and_a_repeated_apply_is_empty(house: House) -> None:
    await house.apply(programme("faust", BEFORE, 1, 2))
    one, _ = await house.found("faust")
    state = await asking.named(house.client, ["faust"])
    path = f"/api/performances/{one.id}/settings"
    await house.client.ask(Settings, "PUT", path, msgspec.to_builtins(AFTER))
    wanted = programme("faust", replace(BEFORE, status=SaleStatus.CLOSED), 1, 2)
    with pytest.raises(Problem) as caught:
        await asking.apply(house.client, secrets.token_hex(16), state.fingerprint, wanted)
    assert (caught.value.status, caught.value.code) == (409, "programme_changed")
    assert [canonical(each.settings) for each in await house.found("faust")] == [
        canonical(AFTER), canonical(BEFORE),
    ]  # fmt: skip
    assert await house.apply(wanted) == asking.Applied(0, 2, 0)
    assert await house.apply(wanted) == asking.Applied(0, 0, 0)
    assert await house.apply(programme("faust", BEFORE)) == asking.Applied(0, 0, 2)
    assert await house.apply(programme("faust", BEFORE)) == asking.Applied(0, 0, 0)
