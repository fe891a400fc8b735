"""A house whose connections may send as fast as they can: for the fuzzing of a running gateway.

At a buyer's pace of 50 frames a second most nonsense would be answered by the rate limit, and
what is behind it would never be asked; and where twenty malformed frames end a connection, most
of the time would go into opening others. Both bounds have tests of their own.
"""

import sys
from pathlib import Path

MALFORMED_FRAMES = 2_000


def main(data: str, port: str) -> int:
    from console.serve import serve
    from renderers.i18n import translator

    return serve(Path(data), None, "127.0.0.1", int(port), translator("en"), prepare=_hurry)


def _hurry() -> None:
    from engine.actors import wiring

    class GatewayProcess(wiring.GatewayProcess):
        def __init__(self, settings: wiring.Settings) -> None:
            from gateway import config, socket

            class Hurried(config.Config):
                def __init__(self, **values: object) -> None:
                    rates = {"buyer_commands_per_s": 1e6, "staff_commands_per_s": 1e6}
                    super().__init__(**values | rates)  # type: ignore[arg-type]

            socket.MAX_MALFORMED_FRAMES = MALFORMED_FRAMES  # type: ignore[misc]
            config.Config = Hurried  # type: ignore[misc]
            super().__init__(settings)

    wiring.GatewayProcess = GatewayProcess  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
