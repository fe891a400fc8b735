"""What this process costs, as the system counts it.

Owns the reading. Memory is what is resident now where there is a /proc, elsewhere the most
that ever was.
"""

import os
import resource
import sys
import time
from typing import Final

from engine.status import Use

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024


def own_use() -> Use:
    return Use(_resident_bytes(), time.process_time())


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
