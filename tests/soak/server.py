"""`strapontin serve` with the actors of the soak (`tests.soak.parts`)."""

import sys
from pathlib import Path
from typing import Final

CONTROL: Final = "SOAK_CONTROL"
"""The variable that names where the soak is told and asked: a port on 127.0.0.1."""


def main(data: str, port: str, database_url: str, without: str) -> int:
    from console.serve import serve
    from renderers.i18n import translator

    def prepare() -> None:
        from tests.soak.parts import put_in_place

        put_in_place(without)

    here = ("127.0.0.1", int(port))
    return serve(Path(data), database_url, *here, translator("en"), prepare=prepare)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
