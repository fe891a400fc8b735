"""The load's clients against a real gateway: they ask what they say, and notice what goes wrong."""

from collections.abc import AsyncIterator

import pytest

from bench import doors as doors_module
from bench import sockets as sockets_module
from bench.doors import Doors
from bench.sockets import closed_loop, doomed, open_loop, spread
from engine.commands import Channel, Checkout, Hold, Line, Sell
from gateway.config import Config
from renderers.secret import generate_key
from tests.actors.houses import settings, small_plan
from tests.fakes.backend import FakeBackend
from tests.gateway.conftest import SESSION_KEY, Running

PLAN = small_plan()
SEATS = len(PLAN.seats)
KEY = generate_key()


@pytest.fixture(autouse=True)
def little_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (doors_module, sockets_module):
        monkeypatch.setattr(module, "WARM_UP_S", 0.1)


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    fake = FakeBackend()
    fake.add_performance(PLAN, settings())
    fake.add_performance(PLAN, settings())
    running = Running(
        fake, Config(session_key=SESSION_KEY, ticket_key=KEY, staff_commands_per_s=1e6)
    )
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def token(gateway: Running) -> str:
    return await gateway.fake.operator_token("Ada", "cashier", "door")


async def test_a_closed_loop_counts_holds_and_leaves_every_seat_free(
    gateway: Running, token: str
) -> None:
    scripts = spread(1, range(SEATS), 4, 1 << 64)
    rate = await closed_loop(gateway.url, token, scripts, 0.3)
    assert rate.per_s > 0 and sum(rate.timeline) == pytest.approx(0.3 * rate.per_s)
    again = spread(1, range(SEATS), 4, 2 << 64)
    assert (await closed_loop(gateway.url, token, again, 0.1)).per_s > 0


async def test_an_open_loop_asks_at_its_rate(gateway: Running, token: str) -> None:
    scripts = spread(1, range(SEATS), 4, 1 << 64)
    rate = await open_loop(gateway.url, token, scripts, 0.5, 100.0)
    assert rate.per_s == pytest.approx(100, abs=20)
    again = spread(1, range(SEATS), 4, 2 << 64)
    assert (await open_loop(gateway.url, token, again, 0.2, 100.0)).per_s > 0


async def test_a_question_is_late_from_when_it_fell_due(gateway: Running, token: str) -> None:
    rate = await open_loop(gateway.url, token, spread(1, range(SEATS), 1, 1 << 64), 1.5, 1.0)
    assert rate.ms(0.5) < 900, "less than the second between two questions"


async def test_an_answer_that_was_not_expected_stops_the_run(gateway: Running, token: str) -> None:
    with pytest.raises(RuntimeError, match="'refused' was expected, not"):
        await closed_loop(gateway.url, token, [doomed(1, range(SEATS), 1)], 0.2, "refused")
    with pytest.raises(RuntimeError, match="no reply but"):
        await closed_loop(
            gateway.url, gateway.buyer_token(), [iter([["scan", bytes(16), 1, "", ""]])], 0.2
        )


async def test_a_token_that_is_no_good_is_told(gateway: Running) -> None:
    with pytest.raises(RuntimeError, match="no welcome but"):
        await closed_loop(gateway.url, "nonsense", spread(1, range(SEATS), 1, 1), 0.1)


async def test_tickets_are_admitted_beside_holds(
    gateway: Running, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors_module, "SCANS_PER_S", 20.0)
    monkeypatch.setattr(doors_module, "BUYERS", 8)
    core = gateway.fake.performances.live[2].core
    seats = tuple(range(SEATS // 2))
    lines = tuple(Line(seat, -1, "adult") for seat in seats)
    for command in (
        Hold(bytes(15) + b"1", bytes(16), "x", Channel.BOX_OFFICE, seats),
        Checkout(bytes(15) + b"2", bytes(16), "order", "", lines),
        Sell(bytes(15) + b"3", bytes(16), "order"),
    ):
        core.apply(command, 0)
    doors = Doors(gateway.url, token, KEY, 2, len(seats), 1)
    rate = await doors.scans(0.5, 1, SEATS, 20.0)
    assert rate.per_s == pytest.approx(20, abs=6)
