"""The model of the store answers as the real journal on a real Postgres does."""

from collections.abc import AsyncIterator
from random import Random

import pytest

from engine.journal import Append, Succeeded
from engine.projection import KEEP_VERSION, Projection
from persistence.journal import JournalCorrupt
from persistence.store import Store as RealStore
from persistence.url import connect
from tests.persistence.houses import NOW_MS, Opened, open_house, ticket
from tests.sim.store import House, Store

STEPS = 250


@pytest.fixture
async def real(database_url: str) -> AsyncIterator[RealStore]:
    async with await RealStore.open(database_url) as opened:
        yield opened


@pytest.fixture
async def opened(real: RealStore) -> Opened:
    return await open_house(real)


class Both:
    """The real journal and the model, asked the same."""

    def __init__(self, real: RealStore, performances: list[int], seed: int) -> None:
        self.real = real.journal
        self.model = Store()
        self.random = Random(seed)
        self.performances = performances
        self.sold = dict.fromkeys(performances, 0)
        self.succeeded = 0
        for performance in performances:
            self.model.houses[performance] = House(b"the plan", b"")

    def batch(self) -> Append:
        """Mostly right; else of an old reign, or not at the head, or with a seat sold twice."""
        draw = self.random
        performance = draw.choice(self.performances)
        house = self.model.houses[performance]
        epoch = house.epoch - (draw.random() < 0.1)
        prev_seq = house.head_seq + draw.choice([0] * 12 + [-1, 1, 3])
        if draw.random() < 0.2:
            return Append(performance, epoch, prev_seq, prev_seq, 0, b"")
        states, tickets = [], []
        if self.sold[performance] and draw.random() < 0.4:
            number = draw.randint(1, self.sold[performance])
            states.append((number, "refunded", KEEP_VERSION))
        for _ in range(draw.choice([0, 0, 1, 1, 2])):
            self.sold[performance] += 1
            tickets.append(ticket(self.sold[performance], draw.randrange(8)))
        rows = Projection(tuple(tickets), tuple(states))
        seq = prev_seq + draw.randint(1, 3)
        return Append(performance, epoch, prev_seq, seq, NOW_MS, b"events", rows)

    async def step(self) -> str:
        what = self.random.choice(["append"] * 8 + ["claim", "snapshot", "tail"])
        await getattr(self, what)()
        return what

    async def append(self) -> None:
        batches = [self.batch() for _ in range(self.random.choice([1, 1, 2, 3]))]
        assert list(await self.real.append(batches)) == self.model.append(batches)

    async def claim(self) -> None:
        performance = self.random.choice(self.performances)
        serving = self.random.choice(["here", "there"])
        since = self.random.choice([0, self.model.houses[performance].epoch - 1])
        try:
            modelled = self.model.claim(performance, serving, since)
        except Succeeded:
            self.succeeded += 1
            with pytest.raises(Succeeded):
                await self.real.claim(performance, serving, since)
            return
        told = await self.real.claim(performance, serving, since)
        assert (told.epoch, told.head_seq) == (modelled.epoch, modelled.head_seq)
        assert told.snapshot == modelled.snapshot

    async def snapshot(self) -> None:
        performance = self.random.choice(self.performances)
        house = self.model.houses[performance]
        epoch = house.epoch - (self.random.random() < 0.2)
        seq = house.head_seq + (self.random.random() < 0.2)
        given = performance, epoch, seq, b"state"
        assert await self.real.save_snapshot(*given) == self.model.save_snapshot(*given)

    async def tail(self) -> None:
        performance = self.random.choice(self.performances)
        head = self.model.houses[performance].head_seq
        after = self.random.randint(0, head)
        answers = []
        for ask in (self.real.tail_page(performance, after, head), None):
            try:
                answers.append(
                    self.model.tail_page(performance, after, head, 1_000) if ask is None
                    else await ask
                )  # fmt: skip
            except JournalCorrupt:
                answers.append([(-1, b"corrupt")])
        assert answers[0] == answers[1]


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_model_is_the_journal(
    real: RealStore, opened: Opened, database_url: str, seed: int
) -> None:
    both = Both(real, [opened.first, opened.second], seed)
    for performance in both.performances:
        await both.real.claim(performance, "here")
        both.model.claim(performance, "here")
    for _ in range(STEPS):
        await both.step()
    assert both.model.fenced > 10
    assert both.model.walls > 10
    assert both.succeeded > 2
    connection = await connect(database_url)
    try:
        for performance in both.performances:
            rows = await connection.fetch(
                "SELECT number, order_id, seat, state, version FROM tickets WHERE performance = $1",
                performance,
            )
            found = {row["number"]: tuple(row)[1:] for row in rows}
            assert found == {
                number: tuple(row) for number, row in both.model.houses[performance].tickets.items()
            }
    finally:
        await connection.close()
