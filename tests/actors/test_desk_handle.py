"""What the gateway hears of the desk's errors, as they come through Ray."""

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from engine.actors import NotReady
from engine.actors.handles import RayDesk
from engine.actors.parts import OnePart
from engine.payments import WebhookRejected
from gateway.backend import BackendUnavailable, SignatureInvalid


class Raising:
    """An actor handle whose every method raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> "Raising":
        return self

    async def remote(self, *arguments: object) -> None:
        raise self._error


def through_ray(cause: Exception) -> Exception:
    traceback = "Traceback (most recent call last): /srv/strapontin/secret.py"
    error = RayTaskError("method", traceback, cause, "desk", 1, "127.0.0.1")
    return error.as_instanceof_cause()


async def test_an_unsigned_webhook_is_told_without_the_desk_s_traceback() -> None:
    desk = RayDesk(OnePart(Raising(through_ray(WebhookRejected("not signed")))))
    with pytest.raises(SignatureInvalid) as told:
        await desk.webhook(b"{}", "")
    assert str(told.value) == "not signed"


@pytest.mark.parametrize("error", [through_ray(NotReady("busy")), ActorDiedError()])
async def test_what_is_not_answered_may_be_asked_again(error: Exception) -> None:
    with pytest.raises(BackendUnavailable):
        await RayDesk(OnePart(Raising(error))).get("0" * 32)


async def test_a_bug_is_no_outage() -> None:
    with pytest.raises(AssertionError):
        await RayDesk(OnePart(Raising(through_ray(AssertionError("impossible"))))).get("0" * 32)
