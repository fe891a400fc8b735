"""The server with its commit rule switched off: replies leave before the commit.

For the positive control of the crash tests. The commit is also slow, as a busy
disk makes it, so that the gap between word and deed is wide enough to fall into.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from engine.commands import Outcome

COMMIT_DELAY_S = 3.0


def main(data: str, port: str) -> int:
    from console.serve import serve
    from renderers.i18n import translator

    return serve(Path(data), None, "127.0.0.1", int(port), translator("en"), prepare=_switch_off)


def _switch_off() -> None:
    from engine.actors import wiring
    from engine.actors.performance import PerformanceActor

    class CarelessWriter(PerformanceActor):
        async def submit(self, batch: bytes) -> bytes:
            await self._wait_ready()
            now = self._clock_ms()
            outcomes: list[Outcome] = [
                self._core.apply(command, now) for command in self._decode(batch)
            ]
            self._decided_seq = self._drained_seq + len(self._core.events)
            self._wake.set()
            return msgspec.msgpack.encode(outcomes)

        async def _commit(self) -> None:
            await asyncio.sleep(COMMIT_DELAY_S)
            await super()._commit()

    class CarelessPerformance(wiring.PerformanceProcess):
        writer = CarelessWriter

    class CarelessDirectory(wiring.DirectoryProcess):
        performance_process = CarelessPerformance

    wiring.Installation.directory_process = CarelessDirectory


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
