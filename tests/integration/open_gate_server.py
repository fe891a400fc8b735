"""The server with nobody at the waiting room's gate: for the positive control of its tests."""

import sys
from pathlib import Path


def main(data: str, port: str) -> int:
    from console.serve import serve
    from renderers.i18n import translator

    return serve(Path(data), None, "127.0.0.1", int(port), translator("en"), prepare=_switch_off)


def _switch_off() -> None:
    from engine.actors import wiring

    class UnguardedGateway(wiring.GatewayProcess):
        def __init__(self, settings: wiring.Settings) -> None:
            from gateway.socket import Connection

            Connection._is_held_back = lambda *_: False  # type: ignore[method-assign]
            super().__init__(settings)

    wiring.GatewayProcess = UnguardedGateway  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
