"""Many questions, few statements."""

import asyncio
from collections.abc import Sequence

import pytest

from persistence import together as together_module
from persistence.together import Together


class Slow:
    """Answers its keys in capitals when the gate is open; `asked` are its questions."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[list[str]] = []
        self.error: BaseException | None = None

    async def ask(self, keys: Sequence[str]) -> dict[str, str]:
        self.asked.append(list(keys))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {key: key.upper() for key in keys if key != "nothing"}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_meanwhile_is_asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together_module, "MAX_TOGETHER", 3)
    slow = Slow()
    together = Together(slow.ask)
    first = asyncio.create_task(together.get("a"))
    await settle()
    rest = [asyncio.create_task(together.get(key)) for key in ("b", "c", "b", "nothing", "d", "a")]
    await settle()
    assert slow.asked == [["a"]], "one is under way"
    slow.gate.set()
    assert await first == "A"
    assert await asyncio.gather(*rest) == ["B", "C", "B", None, "D", "A"]
    assert slow.asked == [["a"], ["b", "c", "nothing"], ["d", "a"]], (
        "who came after the first was asked is not told what it found"
    )


async def test_all_hear_of_an_error_and_the_next_is_asked_anew() -> None:
    slow = Slow()
    slow.gate.set()
    slow.error = ConnectionError("away")
    together = Together(slow.ask)
    told = await asyncio.gather(together.get("a"), together.get("b"), return_exceptions=True)
    assert [type(one) for one in told] == [ConnectionError] * 2
    slow.error = None
    assert await together.get("a") == "A"


async def test_who_gives_up_takes_nobody_along() -> None:
    slow = Slow()
    together = Together(slow.ask)
    one, other = (asyncio.create_task(together.get("a")) for _ in range(2))
    await settle()
    one.cancel()
    slow.gate.set()
    assert await other == "A"
    assert one.cancelled()
