"""A full disk is full, and has room again afterwards."""

import errno
from pathlib import Path

import pytest

from tests.faults.disk import MIB, NoSmallDisk, small_disk


def test_a_small_disk_fills_and_empties(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path, 64) as disk:
            file = disk.folder / "file"
            with disk.full(), pytest.raises(OSError) as refused:
                file.write_bytes(bytes(MIB))
            assert refused.value.errno == errno.ENOSPC
            file.write_bytes(bytes(MIB))
    except NoSmallDisk as reason:
        pytest.skip(str(reason))
