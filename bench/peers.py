"""The same holds by other means: what a good engineer would write without this engine.

Owns four peers. Each claims single seats for a tenth of a second, all or
nothing, and counts a hold only when it is durable and answered:

- Postgres row locks: sixteen connections, one statement a hold, which locks its
  rows, looks at them and takes them.
- Postgres in batches: four connections, 500 holds a statement by `unnest`, each
  connection with seats of its own so that none waits for another's locks.
- Redis: a script per hold, 50 clients, `appendfsync always`.
- One Ray call per command: our own performance actor, 64 callers, no batches.

None of the first three remembers ids, keeps a history, has rules or tells
watchers. Both Postgres peers use the server that our own figures are made on.
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.durable import HELD, HOLD_MS, batches
from bench.figures import Rate
from persistence.url import connect

if TYPE_CHECKING:
    from engine.actors.wiring import Installation

WARM_UP_S: Final = 0.5
ROW_LOCK_CONNECTIONS: Final = 16
BATCH_CONNECTIONS: Final = 4
BATCH_HOLDS: Final = 500
REDIS_CLIENTS: Final = 50
RAY_CALLERS: Final = 64
_START_S: Final = 10.0

# Room in every page, so that an update stays on it and touches no index.
_TABLE: Final = """
DROP TABLE IF EXISTS peer_seats;
CREATE TABLE peer_seats (
    id int4 PRIMARY KEY, holder bytea, until_ms int8 NOT NULL
) WITH (fillfactor = 40);
"""
_FILL: Final = "INSERT INTO peer_seats SELECT id, NULL, 0 FROM generate_series(0, $1 - 1) AS id"
_HOLD: Final = """
WITH wanted AS (
    SELECT until_ms FROM peer_seats WHERE id = ANY($1) ORDER BY id FOR UPDATE
), found AS (
    SELECT count(*) FILTER (WHERE until_ms <= $3) = cardinality($1::int4[]) AS free FROM wanted
)
UPDATE peer_seats s SET holder = $2, until_ms = $4 FROM found
WHERE found.free AND s.id = ANY($1) RETURNING s.id
"""
_HOLD_MANY: Final = """
UPDATE peer_seats s SET holder = wanted.holder, until_ms = $4
FROM unnest($1::int4[], $2::bytea[]) AS wanted (id, holder)
WHERE s.id = wanted.id AND s.until_ms <= $3 RETURNING s.id
"""
_SCRIPT: Final = b"""
for _, seat in ipairs(KEYS) do
    if redis.call('EXISTS', seat) == 1 then return 0 end
end
for _, seat in ipairs(KEYS) do
    redis.call('SET', seat, ARGV[1], 'PX', ARGV[2])
end
return 1
"""


class PeerMissing(Exception):
    """This machine has not got what the peer needs; the text says what."""


async def _drive(asking: list[Callable[[], Awaitable[int]]], seconds: float) -> Rate:
    """Each asks again and again, one question at a time; they answer how many holds they got."""
    answers: list[tuple[float, float, int]] = []
    begins_s = time.perf_counter() + WARM_UP_S
    ends_s = begins_s + seconds

    async def one(ask: Callable[[], Awaitable[int]]) -> None:
        sent_s = time.perf_counter()
        while sent_s < ends_s:
            many = await ask()
            done_s = time.perf_counter()
            answers.append((done_s, done_s - sent_s, many))
            sent_s = done_s

    await asyncio.gather(*map(one, asking))
    return Rate.of(answers, begins_s, ends_s)


@contextlib.asynccontextmanager
async def _connections(url: str, seats: int, many: int) -> AsyncIterator[list[Any]]:
    opened = [await connect(url, synchronous_commit="on") for _ in range(many)]
    try:
        await opened[0].execute(_TABLE)
        await opened[0].execute(_FILL.replace("$1", str(seats)))
        await opened[0].execute("VACUUM ANALYZE peer_seats")
        yield opened
    finally:
        for connection in opened:
            await connection.close()


async def postgres_row_lock(url: str, seats: int, seconds: float) -> Rate:
    async with _connections(url, seats, ROW_LOCK_CONNECTIONS) as opened:

        def asks(number: int, connection: Any) -> Callable[[], Awaitable[int]]:
            seat = number

            async def ask() -> int:
                nonlocal seat
                seat = (seat + ROW_LOCK_CONNECTIONS) % seats
                now_ms = time.time_ns() // 1_000_000
                holder = os.urandom(16)
                return len(await hold.fetch([seat], holder, now_ms, now_ms + HOLD_MS))

            hold = prepared[number]
            return ask

        prepared = [await connection.prepare(_HOLD) for connection in opened]
        return await _drive([asks(*one) for one in enumerate(opened)], seconds)


async def postgres_batched(url: str, seats: int, seconds: float) -> Rate:
    async with _connections(url, seats, BATCH_CONNECTIONS) as opened:
        own = seats // BATCH_CONNECTIONS
        prepared = [await connection.prepare(_HOLD_MANY) for connection in opened]

        def asks(number: int) -> Callable[[], Awaitable[int]]:
            place = 0

            async def ask() -> int:
                nonlocal place
                wanted = [number * own + (place + one) % own for one in range(BATCH_HOLDS)]
                place += BATCH_HOLDS
                holders = [os.urandom(16)] * BATCH_HOLDS
                now_ms = time.time_ns() // 1_000_000
                hold = prepared[number]
                return len(await hold.fetch(wanted, holders, now_ms, now_ms + HOLD_MS))

            return ask

        return await _drive([asks(number) for number in range(BATCH_CONNECTIONS)], seconds)


class _RedisClient(asyncio.Protocol):
    """One question at a time; integers and one-line answers are all that is needed."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes]
        self._transport: Any = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"\r\n"):
            answer, self._buffer = self._buffer, b""
            self._answer.set_result(answer)

    def ask(self, *words: bytes) -> asyncio.Future[bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        parts = b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
        self._transport.write(b"*%d\r\n%b" % (len(words), parts))
        return self._answer

    def close(self) -> None:
        self._transport.close()


async def redis_lua(folder: Path, seats: int, seconds: float) -> Rate:
    """Starts a server of its own in `folder`. Raises PeerMissing."""
    program = shutil.which("redis-server")
    if program is None:
        raise PeerMissing("redis-server is not installed")
    socket = folder / "redis.sock"
    server = await asyncio.create_subprocess_exec(
        program,
        *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        clients = [await _redis_client(socket) for _ in range(REDIS_CLIENTS)]
        digest = (await clients[0].ask(b"SCRIPT", b"LOAD", _SCRIPT)).split(b"\r\n")[1]

        def asks(number: int) -> Callable[[], Awaitable[int]]:
            client, seat = clients[number], number

            async def ask() -> int:
                nonlocal seat
                seat = (seat + REDIS_CLIENTS) % seats
                answer = await client.ask(
                    b"EVALSHA", digest, b"1", b"seat:%d" % seat, os.urandom(16), b"%d" % HOLD_MS
                )
                if not answer.startswith(b":"):
                    raise RuntimeError(f"redis answered {answer!r}")
                return int(answer[1:])

            return ask

        rate = await _drive([asks(number) for number in range(REDIS_CLIENTS)], seconds)
        for client in clients:
            client.close()
        return rate
    finally:
        server.terminate()
        await server.wait()
        shutil.rmtree(folder / "appendonlydir", ignore_errors=True)


async def _redis_client(socket: Path) -> _RedisClient:
    ends_s = time.monotonic() + _START_S
    while True:
        try:
            loop = asyncio.get_running_loop()
            _, client = await loop.create_unix_connection(_RedisClient, str(socket))
            return client
        except OSError as error:
            if time.monotonic() > ends_s:
                raise PeerMissing(f"redis-server does not start: {error}") from error
            await asyncio.sleep(0.05)


def called_through_ray() -> "type[Installation]":
    """An installation whose performances take a batch by a Ray call as well."""
    from engine.actors.wiring import DirectoryProcess, Installation, PerformanceProcess

    class CalledThroughRay(PerformanceProcess):
        async def submit(self, batch: bytes) -> bytes:
            return await self._actor.submit(batch)

    class Directory(DirectoryProcess):
        performance_process = CalledThroughRay

    class Called(Installation):
        directory_process = Directory

    return Called


async def ray_per_command(performance: int, seats: int, seconds: float, first_id: int) -> Rate:
    """Our own actor, called through Ray with one command a call."""
    import ray

    from engine.actors.wiring import DIRECTORY

    _, actor = await ray.get_actor(DIRECTORY).locate.remote(performance)
    loads = batches(seats, 1, first_id)

    async def ask() -> int:
        reply: bytes = await actor.submit.remote(next(loads))
        return reply.count(HELD)

    return await _drive([ask] * RAY_CALLERS, seconds)
