"""A real outbox, a real mail server, and what goes wrong between them."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from engine.actors.mailer import LANES, Mailer
from engine.actors.post import SmtpPost
from engine.mail_server import MailServer
from engine.mails import WAITS_MS, MailRow, MailState
from persistence import mails as outbox_module
from persistence.mails import Mails
from persistence.store import Store
from tests.fakes.smtp_server import CUT, HANG, SmtpServer, smtp_server
from tests.integration.mail_sender import compose
from tests.persistence.houses import NOW_MS, open_house
from tests.persistence.test_mails import Clock, paid


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with await Store.open(database_url) as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with smtp_server() as fake:
        yield fake


class House:
    """Paid orders, and senders at a time of our own."""

    def __init__(self, store: Store, server: SmtpServer) -> None:
        self.clock = Clock()
        self.store = store
        self.server = server
        self.outbox = Mails(store._engine, self.clock)
        store.orders._clock_ms = self.clock

    async def sell(self, orders: int) -> None:
        house = await open_house(self.store)
        for seat in range(orders):
            await paid(self.store, house.first, seat)

    def sender(self) -> Mailer:
        post = SmtpPost(MailServer("smtp+plain", "127.0.0.1", self.server.port))
        mails = Mails(self.store._engine, self.clock)
        return Mailer(mails, compose, post, self.clock, look_s=0.02)

    async def rows(self) -> list[MailRow]:
        return await self.outbox.list()

    async def until(self, *states: MailState) -> list[MailRow]:
        """The mails, once all of them are in one of these states and nobody is at any."""
        while True:
            rows = await self.rows()
            if all(row.state in states for row in rows):
                return rows
            await asyncio.sleep(0.02)

    def times(self) -> Counter[str]:
        """How often each mail was received."""
        return Counter(str(one["Message-ID"]) for one in self.server.received)


@pytest.fixture
async def house(store: Store, server: SmtpServer) -> House:
    return House(store, server)


W, SENT, FAILED = MailState.WAITING, MailState.SENT, MailState.FAILED


async def test_each_mail_is_sent_once(house: House) -> None:
    await house.sell(25)
    sender = house.sender()
    rows = await house.until(SENT)
    await sender.close()
    assert set(house.times().values()) == {1} and len(house.times()) == 25
    assert {row.attempts for row in rows} == {1}
    assert house.server.connections <= LANES


async def test_a_server_that_asks_for_patience_gets_the_mail_later(house: House) -> None:
    await house.sell(1)
    house.server.script["RCPT"] = ["450 greylisted", "450 greylisted"]
    sender = house.sender()
    for attempt in (1, 2):
        while (await house.rows())[0].attempts < attempt:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        [row] = await house.until(W)
        assert row.tries[-1].reason == "450 greylisted"
        assert row.due_ms == house.clock.now_ms + WAITS_MS[attempt - 1]
        house.clock.now_ms = row.due_ms
    [row] = await house.until(SENT)
    await sender.close()
    assert row.attempts == 3 and len(row.tries) == 2
    assert list(house.times().values()) == [1]


async def test_a_recipient_who_is_refused_is_not_asked_again(house: House) -> None:
    await house.sell(2)
    house.server.script["RCPT"] = ["550 no such user"]
    sender = house.sender()
    rows = await house.until(SENT, FAILED)
    await sender.close()
    assert sorted(row.state for row in rows) == [FAILED, SENT]
    [failed] = [row for row in rows if row.state is FAILED]
    assert [one.reason for one in failed.tries] == ["550 no such user"]


async def test_an_answer_that_is_lost_means_the_same_mail_again(house: House) -> None:
    await house.sell(1)
    house.server.script["DATA"] = [CUT]
    sender = house.sender()
    await house.server.until(received=1)
    [row] = await house.until(W)
    assert row.tries[0].reason.startswith("perhaps it was sent")
    house.clock.now_ms = row.due_ms
    await house.until(SENT)
    await sender.close()
    # Twice, and recognisable: the same Message-ID.
    assert list(house.times().values()) == [2]


async def test_a_sender_that_is_killed_leaves_its_mail_to_the_next(
    house: House, database_url: str
) -> None:
    await house.sell(1)
    house.clock.now_ms = NOW_MS
    house.server.script["DATA"] = [HANG]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mail_sender", database_url, str(house.server.port)
    )
    await house.server.until(received=1)
    process.kill()
    await process.wait()
    [row] = await house.rows()
    assert row.state is MailState.SENDING
    sender = house.sender()
    # Its lease stands: it might be alive. (The other process's clock is the real one.)
    house.clock.now_ms = row.due_ms - 1
    await asyncio.sleep(0.1)
    assert len(house.server.received) == 1
    house.clock.now_ms = row.due_ms
    [row] = await house.until(SENT)
    await sender.close()
    assert row.attempts == 2 and row.due_ms == 0
    assert list(house.times().values()) == [2]


# Two senders ---------------------------------------------------------------------

_UNGUARDED = sa.text("""
SELECT m.id, m.key, m.order_number, m.kind, m.cause, m.recipient, 1 AS attempts, m.created_ms,
    m.since_ms, m.due_ms, false AS again
FROM mails m WHERE state = 'waiting' AND due_ms <= :now_ms AND CAST(:until_ms AS int8) > 0
ORDER BY due_ms, id LIMIT 1
""")
_SETTLE_ANYHOW = sa.text("""
UPDATE mails SET state = :state, due_ms = :due_ms, ended_ms = :ended_ms, attempts = :attempts
WHERE id = :id AND CAST(:until_ms AS int8) > 0 AND CAST(:told AS jsonb) IS NOT NULL
    AND CAST(:most AS int8) > 0
""")


@pytest.mark.parametrize("guarded", [True, False])
async def test_two_senders_send_nothing_twice_because_of_the_claim(
    house: House, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(outbox_module, "_CLAIM", _UNGUARDED)
        monkeypatch.setattr(outbox_module, "_SETTLE", _SETTLE_ANYHOW)
    await house.sell(30)
    senders = [house.sender(), house.sender()]
    await house.until(SENT)
    await asyncio.gather(*(sender.close() for sender in senders))
    assert len(house.times()) == 30
    # Without it the race is lost at once: this test can tell.
    assert (max(house.times().values()) == 1) is guarded
