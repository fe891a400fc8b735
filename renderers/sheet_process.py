"""A table that is written in a process of its own: `python -m renderers.sheet_process`.

Owns the conversation over its two pipes: one answer to each message, each behind its length in
four bytes. A list of a million rows keeps a processor busy for a minute or two; here it keeps
nobody else waiting. The process ends with its input, however that ends.
"""

import os
import sys
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec import Struct

from engine.listing import Listed
from renderers.ticket_sheet import Cells, CsvSheet, Showing, XlsxSheet

LENGTH_BYTES: Final = 4
MAX_MESSAGE_BYTES: Final = 256 * 1024 * 1024
_GIVES_WAY: Final = 10
"""Sales go first."""


class Begin(Struct, tag="begin", frozen=True):
    """`file` is made in `folder`, for XLSX; a CSV is what the answers are, one after another."""

    language: str
    time_zone: str
    folder: str = ""
    file: str = ""


class Add(Struct, tag="add", frozen=True):
    """Rows, and what was not told before of the plans and performances that they are of."""

    rows: list[Listed]
    plans: dict[str, bytes] = {}
    showings: dict[int, Showing] = {}


class End(Struct, tag="end", frozen=True):
    """Nothing comes after this."""


Message = Begin | Add | End


def send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(LENGTH_BYTES))
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes | None:
    """What was sent; None where the other end has gone, in the middle of something or not."""
    head = pipe.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    size = int.from_bytes(head)
    content = pipe.read(size) if size <= MAX_MESSAGE_BYTES else b""
    return content if len(content) == size else None


def serve(inward: IO[bytes], outward: IO[bytes]) -> None:
    """Answer until the end, or until nobody asks any more."""
    decode = msgspec.msgpack.Decoder(Message).decode
    sheet: CsvSheet | XlsxSheet | None = None
    while (content := receive(inward)) is not None:
        message = decode(content)
        if isinstance(message, Begin):
            cells = Cells(message.language, message.time_zone)
            sheet = (
                XlsxSheet(cells, Path(message.folder), message.file)
                if message.file
                else CsvSheet(cells)
            )
            send(outward, sheet.begin())
            continue
        assert sheet is not None, "a table begins with its beginning"
        if isinstance(message, End):
            send(outward, sheet.end())
            return
        cells.learn(message.plans, message.showings)
        send(outward, sheet.add(message.rows))


if __name__ == "__main__":
    os.nice(_GIVES_WAY)
    serve(sys.stdin.buffer, sys.stdout.buffer)
