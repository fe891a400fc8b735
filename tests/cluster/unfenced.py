"""A node whose journal does not ask whose reign it is: for the positive control of the fencing."""

import sys


def main() -> None:
    from console import serve
    from console.cli import main as run

    real = serve.serve

    def careless(*args: object, **options: object) -> int:
        return real(*args, **options, prepare=_patch)  # type: ignore[arg-type]

    serve.serve = careless  # type: ignore[assignment]
    sys.argv[1:1] = ["serve"]
    run()


def _patch() -> None:
    from engine.actors import wiring
    from tests.soak.parts import take_fencing_off

    class UnfencedJournal(wiring.JournalProcess):
        def __init__(self, url: str) -> None:
            take_fencing_off()
            super().__init__(url)

    wiring.JournalProcess = UnfencedJournal  # type: ignore[misc]


if __name__ == "__main__":
    main()
