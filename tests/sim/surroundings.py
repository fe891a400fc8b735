"""What the code under test reads of the real world, taken from the simulation instead.

Owns the list of it: clocks, random numbers, the process's costs, the log. For as long as
`simulated()` lasts these modules of the product see this module's stand-ins.
"""

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import engine.actors.after_sale
import engine.actors.canceller
import engine.actors.desk
import engine.actors.directory
import engine.actors.handles
import engine.actors.journal
import engine.actors.lane
import engine.actors.performance
import gateway.batcher
import gateway.replica
from engine.status import Use
from gateway.metrics import Metrics
from tests.sim.loop import Simulation

_NO_USE = Use(0, 0.0)
METRICS = Metrics()
"""Counted and never read."""


class _Now:
    """The simulation that runs just now."""

    simulation: Simulation


def run_in(simulation: Simulation, snapshot_every_events: int) -> None:
    """This simulation's time and luck from now on; snapshots as often as that, to have some."""
    _Now.simulation = simulation
    engine.actors.performance.SNAPSHOT_EVERY_EVENTS = snapshot_every_events  # type: ignore[misc]


def _now_s() -> float:
    return _Now.simulation.now_s


def _token_bytes(count: int) -> bytes:
    return _Now.simulation.random.randbytes(count)


def _randrange(first: int, end: int) -> int:
    return first + int(_Now.simulation.draw() * (end - first))


def _uuid4() -> Any:
    return SimpleNamespace(hex=_token_bytes(16).hex())


class _Silent:
    """A log that keeps only what says of itself that it is a bug."""

    def _silent(self, *_: Any, **__: Any) -> None:
        pass

    debug = info = warning = error = _silent

    def exception(self, text: str, *args: Any, **detail: Any) -> None:
        why = sys.exc_info()[1]
        _Now.simulation.unexpected.append(f"{text}: {args or detail}: {why!r}")


def _nothing() -> None:
    pass


# The collector belongs to whoever runs many worlds: nothing of one shall stay for good.
_COLLECTOR = SimpleNamespace(disable=_nothing, enable=_nothing, freeze=_nothing)
_SECRETS = SimpleNamespace(token_bytes=_token_bytes)
_STAND_INS: list[tuple[Any, str, Any]] = [
    (engine.actors.performance, "secrets", _SECRETS),
    (engine.actors.performance, "gc", _COLLECTOR),
    (engine.actors.performance, "time", SimpleNamespace(perf_counter=_now_s)),
    (engine.actors.performance, "own_use", lambda: _NO_USE),
    (engine.actors.lane, "secrets", _SECRETS),
    (engine.actors.journal, "time", SimpleNamespace(perf_counter=_now_s)),
    (engine.actors.journal, "own_use", lambda: _NO_USE),
    (engine.actors.directory, "uuid", SimpleNamespace(uuid4=_uuid4)),
    (engine.actors.directory, "time", SimpleNamespace(monotonic=_now_s)),
    (engine.actors.directory, "own_use", lambda: _NO_USE),
    (engine.actors.canceller, "secrets", _SECRETS),
    (engine.actors.after_sale, "secrets", _SECRETS),
    (engine.actors.desk, "log", _Silent()),
    (engine.actors.handles, "Metrics", lambda: METRICS),
    (gateway.batcher, "monotonic", _now_s),
    (gateway.batcher, "randrange", _randrange),
    (gateway.batcher, "log", _Silent()),
    (gateway.replica, "monotonic", _now_s),
    (gateway.replica, "log", _Silent()),
]


@contextmanager
def simulated() -> Iterator[None]:
    """See the module. The collector rests: a world is thrown away as a whole."""
    collects = gc.isenabled()
    disabled = logging.root.manager.disable
    real = [(module, name, getattr(module, name)) for module, name, _ in _STAND_INS]
    every = engine.actors.performance.SNAPSHOT_EVERY_EVENTS
    gc.disable()
    logging.disable(logging.CRITICAL)
    for module, name, stand_in in _STAND_INS:
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for module, name, value in real:
            setattr(module, name, value)
        engine.actors.performance.SNAPSHOT_EVERY_EVENTS = every  # type: ignore[misc]
        logging.disable(disabled)
        if collects:
            gc.enable()
