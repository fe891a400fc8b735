"""Texts of strangers in the cells of a table that a spreadsheet will open.

A cell that begins with one of a few signs is a formula to a spreadsheet, whatever the file
says, and a formula can read other cells and call other sites. Buyers choose their names.
Owns the one way in which exports write such texts (CSV; in a file with typed cells, a text is
written as one and needs nothing). Knows no format.
"""

from typing import Final

_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "|",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)
"""What begins a formula in one program or another, in full width too."""


def plain_cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula; most texts as they are."""
    # Spaces before a sign do not keep every program from seeing it.
    return f"'{text}" if text.lstrip(" \u00a0\u3000\ufeff").startswith(_FORMULA) else text
