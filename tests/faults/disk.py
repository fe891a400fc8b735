"""A small disk that can be filled: a file system in a file, for a database to run out of.

Owns the mount and the ballast. Needs root and a kernel that may mount; elsewhere
`small_disk` says why there is none.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
DISK_MIB: Final = 2_560
"""A database and a gigabyte of its log; the file is sparse."""
BALLAST: Final = "ballast"


class NoSmallDisk(Exception):
    """One line: why there is none."""


class SmallDisk:
    """Mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is left for new files or longer ones."""
        ballast = self.folder / BALLAST
        try:
            with ballast.open("wb") as file:
                # In ever smaller pieces: the file system needs some blocks for its own books.
                offset, piece = 0, 256 * MIB
                while piece >= 4096:
                    try:
                        os.posix_fallocate(file.fileno(), offset, piece)
                        offset += piece
                    except OSError:
                        piece //= 2
            yield
        finally:
            ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(beside: Path, mib: int = DISK_MIB) -> Iterator[SmallDisk]:
    """A disk of that size for as long as the block. Raises NoSmallDisk."""
    image, folder = beside / "disk.img", beside / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(mib * MIB)
    _do("mkfs.ext4", "-q", "-m", "0", str(image))
    _do("mount", "-o", "loop", str(image), str(folder))
    try:
        folder.chmod(0o755)
        yield SmallDisk(folder)
    finally:
        # What still runs there keeps it busy: the mount goes when that has ended.
        _do("umount", "--lazy", str(folder))


def _do(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoSmallDisk(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        raise NoSmallDisk(f"{command[0]}: {done.stderr.strip() or done.returncode}")
