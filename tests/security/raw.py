"""HTTP as bytes, for what no well-behaved client would send."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

PATIENCE_S = 5.0


class Raw:
    """One TCP connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of the next answer."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.split("\r\n")
            fields = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            length = int(headers.get("content-length", 0))
            return int(status.split()[1]), headers, await self.reader.readexactly(length)

    async def rest(self, within_s: float = PATIENCE_S) -> bytes:
        """Everything until the server closes. Raises TimeoutError when it does not."""
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""


def statuses(stream: bytes) -> list[int]:
    """Of every answer in these bytes."""
    return [int(part.split(b" ", 1)[0]) for part in stream.split(b"HTTP/1.1 ")[1:]]
