"""Feeds a target: what it does with right inputs, with damaged ones, and what is new about that.

Owns the loop and the verdict. An input that makes a target do what no other did (another word,
another refusal) joins the pool, so that damage builds on damage.
"""

import re
import time
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from tests.fuzz.mutate import Mutator
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, Target

MAX_POOL: int = 2_000
SLOW_S: float = 2.0
"""One input of at most 64 KiB that takes longer hangs a process that others wait for."""
_PARTICULARS = re.compile(r"[0-9a-f]{6,}|\d+|'[^']*'|\"[^\"]*\"|`[^`]*`")


class Broken(Exception):
    """A target broke on `data`."""

    def __init__(self, target: str, data: bytes, why: str) -> None:
        super().__init__(f"{target}: {why}")
        self.target = target
        self.data = data


class Fed(Struct):
    """What became of the inputs of one target."""

    inputs: int
    words: Counter[str]

    @property
    def refused(self) -> int:
        return sum(count for word, count in self.words.items() if word.startswith("!"))


def feed(name: str, data: bytes) -> str:
    """What the target says of an input: a word, or "!" and how it refused. Raises Broken."""
    target: Target = TARGETS[name]
    began_s = time.perf_counter()
    try:
        word = target.run(data)
    except target.right as refusal:
        text = _PARTICULARS.sub("", str(refusal))[:120]
        word = f"!{type(refusal).__name__} {text}"
    except RecursionError as error:
        raise Broken(name, data, f"recursion: {error!r}") from error
    except Exception as error:
        raise Broken(name, data, repr(error)) from error
    took_s = time.perf_counter() - began_s
    if took_s > SLOW_S:
        raise Broken(name, data, f"took {took_s:.1f} s for {len(data)} bytes")
    return word


def fuzz(name: str, seed: int, go_on: Callable[[int], bool]) -> Fed:
    """Damaged inputs while `go_on(how many)`. Raises Broken at the first that breaks it."""
    pool = seeds(name)
    mutator = Mutator(seed, pool)
    fed = Fed(0, Counter(feed(name, data) for data in pool))
    while go_on(fed.inputs):
        data = mutator.damaged()
        word = feed(name, data)
        fed.inputs += 1
        if word not in fed.words and len(pool) < MAX_POOL:
            pool.append(data)
        if word in fed.words or len(fed.words) < MAX_POOL:
            fed.words[word] += 1
    return fed
