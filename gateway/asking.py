"""A command asked by somebody who waits for its outcome: an HTTP handler.

Owns nothing but the waiting; the command goes the same way as those of the websockets.
"""

import asyncio

import msgspec

from engine.commands import Command, Outcome
from gateway.backend import BackendUnavailable
from gateway.batcher import Batcher

_encode = msgspec.msgpack.Encoder().encode


async def ask(batcher: Batcher, performance: int, kind: str, command: Command) -> Outcome:
    """What becomes of the command. Raises BackendUnavailable when it was shed."""
    answer = _Answer()
    batcher.offer(performance, answer, command.id, kind, _encode(command))
    return await answer.outcome


class _Answer:
    """A `gateway.batcher.Receiver` of one command."""

    _decode = msgspec.msgpack.Decoder(Outcome).decode

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def answer(self, id: bytes, kind: str, outcome: str, raw: msgspec.Raw | bytes) -> None:
        if not self.outcome.done():
            self.outcome.set_result(self._decode(raw))

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(BackendUnavailable(reason))
