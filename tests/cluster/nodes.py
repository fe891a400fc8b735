"""A Ray cluster on this machine: a head, and nodes with a raylet and a `strapontin serve` each.

Each node has a loopback address of its own, so that its gateway listens on the same port as the
others'. Owns starting, killing, stopping and continuing them. Every process it ends is one that it
started, or a descendant of one.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import make_url

from persistence.embedded import EmbeddedPostgres
from persistence.url import connect
from tests.cluster.network import GROUND, Cable, forwarded
from tests.integration.buyers import Buyers, Sale
from tests.integration.server import CHECKOUT, free_port

START_S = 90.0
ASK_S = 3.0
HEAD = "127.0.0.10"
NODES = ("127.0.0.11", "127.0.0.12")
BIN = Path(sys.executable).parent


class Node:
    """One machine of the cluster: whatever runs on it dies with `kill`."""

    def __init__(self, cluster: "Cluster", address: str, inside: Sequence[str] = ()) -> None:
        self._cluster = cluster
        self._inside = inside
        self.address = address
        self.url = f"http://{address}:{cluster.port}"
        self.log = cluster.folder / f"{address}.log"
        self._own: list[subprocess.Popen[bytes]] = []
        self.seen: set[int] = set()  # ids of the processes that were ever asked for

    def start_ray(self) -> None:
        """Returns at once; `wait_ray` when it runs."""
        where = ["--address", self._cluster.address]
        is_head = self is self._cluster.head
        if is_head:
            where = ["--head", "--port", self._cluster.address.rpartition(":")[2]]
            where += ["--include-dashboard=false", "--temp-dir", str(self._cluster.ray)]
        self._run(
            *(str(BIN / "ray"), "start", "--block", "--disable-usage-stats", *where),
            *("--node-ip-address", self.address),
            *("--num-cpus", "0" if is_head else "2"),
            *("--object-store-memory", str(80 * 1024 * 1024)),
        )

    def wait_ray(self) -> None:
        self._until(lambda: "Ray runtime started" in self.log.read_text())

    def start_serve(self) -> None:
        """Returns at once; `wait` when it answers."""
        serve = [str(BIN / "strapontin"), "serve"]
        if self._cluster.module:
            serve = [sys.executable, "-m", self._cluster.module]
        self._run(
            *(*serve, "--data", str(self._cluster.folder / self.address)),
            *("--database-url", self._cluster.database_url),
            *("--ray-address", self._cluster.address, "--host", self.address),
            *("--port", str(self._cluster.port), "--language", "en"),
        )

    def wait(self) -> None:
        self._until(self.answers)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(json.load(answer)["ready"])
        except (OSError, ValueError):
            return False

    def processes(self, title: str | tuple[str, ...] = "") -> list[psutil.Process]:
        """Those of this node whose command line begins so."""
        found = []
        for own in self._own:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(own.pid)
                found += [process, *process.children(recursive=True)]
        self.seen.update([each.pid for each in found])
        return [each for each in found if _title(each).startswith(title)]

    def signal(self, number: int) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def kill(self) -> None:
        """The power is cut."""
        self.signal(signal.SIGKILL)
        for own in self._own:
            own.wait()

    def forget(self) -> None:
        """What ran here is dead."""
        self._own.clear()
        self.log.write_text("")

    def restart(self) -> None:
        """The machine is switched on again: Ray, and the same command. Returns when it serves."""
        self.forget()
        self.start_ray()
        self.wait_ray()
        self.start_serve()
        self.wait()

    def _run(self, *command: str) -> None:
        with self.log.open("ab") as log:
            self._own.append(
                subprocess.Popen(
                    [*self._inside, *command],
                    stdout=log,
                    stderr=log,
                    env=self._cluster.environment,
                    cwd=CHECKOUT,
                )
            )

    def _until(self, done: Any) -> None:
        ends_s = time.monotonic() + START_S
        while time.monotonic() < ends_s:
            if done():
                return
            if self._own[-1].poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.address} did not start:\n{self.log.read_text()}")


class Cluster:
    """A head without anything of ours, two nodes, and a Postgres that outlives them all.

    `module` serves the nodes instead of the command, with one of its rules switched off.
    `cables` lead to the head and the nodes, and to the database at the ground.
    """

    def __init__(self, folder: Path, module: str = "", cables: Sequence[Cable] = ()) -> None:
        self.folder = folder
        self.module = module
        self.ray = folder / "ray"
        self.port = free_port()
        self.postgres = EmbeddedPostgres(folder / "data")
        self.database_url = self.postgres.url
        self.database_port = free_port()
        places: list[tuple[str, Sequence[str]]] = [(each, ()) for each in (HEAD, *NODES)]
        if cables:
            places = [(cable.address, cable.inside) for cable in cables]
            ground = make_url(self.postgres.url).set(host=GROUND, port=self.database_port, query={})
            self.database_url = ground.render_as_string(hide_password=False)
        self.address = f"{places[0][0]}:{free_port()}"
        inherited = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
        self.environment = inherited | {
            "PYTHONPATH": str(CHECKOUT),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
            "RAY_worker_niceness": "0",
        }
        self.head, *self.nodes = [Node(self, *place) for place in places]

    def start(self) -> None:
        self.postgres.start()
        self.start_nodes()

    def start_nodes(self) -> None:
        """The head, and every node. Returns when all serve."""
        for node in (self.head, *self.nodes):
            # One after the other: on one machine they share a folder, and number their files.
            node.forget()
            node.start_ray()
            node.wait_ray()
        for node in self.nodes:
            node.start_serve()
        for node in self.nodes:
            node.wait()

    def stop(self) -> None:
        for node in (*self.nodes, self.head):
            node.signal(signal.SIGCONT)
            node.kill()
        self.postgres.stop()

    def logs(self, node: Node) -> str:
        """What the processes of this node have written, those that were seen and ended included."""
        node.processes()
        files = (self.ray / "session_latest" / "logs").glob("worker-*.err")
        return "".join(
            file.read_text() for file in files if int(file.stem.rpartition("-")[2]) in node.seen
        )

    async def rows(self, query: str) -> list[Any]:
        connection = await connect(self.postgres.url)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def leader(self) -> Node:
        """The node that leads, as the database says."""
        (row,) = await self.rows("SELECT node FROM lead")
        return self._of(row["node"])

    async def writer(self, performance: int) -> Node:
        """The node of the performance's writer, as its last claim says."""
        (row,) = await self.rows(f"SELECT serving FROM writers WHERE performance = {performance}")
        return self._of(row["serving"].partition("@")[2])

    def _of(self, name: str) -> Node:
        return next(node for node in self.nodes if name.startswith(f"{node.address}-"))


class Doors:
    """What a client knows: several addresses. Where one does not answer it goes to the next."""

    def __init__(self, nodes: Sequence[Node], first: int = 0) -> None:
        self._nodes = nodes
        self._turn = first - 1

    @property
    def url(self) -> str:
        """Where to connect now: asked for at the start, and when a connection was lost."""
        self._turn += 1
        return self._here()

    def _here(self) -> str:
        return self._nodes[self._turn % len(self._nodes)].url

    async def ask(self, path: str, body: Any = None, token: str = "") -> Any:
        """JSON in, JSON out. Raises urllib.error.HTTPError, or OSError when nobody answers."""
        return await asyncio.to_thread(self._ask, path, body, token)

    def _ask(self, path: str, body: Any, token: str) -> Any:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(self._here() + path, data, headers)
            with urllib.request.urlopen(request, timeout=ASK_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError:
            self._turn += 1
            raise


class Crowd:
    """Buyers in one performance, each with addresses of its own; begun half here, half there."""

    def __init__(self, nodes: Sequence[Node], performance: int, count: int) -> None:
        self._buyers = [
            Buyers(Doors(nodes, first), performance, 1)  # type: ignore[arg-type]
            for first in range(count)
        ]

    @property
    def sales(self) -> list[Sale]:
        """What was acknowledged."""
        return [sale for each in self._buyers for sale in each.sales]

    async def until(self, sales: int, within_s: float) -> None:
        """Returns at this many acknowledged sales; raises TimeoutError, or what a buyer met."""
        async with asyncio.timeout(within_s):
            while len(self.sales) < sales:
                await asyncio.sleep(0.02)
                for task in (task for each in self._buyers for task in each._tasks):
                    if task.done():
                        task.result()

    async def stop(self) -> None:
        """Everyone finishes the purchase under way."""
        await asyncio.gather(*(each.stop() for each in self._buyers))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A short one: the names of Ray's sockets must fit into 107 bytes. Postgres' user gets in."""
    made = Path(tempfile.mkdtemp(prefix="stp-", dir="/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def cluster(module: str = "", cables: Sequence[Cable] = ()) -> Iterator[Cluster]:
    """Two nodes that serve one house."""
    with folder() as where, contextlib.ExitStack() as stack:
        made = Cluster(where, module, cables)
        stack.callback(made.stop)
        if cables:
            socket = Path(str(make_url(made.postgres.url).query["host"])) / ".s.PGSQL.5432"
            stack.enter_context(forwarded(str(socket), made.database_port))
        made.start()
        yield made


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
