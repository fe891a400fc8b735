"""The diagram of `docs/orders.md`, made from the transition table.

`python -m tests.engine.order_states` writes it into the page again.
"""

import re
from pathlib import Path
from typing import Final

from engine.orders import NEXT_STATES, TRANSITIONS

PAGE: Final = Path(__file__).parents[2] / "docs" / "orders.md"
_DIAGRAM: Final = re.compile(r"(?<=```mermaid\n)stateDiagram-v2\n.*?(?=```)", re.DOTALL)


def diagram() -> str:
    lines = [
        f"    {'[*]' if start is None else start.value} --> {end.value}: {why}\n"
        for start, end, why in TRANSITIONS
    ]
    ends = [f"    {state.value} --> [*]\n" for state, each in NEXT_STATES.items() if not each]
    return "".join(["stateDiagram-v2\n", *lines, *ends])


def drawn(page: str) -> str:
    """The diagram that a page has."""
    found = _DIAGRAM.search(page)
    assert found is not None, f"{PAGE} has no diagram of the states"
    return found[0]


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page.replace(drawn(page), diagram()), "utf-8")
