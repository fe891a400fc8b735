"""Pictures of the console as snapshots: Textual's SVG, kept as one file each by syrupy."""

import re

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

# The frame's fonts come from a network address and its ids from the content: neither is ours.
_FONT = re.compile(r"@font-face\s*\{.*?\}\s*", re.S)
_TERMINAL_ID = re.compile(r"terminal-\d+")


class SvgExtension(SingleFileSnapshotExtension):
    """One .svg a picture, to be opened in a browser."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


def tidy(svg: str) -> str:
    """A screenshot without what changes by itself."""
    text = _TERMINAL_ID.sub("terminal", _FONT.sub("", svg))
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"
