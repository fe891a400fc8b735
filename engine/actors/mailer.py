"""Sends the mails of the outbox, one process in the cluster.

Delivery guarantees:
- A mail is claimed before it is sent, and nobody else has it then. A sender that dies leaves its
  claim behind, which ends with its lease: the mail is sent after that.
- Whether a mail was taken is unknown when the server had all of it and the answer was lost. Then
  it is sent again, with the same Message-ID: a buyer without tickets stands before a closed door,
  one with two mails has the same tickets twice, and each admits once. Mailboxes that know the
  Message-ID show one of the two.
- What a server refuses for good is not asked again; everything else is, ever more slowly, until
  it is given up. That the server was away counts as no attempt of a mail.

Owns the rhythm, how many are sent at once, and what becomes of each. Knows no SQL, no words and
no SMTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

from engine.actors.performance import now_ms
from engine.actors.use import own_use
from engine.mails import (
    GIVE_UP_MS,
    Composed,
    Due,
    Mail,
    MailState,
    Refused,
    Unknown,
    Unreached,
    still_true,
    wait_ms,
)
from engine.status import MailStatus

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Pause between two looks at an outbox with nothing due."""
LANES: Final = 4
"""Mails that are sent at once."""
SENDING_S: Final = 480.0
"""To write and hand over one mail, at the most; well under the lease of its claim."""
RESTS_S: Final = (5.0, 15.0, 60.0, 300.0)
"""While the server is away nobody is sent anything for this long, after the first time..."""
PRUNE_S: Final = 3_600.0


class Outbox(Protocol):
    """`persistence.mails`. Raises anything when the database does not answer."""

    async def claim(self) -> Due | None: ...

    async def settle(
        self, due: Due, state: MailState, wait_ms: int, reason: str, attempts: int
    ) -> bool:
        """False when the claim was over."""
        ...

    async def waiting(self) -> tuple[int, int]:
        """How many, and since when the oldest, 0 for none."""
        ...

    async def prune(self) -> int: ...


class Post(Protocol):
    """Where mails are handed over. Raises an engine.mails.MailError."""

    async def send(self, mail: Composed) -> None: ...

    async def rest(self) -> None:
        """Nothing is to be sent for a while."""
        ...


class _Ending(NamedTuple):
    """What becomes of a mail, in how long it is due again, and whether that was an attempt."""

    state: MailState
    pause_ms: int = 0
    reason: str = ""
    counts: bool = True


class Mailer:
    """See the module. Construct inside a running event loop. Without `post` all mails wait."""

    def __init__(
        self,
        outbox: Outbox,
        compose: Callable[[Due], Awaitable[Composed]],
        post: Post | None,
        clock_ms: Callable[[], int] = now_ms,
        look_s: float = LOOK_S,
    ) -> None:
        self._outbox = outbox
        self._compose = compose
        self._clock_ms = clock_ms
        self._look_s = look_s
        self._lanes = asyncio.Semaphore(LANES)
        self._under_way: set[asyncio.Task[None]] = set()
        self._missed = False  # the server, since the last rest
        self._rests = 0  # in a row
        self._sent = self._failed = 0
        self._pruned_s = -PRUNE_S
        self._working = asyncio.create_task(self._work_forever(post)) if post else None

    async def close(self) -> None:
        """Stop at once; what was under way is sent again when its lease is over."""
        tasks = {*self._under_way, *filter(None, [self._working])}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def status(self) -> MailStatus:
        waiting, since_ms = await self._outbox.waiting()
        oldest_s = (self._clock_ms() - since_ms) / 1_000 if since_ms else 0.0
        reached = not (self._missed or self._rests)
        return MailStatus(waiting, max(0.0, oldest_s), self._sent, self._failed, reached, own_use())

    async def _work_forever(self, post: Post) -> None:
        while True:
            try:
                if not await self._begin_one(post):
                    await self._prune()
                    await asyncio.sleep(self._look_s)
            except Exception as error:
                log.warning("the outbox does not answer: %r", error)
                await asyncio.sleep(self._look_s)
            if self._missed:
                await asyncio.sleep(self._rest_s())
                self._missed = False
                self._rests += 1

    async def _begin_one(self, post: Post) -> bool:
        """Send the next mail beside those under way; False when none is due."""
        await self._lanes.acquire()  # before the claim, whose lease runs
        due = None
        try:
            due = await self._outbox.claim()
        finally:
            if due is None:
                self._lanes.release()
        if due is None:
            if not self._under_way:
                await post.rest()
            return False
        task = asyncio.create_task(self._one(due, post))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        if self._rests:
            await asyncio.wait({task})  # one is enough to see whether the server is back
        return True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._lanes.release()

    async def _one(self, due: Due, post: Post) -> None:
        ending = await self._sent_or_why(due, post)
        match ending.state:
            case MailState.SENT:
                self._sent += 1
            case MailState.FAILED:
                self._failed += 1
                log.error("mail %d (%s) is not sent: %s", due.id, due.key, ending.reason)
            case _:
                log.warning("mail %d (%s): %s", due.id, due.key, ending.reason)
        # Else it would be sent again when its lease is over: nobody else knows that it was.
        settled = await self._settled(due, ending)
        while not settled:
            await asyncio.sleep(self._look_s)
            settled = await self._settled(due, ending)

    async def _settled(self, due: Due, ending: _Ending) -> bool:
        """Whether what became of it is kept, or can be no more."""
        attempts = due.attempts if ending.counts else due.attempts - 1
        try:
            if not await self._outbox.settle(
                due, ending.state, ending.pause_ms, ending.reason, attempts
            ):
                log.warning("mail %d (%s): its claim was over", due.id, due.key)
        except Exception as error:
            log.warning("mail %d (%s) is not settled: %r", due.id, due.key, error)
            return self._clock_ms() >= due.until_ms
        return True

    async def _sent_or_why(self, due: Due, post: Post) -> _Ending:
        if due.order is not None and not still_true(Mail(due.kind, due.cause), due.order):
            return _Ending(MailState.DROPPED, reason=f"the order is {due.order.state.value}")
        if due.again:
            log.warning("mail %d (%s): it may have been sent before", due.id, due.key)
        try:
            async with asyncio.timeout(SENDING_S):
                await post.send(await self._compose(due))
        except Unreached as error:
            self._missed = True
            ending = self._later(due, int(self._rest_s() * 1_000), str(error))
            return ending._replace(counts=False)
        except Refused as error:
            ending = _Ending(MailState.FAILED, reason=str(error))
        except Unknown as error:
            ending = self._later(due, wait_ms(due.attempts), f"perhaps it was sent: {error}")
        except Exception as error:
            # Deferred, or what it is made from cannot be read now.
            ending = self._later(due, wait_ms(due.attempts), str(error) or repr(error))
        else:
            ending = _Ending(MailState.SENT)
        self._rests = 0
        return ending

    def _later(self, due: Due, pause_ms: int, reason: str) -> _Ending:
        if self._clock_ms() - due.since_ms >= GIVE_UP_MS:
            return _Ending(MailState.FAILED, reason=f"given up: {reason}")
        return _Ending(MailState.WAITING, pause_ms, reason)

    def _rest_s(self) -> float:
        return RESTS_S[min(self._rests, len(RESTS_S) - 1)]

    async def _prune(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._pruned_s >= PRUNE_S:
            while await self._outbox.prune():
                pass
            self._pruned_s = now_s
