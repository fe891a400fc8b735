"""Ray on this machine alone: loopback only, nothing that is not used, a key for this run.
Or a cluster that runs already, joined as one of its nodes (`join`).

Ray reads its environment when it is imported, so `start`, or `set_environment`,
must run before anything else imports ray; that is why it imports ray itself.
"""

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NAMESPACE: Final = "strapontin"
OBJECT_STORE_BYTES: Final = 100 * 1024 * 1024
"""Batches travel inline; the object store is there because Ray wants one."""
KEPT_SESSIONS: Final = 3
"""Folders of logs of earlier runs."""
UNUSED: Final = ("start_api_server", "start_log_monitor", "start_monitor")
"""Ray's server of pages, its reader of log files and its autoscaler: nobody asks them anything
here, each is an interpreter more to start while ours do, and Ray waits for the first. It has no
setting for that."""

_KEY: Final = "RAY_AUTH_TOKEN"


def set_environment() -> None:
    """What Ray reads when it is imported; its processes inherit it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # The name says Windows and macOS; what it does is bind every socket to loopback.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Another user of the machine cannot call an actor without this run's key.
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ[_KEY] = secrets.token_hex(32)
    # Ray lowers its workers' priority by default; ours are the product.
    os.environ["RAY_worker_niceness"] = "0"


def start() -> Path:
    """Start Ray; the folder where its processes write their logs.

    Raises RuntimeError when ray was imported before its environment was set.
    """
    if "ray" not in sys.modules:
        set_environment()
    elif _KEY not in os.environ:
        raise RuntimeError("ray was imported before its environment was set")
    import ray

    folder = _folder()
    with _without_the_unused():
        ray.init(
            address="local",
            namespace=NAMESPACE,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=str(folder),
        )
    return folder / "session_latest" / "logs"


@contextlib.contextmanager
def _without_the_unused() -> Iterator[None]:
    from ray._private.node import Node

    methods = {name: getattr(Node, name) for name in UNUSED}
    try:
        for name in methods:
            setattr(Node, name, lambda *_, **__: None)
        yield
    finally:
        for name, method in methods.items():
            setattr(Node, name, method)


class CannotJoin(Exception):
    """`reason` in Ray's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoToken(Exception):
    """Joining a cluster takes its token, and there is none."""


def join(address: str, host: str) -> tuple[str, Path]:
    """Join a Ray cluster that runs here already; this node's address in it, and its logs' folder.

    `host` is the node's own address, "" where Ray finds it by itself. Raises NoToken, CannotJoin.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "token"
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not os.environ.get(_KEY) and not token.exists():
        raise NoToken
    import ray

    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            **({"_node_ip_address": host} if host else {}),
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise CannotJoin((str(error).strip() or repr(error)).splitlines()[0]) from error
    logs = ray._private.worker.global_worker.node.get_logs_dir_path()
    return ray.util.get_node_ip_address(), Path(logs)


def stop() -> None:
    """End Ray and every actor; does nothing when it is not running."""
    import ray

    ray.shutdown()


def _folder() -> Path:
    """A short path (its sockets must fit into 107 bytes), with old sessions removed."""
    folder = Path(tempfile.gettempdir()) / f"strapontin-ray-{os.getuid()}"
    if len(str(folder)) > 40:
        folder = Path("/tmp") / folder.name
    folder.mkdir(mode=0o700, exist_ok=True)
    sessions = sorted(folder.glob("session_2*"), key=lambda path: path.stat().st_mtime)
    for old in sessions[:-KEPT_SESSIONS]:
        pid = old.name.rpartition("_")[2]
        if not (pid.isdigit() and _runs(int(pid))):
            with contextlib.suppress(OSError):
                shutil.rmtree(old)
    return folder


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
