"""A node whose lead does not end with its lease: for the positive control of the takeover."""

import sys


def main() -> None:
    from console.cli import main as run

    sys.argv[1:1] = ["serve"]
    _switch_off()
    run()


def _switch_off() -> None:
    from console import serve

    real = serve.serve

    def careless(*args: object, **options: object) -> int:
        return real(*args, **options, prepare=_patch)  # type: ignore[arg-type]

    serve.serve = careless  # type: ignore[assignment]


def _patch() -> None:
    from engine.actors import wiring

    class LastingJournal(wiring.JournalProcess):
        def __init__(self, url: str) -> None:
            from persistence import lead

            lead._LEAD = lead._LEAD.replace(str(lead.LEASE_MS), "3600000")
            super().__init__(url)

    wiring.JournalProcess = LastingJournal  # type: ignore[misc]


if __name__ == "__main__":
    main()
