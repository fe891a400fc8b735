"""A table of any length: how much memory it needs, and what its process does when nobody asks."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from renderers import sheet_process
from renderers.sheet_process import Add, Begin, End
from renderers.ticket_sheet import Cells, CsvSheet
from tests.renderers.sheet_memory import page

ROOT: Final = Path(__file__).parents[2]
SHORT: Final = 5_000
LONG: Final = {"csv": 100_000, "xlsx": 30_000, "whole": 100_000}
BOUND_MIB: Final = 12
"""What a long table may need more than a short one."""


def mib(kind: str, rows: int) -> float:
    command = [sys.executable, "-m", "tests.renderers.sheet_memory", kind, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_long_table_needs_no_more_memory_than_a_short_one(kind: str) -> None:
    assert mib(kind, LONG[kind]) - mib(kind, SHORT) < BOUND_MIB


@pytest.mark.timeout(600)
def test_the_same_table_held_whole_needs_more() -> None:
    """The control: what the bound above would find out."""
    assert mib("whole", LONG["whole"]) - mib("whole", SHORT) > 2 * BOUND_MIB


def test_the_process_ends_with_its_input() -> None:
    """Whoever asked has gone, in the middle of a message or between two."""
    begin = msgspec.msgpack.encode(Begin("en", "UTC"))
    whole = len(begin).to_bytes(4) + begin
    for cut in range(len(whole)):
        outward = io.BytesIO()
        sheet_process.serve(io.BytesIO(whole[:cut]), outward)
        assert outward.getvalue() == b""
    outward = io.BytesIO()
    sheet_process.serve(io.BytesIO(whole), outward)
    outward.seek(0)
    heading = sheet_process.receive(outward)
    assert heading is not None and heading.startswith(b"\xef\xbb\xbfOrder,")


def test_each_message_has_one_answer_and_nothing_follows_the_end() -> None:
    inward, outward = io.BytesIO(), io.BytesIO()
    for message in (Begin("en", "UTC"), Add(page(0, 2)), End(), Add(page(2, 1))):
        sheet_process.send(inward, msgspec.msgpack.encode(message))
    inward.seek(0)
    sheet_process.serve(inward, outward)
    outward.seek(0)
    answers = []
    while (content := sheet_process.receive(outward)) is not None:
        answers.append(content)
    assert [part.count(b"\r\n") for part in answers] == [1, 2, 0]


def test_a_place_that_no_plan_was_told_of_is_empty_and_not_wrong() -> None:
    cells = Cells("en", "UTC")
    sheet = CsvSheet(cells)
    sheet.begin()
    (line,) = sheet.add(page(0, 1)).decode().splitlines()
    assert line.startswith("0,2026-09-21 14:13:20,valid,1-1,,,,,,,adult,25.00,EUR,")
