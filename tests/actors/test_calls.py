"""What a failed call through Ray means to its caller: ask again, or a bug."""

from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError

from engine.actors import NotReady
from engine.actors.directory import UnknownPerformance
from engine.actors.handles import RegisterInJournal
from engine.actors.journal_handle import call


async def failed(error: Exception) -> None:
    raise RayTaskError("locate", "", error)


async def test_somebody_behind_the_actor_has_died() -> None:
    with pytest.raises(NotReady):
        await call(failed(RayActorError()))


async def test_what_the_actor_says_reaches_the_caller() -> None:
    with pytest.raises(UnknownPerformance):
        await call(failed(UnknownPerformance(7)))


async def test_an_outage_of_the_database_is_no_bug_of_the_directory() -> None:
    class Journal:
        class serving:  # noqa: N801 - a method of an actor, as Ray shows it
            @staticmethod
            def remote(performance: int) -> Any:
                return failed(OSError("no connection to the database"))

    with pytest.raises(NotReady):
        await RegisterInJournal(Journal()).serving(7)  # type: ignore[arg-type]
