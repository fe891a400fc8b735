"""Thin shells around the pure core: who runs where, and what happens when it dies.

Plain, undecorated classes that run without Ray in a test; `wiring` alone turns
them into Ray actors. Nothing here decides a seat: that is `engine.performance`.

Exceptions (bugs and broken infrastructure only; refusals are outcomes):

    ActorFault
    ├── Stopped          this writer has given up its reign: ask the directory again
    ├── OutcomeUnknown   decided, but nobody knows whether it was committed: same ids again
    └── NotReady         recovering, or its database does not answer: same ids again
"""


class ActorFault(Exception):
    """The call was not answered; repeating it with the same command ids is safe."""


class Stopped(ActorFault):
    """This writer was fenced or passivated; another one serves, or will."""


class OutcomeUnknown(ActorFault):
    """The commit's result is unknown; the actor rebuilds itself from the journal."""


class NotReady(ActorFault):
    """The actor is recovering, or cannot reach its journal."""
