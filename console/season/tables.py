"""Tables of a season file that know where their values stand, laid one over the other.

Owns inheritance: what a production says lies over what all of them share, what a performance says
over both. Tables are merged key by key; everything else is replaced.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from console.season.problems import joined


@dataclass(frozen=True, slots=True)
class Leaf:
    """Anything but a table, and where it is written."""

    value: Any
    path: str


@dataclass(frozen=True, slots=True)
class Table:
    path: str
    items: dict[str, "Node"] = field(default_factory=dict)

    def over(self, below: "Table") -> "Table":
        """This table, and what it does not say from the one below; the order is the lower one's."""
        items = dict(below.items)
        for key, node in self.items.items():
            under = items.get(key)
            if isinstance(node, Table) and isinstance(under, Table):
                node = node.over(under)
            items[key] = node
        return Table(self.path, items)

    def without(self, *keys: str) -> "Table":
        return Table(self.path, {key: one for key, one in self.items.items() if key not in keys})

    def leaves(self) -> Iterator[Leaf]:
        for node in self.items.values():
            if isinstance(node, Table):
                yield from node.leaves()
            else:
                yield node


Node: TypeAlias = Table | Leaf


def placed(value: Any, path: str) -> Node:
    """A value as TOML has it, with the path of each part."""
    if isinstance(value, dict):
        return Table(path, {key: placed(one, joined(path, key)) for key, one in value.items()})
    return Leaf(value, path)
