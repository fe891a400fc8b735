"""What else the machine did meanwhile: seconds are a bound for what had the processors."""

import contextlib
import os

import psutil

from tests.cluster.nodes import Cluster


class Others:
    """The programs that are not of the cluster, from now on."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._busy_s = _busy_s()
        self._own = self._times()

    def taken_s(self) -> float:
        """Seconds for which they had all processors, so to speak; 0.0 on a quiet machine."""
        own_s = sum(used - self._own.get(pid, 0.0) for pid, used in self._times().items())
        return max(0.0, _busy_s() - self._busy_s - own_s) / (os.cpu_count() or 1)

    def _times(self) -> dict[int, float]:
        """Processor time by process: the nodes', the database's, and that of who buys."""
        buyers = psutil.Process()
        found = [buyers]
        for node in (self._cluster.head, *self._cluster.nodes):
            found += node.processes()
        if (postgres := self._cluster.postgres.pid) is not None:
            server = psutil.Process(postgres)
            found += [server, *server.children(recursive=True)]
        times = {}
        for each in found:
            with contextlib.suppress(psutil.Error):
                used = each.cpu_times()
                times[each.pid] = used.user + used.system
        return times


def _busy_s() -> float:
    told = psutil.cpu_times()
    return sum(told) - told.idle - getattr(told, "iowait", 0.0) - getattr(told, "guest", 0.0)
