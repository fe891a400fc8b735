"""Who leads a cluster: the shape of the answer, and the times that go with it.

One node's directory, order desk and rooms act for the whole cluster; the others' stand by. A
lease in the database says whose. It is about who is asked, never about what is true: two
leaders at once would only hinder each other, as epochs and revisions refuse one of them.
"""

from typing import Final, NamedTuple

LEASE_MS: Final = 1_500
"""A leader that was not heard of for this long is succeeded. Several beats fit into it."""
BEAT_S: Final = 0.3
"""How often a node says that it is there."""


class Led(NamedTuple):
    """The node that leads, since how many changes, and the nodes that are there."""

    node: str
    term: int
    nodes: tuple[str, ...]
