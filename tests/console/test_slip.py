"""The slip survives crashes and is one till's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.slip import MAX_TILLS, AllTillsBusy, Payment, Slip, SlipFile, state_directory
from engine.commands import Line

SLIP = Slip(3, "ab" * 16, (Line(4, -1, "full"),), "cd" * 16, Payment("cash", "ef" * 16, 5000))


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    slips = SlipFile(tmp_path, "http://a", "marie")
    assert slips.load() is None
    slips.save(SLIP)
    assert slips.load() == SLIP
    slips.clear()
    assert slips.load() is None
    slips.clear()
    slips.close()


def test_the_next_console_finds_it(tmp_path: Path) -> None:
    first = SlipFile(tmp_path, "http://a", "marie")
    first.save(SLIP)
    first.close()
    second = SlipFile(tmp_path, "http://a", "marie")
    assert second.load() == SLIP
    second.close()


def test_two_consoles_at_once_do_not_share(tmp_path: Path) -> None:
    first, second = (SlipFile(tmp_path, "http://a", "marie") for _ in range(2))
    first.save(SLIP)
    assert second.load() is None
    second.close()
    first.close()


def test_a_left_behind_sale_is_taken_up_before_an_empty_slip(tmp_path: Path) -> None:
    first, second = (SlipFile(tmp_path, "http://a", "marie") for _ in range(2))
    second.save(SLIP)
    first.close()
    second.close()
    third = SlipFile(tmp_path, "http://a", "marie")
    assert third.load() == SLIP
    third.close()


@pytest.mark.parametrize("other", [("http://b", "marie"), ("http://a", "paul")])
def test_another_server_or_operator_has_another_slip(
    tmp_path: Path, other: tuple[str, str]
) -> None:
    first = SlipFile(tmp_path, "http://a", "marie")
    first.save(SLIP)
    first.close()
    second = SlipFile(tmp_path, *other)
    assert second.load() is None
    second.close()


def test_a_damaged_slip_counts_as_none(tmp_path: Path) -> None:
    slips = SlipFile(tmp_path, "http://a", "marie")
    slips.save(SLIP)
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(path.read_bytes()[:20])
    assert slips.load() is None
    slips.close()


def test_a_crash_while_saving_leaves_the_slip_before(tmp_path: Path) -> None:
    slips = SlipFile(tmp_path, "http://a", "marie")
    slips.save(SLIP)
    (path,) = tmp_path.glob("*.json")
    path.with_suffix(".new").write_bytes(b'{"performance"')  # died before the rename
    assert slips.load() == SLIP
    slips.close()


def test_the_number_of_tills_is_bounded(tmp_path: Path) -> None:
    tills = [SlipFile(tmp_path, "http://a", "marie") for _ in range(MAX_TILLS)]
    with pytest.raises(AllTillsBusy):
        SlipFile(tmp_path, "http://a", "marie")
    for till in tills:
        till.close()


def test_a_killed_console_gives_its_slip_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from console.slip import Slip, SlipFile\n"
        "slips = SlipFile(Path(sys.argv[1]), 'http://a', 'marie')\n"
        "slips.save(Slip(3, 'ab' * 16)); print('saved', flush=True); time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"saved\n"
        other = SlipFile(tmp_path, "http://a", "marie")
        assert other.load() is None
        other.close()
        process.kill()
    found = SlipFile(tmp_path, "http://a", "marie")
    assert found.load() == Slip(3, "ab" * 16)
    found.close()


def test_nobody_else_reads_the_slips(tmp_path: Path) -> None:
    slips = SlipFile(tmp_path / "new", "http://a", "marie")
    slips.close()
    assert os.stat(tmp_path / "new").st_mode & 0o077 == 0


def test_slips_are_kept_where_the_system_wants_them() -> None:
    assert state_directory({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/strapontin")
    assert state_directory({"HOME": "/h"}) == Path("/h/.local/state/strapontin")
