"""The backend in memory keeps the contract, so that tests over it mean something."""

from collections.abc import AsyncIterator

import pytest

from tests.actors.houses import settings, small_plan
from tests.fakes.backend import FakeBackend
from tests.gateway.backend_contract import BackendContract, Subject

HOLD_MS = 3_000


class TestFakes(BackendContract):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[Subject]:
        fake = FakeBackend()
        plan = small_plan()
        number = fake.add_performance(plan, settings(hold_ms=HOLD_MS))
        yield Subject(fake.backend, number, plan, HOLD_MS)
        await fake.close()
