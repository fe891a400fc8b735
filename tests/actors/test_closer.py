"""Who closes the books looks again and again, whatever happened the last time."""

import asyncio

from engine.actors.closer import Closer


class Books:
    def __init__(self) -> None:
        self.looks = 0

    async def close_due(self) -> int:
        self.looks += 1
        if self.looks == 2:
            raise ConnectionError("the database is away")
        return 1 if self.looks == 3 else 0


async def test_it_goes_on_after_a_failure() -> None:
    books = Books()
    closer = Closer(books, look_s=0.01)
    async with asyncio.timeout(20):
        while books.looks < 4:  # noqa: ASYNC110 - its looks are not ours to signal
            await asyncio.sleep(0.01)
    await closer.close()
    looks = books.looks
    await asyncio.sleep(0.05)
    assert books.looks == looks
