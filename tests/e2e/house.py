"""The demo house, served for a while in a folder that is thrown away."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.server import ServedHouse


@contextmanager
def demo_house() -> Iterator[ServedHouse]:
    # Not under pytest's own folder, which it closes to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="strapontin-test-") as folder:
        Path(folder).chmod(0o755)
        with ServedHouse(Path(folder) / "data") as house:
            yield house
