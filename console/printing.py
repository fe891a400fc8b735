"""Paper: a PDF kept in a directory and, where one is named, handed to a printer command.

Owns the file's name and the printer's failures. Knows nothing of what is printed.
"""

import asyncio
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PRINT_TIMEOUT_S: Final = 20.0


class PrintError(Exception):
    """The paper did not come; the text says why, the file is where `path` says, if anywhere."""

    def __init__(self, why: str, path: Path | None) -> None:
        super().__init__(why)
        self.path = path


@dataclass(frozen=True, slots=True)
class Printer:
    """`command` gets the file's path as its last argument; empty: the file is kept, no more."""

    directory: Path
    command: str = ""

    async def print(self, pdf: bytes, name: str) -> Path:
        """Keep the PDF as `name`.pdf, hand it to the command, and return its path.

        Raises:
            PrintError: the directory cannot be written, or the command failed.
        """
        path = self.directory / f"{name}.pdf"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pdf)
        except OSError as error:
            raise PrintError(f"{self.directory}: {error.strerror}", None) from error
        if self.command:
            await self._hand_over(path)
        return path

    async def _hand_over(self, path: Path) -> None:
        try:
            words = shlex.split(self.command)
            process = await asyncio.create_subprocess_exec(
                *words,
                str(path),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except (OSError, ValueError) as error:
            raise PrintError(f"{self.command}: {error}", path) from error
        try:
            _, told = await asyncio.wait_for(process.communicate(), PRINT_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise PrintError(f"{self.command}: no answer", path) from None
        if process.returncode:
            last = told.decode(errors="replace").strip().splitlines()[-1:]
            why = last[0] if last else f"exit code {process.returncode}"
            raise PrintError(f"{self.command}: {why}", path)
