"""The console in a real terminal: tmux draws it, keys go in, the screen is read as text."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.console.server import CASHIER, House

TMUX = shutil.which("tmux")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")


class Terminal:
    """A tmux server of our own with one window of 80x24."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def tmux(self, *arguments: str) -> str:
        assert TMUX is not None
        process = await asyncio.create_subprocess_exec(
            TMUX, "-S", str(self._socket), "-f", "/dev/null", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def keys(self, *keys: str) -> None:
        await self.tmux("send-keys", "-t", "till", *keys)

    async def text(self, words: str) -> None:
        await self.tmux("send-keys", "-t", "till", "-l", words)

    async def screen(self) -> str:
        return await self.tmux("capture-pane", "-p", "-t", "till")

    async def shows(self, *parts: str) -> str:
        """Wait until all of these words are on the screen."""
        shown = ""
        for _ in range(int(PATIENCE_S / 0.1)):
            shown = await self.screen()
            if all(part in shown for part in parts):
                return shown
            await asyncio.sleep(0.1)
        raise AssertionError(f"no {parts} on\n{shown}")


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Callable[[str], "asyncio.Future[Terminal]"]]:
    one = Terminal(tmp_path / "tmux")

    async def start(command: str) -> Terminal:
        environment = ["env", f"XDG_STATE_HOME={tmp_path}", "LC_ALL=C.UTF-8", "TERM=xterm-256color"]
        await one.tmux(
            "new-session", "-d", "-s", "till", "-x", "80", "-y", "24", "-c", str(ROOT),
            " ".join([*environment, command]),
        )  # fmt: skip
        return one

    yield start  # type: ignore[misc]
    if (tmp_path / "tmux").exists():
        try:
            await one.tmux("kill-server")
        except AssertionError:
            pass  # It ended with its only window.


@pytest.mark.timeout(180)
async def test_a_sale_in_a_real_terminal(house: House, terminal, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    papers = tmp_path / "papers"
    shell = await terminal(
        f"{sys.executable} -m console console --server {house.url} --login {CASHIER}"
        f" --language en --papers {papers}"
    )
    await shell.shows("Password")
    await shell.text(house.password)
    await shell.keys("Enter")
    await shell.shows("Performances", "Cyrano", "on sale")
    await shell.keys("Enter")
    shown = await shell.shows("Basket", "STAGE", "b best", "○")
    assert all(len(line) <= 80 for line in shown.splitlines())
    await shell.text("2b")
    await shell.shows("◆", "Total", "CHF")
    await shell.text("pc")
    await shell.shows("TO PAY", "Cash given")
    await shell.text("100")
    await shell.shows("Change CHF")
    await shell.keys("Enter")
    await shell.shows("CHANGE", "Kept as")
    assert [path.suffix for path in papers.iterdir()] == [".pdf"]
    await asyncio.sleep(0.6)
    await shell.keys("Enter")
    await shell.shows("sold, change CHF", "■")
    await shell.keys("F2")
    await shell.shows("Panier", "en direct")
    await shell.keys("F1")
    await shell.shows("Touches", "Encaisser")
    await shell.keys("Escape")
    await shell.keys("C-q")
    for _ in range(100):
        if not await _is_running(shell):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the console did not quit")


async def _is_running(shell: Terminal) -> bool:
    try:
        await shell.tmux("has-session", "-t", "till")
    except AssertionError:
        return False
    return True
