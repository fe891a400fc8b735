"""The sale in progress, kept on disk, so that a console that dies in mid-sale can go on.

Owns the file: what is in it, that it is whole after a crash at any moment, and that two
consoles of one operator on one machine do not share it. What is saved is saved *before* the
server is asked, so that every order and payment the server may know of is known here too.
"""

import fcntl
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

import msgspec

from engine.commands import Line

MAX_TILLS: Final = 16
"""Consoles of one operator against one server on one machine at once."""


class Payment(msgspec.Struct, frozen=True):
    """A payment that was about to be recorded. `attempt` makes sending it again harmless."""

    method: str
    attempt: str
    given: int = 0
    reference: str = ""
    amount: int = 0


class Exchange(msgspec.Struct, frozen=True):
    """Places of an order that is sold, which are given for what the sale holds.

    `order` is its id (hex), `lines` are the numbers of the lines that go, `worth` is what they cost
    and `fee` what is charged, in minor units; `payments` is how many the order had before.
    """

    id: str
    order: str
    number: int
    lines: tuple[int, ...]
    worth: int
    fee: int
    payments: int


class Slip(msgspec.Struct, frozen=True):
    """A sale: the hold's token, then the order's id, then the payment; each as it is begun.

    `token` and `order` are hex, as the server's HTTP side has them; `order` is empty before
    payment, and for an exchange that of the order that is sold. `paid` is set once the server said
    so: only the tickets are left to print.
    """

    performance: int
    token: str
    lines: tuple[Line, ...] = ()
    order: str = ""
    payment: Payment | None = None
    buyer: str = ""
    paid: bool = False
    exchange: Exchange | None = None
    by_phone: bool = False


class AllTillsBusy(Exception):
    """MAX_TILLS consoles of this operator are running on this machine."""


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where the console keeps its slips, as the XDG rules have it."""
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", ".")) / ".local/state")
    return Path(base) / "strapontin"


class SlipFile:
    """One console's slip, locked while the console runs. Use as a context manager or `close`."""

    def __init__(self, directory: Path, server: str, operator: str) -> None:
        """Take the first slip that no running console has, one with a sale in it before others.

        Raises:
            AllTillsBusy: over MAX_TILLS.
            OSError: the directory cannot be made or written.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(f"{server}\n{operator}".encode()).hexdigest()[:16]
        paths = [directory / f"till-{name}-{number}.json" for number in range(MAX_TILLS)]
        # A till that died in mid-sale comes first: that sale is somebody's money.
        for path in sorted(paths, key=lambda path: not path.exists()):
            lock = _locked(path.with_suffix(".lock"))
            if lock is not None:
                self._path, self._lock = path, lock
                return
        raise AllTillsBusy(operator)

    def load(self) -> Slip | None:
        """The sale that was in progress. A file that is not a slip counts as none."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Slip)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def save(self, slip: Slip) -> None:
        """Replace the slip; it is on disk when this returns."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(slip))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def clear(self) -> None:
        """The sale is over."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        self._lock.close()


def _locked(path: Path) -> IO[bytes] | None:
    """The lock file, locked, or None while another process has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
