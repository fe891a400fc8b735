"""A network path that fails when told to: a TCP proxy of our own, on loopback.

Owns the carrying of bytes and the ways in which that goes wrong. A path has any number
of forwards, all with the same troubles; it knows no protocol. Troubles may overlap:

- `slow`: everything takes longer, each way.
- `refuse`: what was connected is reset, and nobody gets a connection.
- `cut`: what is connected is reset, once.
- `lose`: a half-open network. What either side sends is swallowed, and neither side is
  told, not even that the other has gone. Connections of that time never work again;
  they are reset when it is over where `resets` says so, else after `FORGET_S`.
- `end_after`: after so many more bytes, the connection that carries the last of them ends
  there, be it in the middle of a word.
- `keep_open`: what a server says last is carried to its client, and that it has hung up is not.
"""

import asyncio
import contextlib
import enum
import socket
import struct
from collections.abc import Iterator
from typing import Final

CHUNK_BYTES: Final = 65_536
FORGET_S: Final = 60.0
"""A lost connection is reset after this long, as a server's keep-alive ends it."""
BACKLOG: Final = 128
MAX_FORWARDS: Final = 64
"""The oldest is given up for a new one."""

Upstream = tuple[str, int] | str
"""(host, port), or the path of a Unix socket."""


class End(enum.Enum):
    """How a connection ends at a certain byte."""

    RESET = "reset"
    CLOSED = "closed"
    SILENT = "silent"


class Path:
    """See the module. Belongs to one event loop."""

    def __init__(self) -> None:
        self._forwards: dict[int, _Forward] = {}
        self._slow_s: list[float] = []
        self._refusing = 0
        self._losing = 0
        self._keeping_open = 0
        self._ending: End | None = None
        self._bytes_left = 0
        self.carried = 0
        """Bytes so far, both ways."""

    async def forward(self, upstream: Upstream) -> int:
        """The port on 127.0.0.1 that leads there from now on."""
        if len(self._forwards) >= MAX_FORWARDS:
            self._forwards.pop(next(iter(self._forwards))).close()
        forward = _Forward(self, upstream)
        self._forwards[forward.port] = forward
        if not self._refusing:
            forward.listen()
        return forward.port

    def close(self) -> None:
        for forward in self._forwards.values():
            forward.close()
        self._forwards.clear()

    @property
    def latency_s(self) -> float:
        return max(self._slow_s, default=0.0)

    @property
    def losing(self) -> bool:
        return self._losing > 0

    @property
    def connections(self) -> int:
        """Those that still carry something."""
        return sum(not link.lost for link in self._links())

    def cut(self) -> int:
        """Reset what is connected; how many connections that were."""
        links = [link for link in self._links() if not link.lost]
        for link in links:
            link.reset()
        return len(links)

    @contextlib.contextmanager
    def slow(self, latency_s: float) -> Iterator[None]:
        self._slow_s.append(latency_s)
        try:
            yield
        finally:
            self._slow_s.remove(latency_s)

    @contextlib.contextmanager
    def refuse(self) -> Iterator[None]:
        self._refusing += 1
        for forward in self._forwards.values():
            forward.deafen()
        self.cut()
        try:
            yield
        finally:
            self._refusing -= 1
            if not self._refusing:
                for forward in self._forwards.values():
                    forward.listen()

    @contextlib.contextmanager
    def lose(self, *, resets: bool = False) -> Iterator[None]:
        self._losing += 1
        for link in self._links():
            link.lose()
        try:
            yield
        finally:
            self._losing -= 1
            if resets:
                for link in self._links():
                    if link.lost:
                        link.reset()

    def end_after(self, byte_count: int, how: End) -> None:
        """At least one byte; whichever way they go. Replaces what was asked before."""
        self._bytes_left, self._ending = byte_count, how

    def never_mind(self) -> None:
        """Of what `end_after` asked for, and has not come to pass."""
        self._ending = None

    @contextlib.contextmanager
    def keep_open(self) -> Iterator[None]:
        self._keeping_open += 1
        try:
            yield
        finally:
            self._keeping_open -= 1

    @property
    def keeping_open(self) -> bool:
        return self._keeping_open > 0

    def passing(self, data: bytes) -> tuple[bytes, End | None]:
        """What of this is carried, and how the connection ends after it."""
        ending = None
        if self._ending is not None:
            data = data[: self._bytes_left]
            self._bytes_left -= len(data)
            if not self._bytes_left:
                ending, self._ending = self._ending, None
        self.carried += len(data)
        return data, ending

    def _links(self) -> "list[_Link]":
        return [link for forward in self._forwards.values() for link in forward.links]


class _Forward:
    """One listening port and the connections that came through it."""

    def __init__(self, path: Path, upstream: Upstream) -> None:
        self.links: set[_Link] = set()
        self._path = path
        self._upstream = upstream
        self.port = _free_port()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # By its number: a port that the system chose is given back by `shutdown`.
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.setblocking(False)
        self._accepting: asyncio.Task[None] | None = None

    def listen(self) -> None:
        if self._accepting is None:
            self._listener.listen(BACKLOG)
            self._accepting = asyncio.create_task(self._accept())

    def deafen(self) -> None:
        """Refuse, and keep the port: a bound socket that does not listen resets who comes."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
            self._listener.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self.deafen()
        self._listener.close()
        for link in list(self.links):
            link.reset()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError:
                return  # deafened
            link = _Link(self._path, client)
            self.links.add(link)
            link.task = asyncio.create_task(link.carry(self._upstream))
            link.task.add_done_callback(lambda _, link=link: self.links.discard(link))


class _Link:
    """One connection through the path, both its halves."""

    def __init__(self, path: Path, client: socket.socket) -> None:
        self.lost = path.losing
        self.task: asyncio.Task[None]
        self._path = path
        self._client = client
        self._writers: list[asyncio.StreamWriter] = []
        self._forgetting: asyncio.TimerHandle | None = None

    def lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._forget_later()

    def reset(self) -> None:
        """Both sides learn at once that it is over."""
        for writer in self._writers:
            _abort(writer)
        self.task.cancel()

    async def carry(self, upstream: Upstream) -> None:
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        here = await asyncio.open_connection(sock=self._client)
        self._writers.append(here[1])
        if self.lost:
            self._forget_later()
        try:
            if isinstance(upstream, str):
                there = await asyncio.open_unix_connection(upstream)
            else:
                there = await asyncio.open_connection(*upstream)
            self._writers.append(there[1])
            await asyncio.gather(
                self._pump(here[0], there[1]), self._pump(there[0], here[1], from_server=True)
            )
        except OSError:
            pass  # one side is gone: the other hears of it below
        finally:
            if self._forgetting is not None:
                self._forgetting.cancel()
            for writer in self._writers:
                _abort(writer)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_server: bool = False,
    ) -> None:
        """Until this side has ended; a lost one keeps the other in the dark."""
        while data := await reader.read(CHUNK_BYTES):
            if self._path.latency_s:
                await asyncio.sleep(self._path.latency_s)
            if not self.lost:
                data, ending = self._path.passing(data)
                writer.write(data)
                await writer.drain()
                if ending is not None:
                    await self._end(ending)
        if self.lost or (from_server and self._path.keeping_open):
            await asyncio.Event().wait()  # until it is forgotten
        raise ConnectionResetError

    async def _end(self, ending: End) -> None:
        if ending is End.SILENT:
            self.lose()
            return
        if ending is End.CLOSED:
            for writer in self._writers:
                writer.close()
            await asyncio.sleep(0.001)  # what closes is closed; the reset comes too late
        raise ConnectionResetError

    def _forget_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._forgetting = loop.call_later(FORGET_S, self.reset)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _abort(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if raw.family != socket.AF_UNIX:  # RST instead of FIN
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
