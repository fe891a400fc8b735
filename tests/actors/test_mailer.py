"""What becomes of each mail, and at which pace: an outbox in memory, a post with a script."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from engine.actors import mailer
from engine.actors.mailer import Mailer
from engine.mails import (
    GIVE_UP_MS,
    WAITS_MS,
    Composed,
    Deferred,
    Due,
    MailKind,
    MailState,
    Refused,
    Unknown,
    Unreached,
)
from engine.orders import OrderState
from tests.engine.test_mails import at


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


class Outbox:
    """As `persistence.mails`, with every settling noted."""

    def __init__(self, clock: Clock, *due: Due) -> None:
        self.due = list(due)
        self.clock = clock
        self.settled: list[tuple[int, MailState, int, str, int]] = []
        self.changed = asyncio.Condition()
        self.failures = self.unsettled = 0
        self.pruned = 0

    async def claim(self) -> Due | None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        return self.due.pop(0) if self.due else None

    async def settle(
        self, due: Due, state: MailState, wait_ms: int, reason: str, attempts: int
    ) -> bool:
        if self.unsettled:
            self.unsettled -= 1
            raise ConnectionError("the database is away")
        async with self.changed:
            self.settled.append((due.id, state, wait_ms, reason, attempts))
            self.changed.notify_all()
        return True

    async def waiting(self) -> tuple[int, int]:
        return len(self.due), self.clock.now_ms - 5_000 if self.due else 0

    async def prune(self) -> int:
        self.pruned += 1
        return 0

    async def until(self, settled: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.settled) >= settled)


class Post:
    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.sent: list[str] = []
        self.at_once = self.most_at_once = 0

    async def send(self, mail: Composed) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.sent.append(mail.message_id)

    async def rest(self) -> None:
        """Nothing is held open."""


def due(id: int, state: OrderState = OrderState.PAID, **changes: object) -> Due:
    made = Due(id, f"{id}/paid//", MailKind.PAID, "", "", at(state), 1, 0, 1_000_000, 9, False)
    return structs.replace(made, **changes)


async def compose(one: Due) -> Composed:
    return Composed("a@b.example", "c@d.example", f"<{one.id}@b.example>", b"")


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
async def no_rests(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(mailer, "RESTS_S", (0.01, 0.02))
    yield


W, F = MailState.WAITING, MailState.FAILED


@pytest.mark.parametrize(
    ("one", "answer", "settled"),
    [
        (due(1), None, (MailState.SENT, 0, "", 1)),
        (due(1), Refused("550 no"), (F, 0, "550 no", 1)),
        (due(1), Deferred("450 later"), (W, WAITS_MS[0], "450 later", 1)),
        (due(1, attempts=3), Deferred("450 later"), (W, WAITS_MS[2], "450 later", 3)),
        (due(1, attempts=99), Deferred("450 later"), (W, WAITS_MS[-1], "450 later", 99)),
        (due(1), Unknown("cut"), (W, WAITS_MS[0], "perhaps it was sent: cut", 1)),
        (due(1), Unreached("away"), (W, 10, "away", 0)),  # which was no attempt
        (due(1), KeyError("a bug"), (W, WAITS_MS[0], "'a bug'", 1)),
        (due(1, since_ms=1_000_000 - GIVE_UP_MS), Deferred("450"), (F, 0, "given up: 450", 1)),
        (due(1, since_ms=1_000_001 - GIVE_UP_MS), Deferred("450"), (W, WAITS_MS[0], "450", 1)),
        (due(1, OrderState.REFUNDED), None, (MailState.DROPPED, 0, "the order is refunded", 1)),
    ],
)
async def test_what_becomes_of_a_mail(
    clock: Clock, one: Due, answer: Exception | None, settled: tuple[MailState, int, str, int]
) -> None:
    outbox, post = Outbox(clock, one), Post(answer)
    sender = Mailer(outbox, compose, post, clock, look_s=0.01)
    await outbox.until(1)
    status = await sender.status()
    await sender.close()
    assert outbox.settled == [(1, *settled)]
    assert (status.sent, status.failed) == (settled[0] is MailState.SENT, settled[0] is F)
    assert status.reached is not isinstance(answer, Unreached)
    assert len(post.sent) == (settled[0] is MailState.SENT)


async def test_mails_are_sent_some_at_once_and_all_of_them(clock: Clock) -> None:
    outbox, post = Outbox(clock, *map(due, range(40))), Post()
    sender = Mailer(outbox, compose, post, clock, look_s=0.01)
    await outbox.until(40)
    await sender.close()
    assert sorted(one[0] for one in outbox.settled) == list(range(40))
    assert 1 < post.most_at_once <= mailer.LANES
    assert outbox.pruned <= 1


async def test_while_the_server_is_away_one_mail_at_a_time_looks_for_it(clock: Clock) -> None:
    outbox = Outbox(clock, *map(due, range(20)))
    post = Post(*[Unreached("away")] * 8)
    sender = Mailer(outbox, compose, post, clock, look_s=0.01)
    await outbox.until(20)
    status = await sender.status()
    await sender.close()
    states = [one[1] for one in sorted(outbox.settled)]
    assert states.count(W) == 8 and states.count(MailState.SENT) == 12
    assert status.reached  # again
    # The first, with as many as were under way beside it, wait shortly; the others longer.
    waits = [one[2] for one in outbox.settled if one[1] is W]
    assert waits[0] == 10 and waits[-1] == 20


async def test_it_goes_on_when_the_database_was_away(clock: Clock) -> None:
    outbox, post = Outbox(clock, due(1)), Post()
    outbox.failures = 3
    sender = Mailer(outbox, compose, post, clock, look_s=0.01)
    await outbox.until(1)
    await sender.close()
    assert len(post.sent) == 1


async def test_a_mail_that_was_sent_is_settled_when_the_database_is_back(clock: Clock) -> None:
    outbox, post = Outbox(clock, due(1, until_ms=clock.now_ms + 1)), Post()
    outbox.unsettled = 5
    sender = Mailer(outbox, compose, post, clock, look_s=0.01)
    await outbox.until(1)
    await sender.close()
    assert len(post.sent) == 1 and not outbox.unsettled
    # Not for ever: when its lease is over, it is somebody else's.
    outbox, post = Outbox(clock, due(1), due(2)), Post()
    outbox.unsettled = 1
    sender = Mailer(outbox, compose, post, clock, look_s=0.01)
    await outbox.until(1)
    await sender.close()
    assert len(post.sent) == 2 and len(outbox.settled) == 1


async def test_without_a_post_mails_wait_and_are_counted(clock: Clock) -> None:
    outbox = Outbox(clock, due(1), due(2))
    sender = Mailer(outbox, compose, None, clock)
    status = await sender.status()
    await sender.close()
    assert (status.waiting, status.oldest_s, status.reached) == (2, 5.0, True)
