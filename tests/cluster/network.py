"""A network of its own for each node of a cluster, with a cable that can be pulled.

Namespaces of this machine's kernel, joined by a bridge: needs root, and asks nothing of the real
network. The database is reached over the cable as well, through a forwarder at the bridge.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BRIDGE = "stpbr"
_NET = "10.231.7"
GROUND = f"{_NET}.1"
"""The bridge's own address, where the clients and the database are."""


def may_make_namespaces() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    made = subprocess.run(["ip", "netns", "add", "stp-probe"], capture_output=True)
    subprocess.run(["ip", "netns", "del", "stp-probe"], capture_output=True)
    return made.returncode == 0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable:
    """The way of one node, which has `address`, to everybody else."""

    def __init__(self, number: int) -> None:
        self.address = f"{_NET}.{10 + number}"
        self.inside = ["ip", "netns", "exec", f"stp{number}"]
        self._end = f"stpv{number}"
        space, other = f"stp{number}", f"stpw{number}"
        _ip("netns", "add", space)
        _ip("link", "add", self._end, "type", "veth", "peer", "name", other, "netns", space)
        _ip("link", "set", self._end, "master", BRIDGE)
        _ip("link", "set", self._end, "up")
        _ip("-n", space, "addr", "add", f"{self.address}/24", "dev", other)
        _ip("-n", space, "link", "set", other, "up")
        _ip("-n", space, "link", "set", "lo", "up")

    def pull(self) -> None:
        _ip("link", "set", self._end, "down")

    def plug(self) -> None:
        _ip("link", "set", self._end, "up")


@contextlib.contextmanager
def network(cables: int) -> Iterator[list[Cable]]:
    """So many cables to one bridge."""
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{GROUND}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield [Cable(number) for number in range(cables)]
    finally:
        for number in range(cables):
            subprocess.run(["ip", "netns", "del", f"stp{number}"], capture_output=True)
            # A name space stays for as long as one of its processes does, and its cable with it.
            subprocess.run(["ip", "link", "del", f"stpv{number}"], capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True)


@contextlib.contextmanager
def forwarded(socket: str, port: int) -> Iterator[None]:
    """What comes to the bridge's address at `port` goes to a Unix socket."""
    command = [sys.executable, "-m", __name__, socket, str(port)]
    forwarder = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        yield
    finally:
        forwarder.kill()
        forwarder.wait()


async def _forward(socket: str, port: int) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pump(reader, here), pump(there, writer))

    server = await asyncio.start_server(join, GROUND, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_forward(sys.argv[1], int(sys.argv[2])))
