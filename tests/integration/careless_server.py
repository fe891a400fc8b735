"""The server with its commit rule switched off, for the positive control of the crash tests."""

import sys
from pathlib import Path


def main(data: str, port: str) -> int:
    from console.serve import serve
    from renderers.i18n import translator

    return serve(Path(data), None, "127.0.0.1", int(port), translator("en"), prepare=_switch_off)


def _switch_off() -> None:
    from engine.actors import wiring
    from tests.integration.careless_writer import CarelessWriter

    # Under its usual name, by which it is found to be killed.
    class PerformanceProcess(wiring.PerformanceProcess):
        writer = CarelessWriter

    class DirectoryProcess(wiring.DirectoryProcess):
        performance_process = PerformanceProcess

    wiring.Installation.directory_process = DirectoryProcess


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
