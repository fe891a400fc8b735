"""An installation of its own for a measurement: real Postgres, real Ray, gone afterwards.

Owns nothing that it measures. Everything lives in a temporary folder and on
loopback, and is stopped and removed at the end, also after an error.
"""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from engine.actors import local_ray
from engine.plan import Plan
from engine.plan_io import dump_plan
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.actors.wiring import Installation

PASSWORD = "a rehearsal's password"


class Ground(Struct, frozen=True):
    """What a measurement stands on. `performances` are numbers, in the order asked for."""

    installation: "Installation"
    url: str
    database_url: str
    folder: Path
    ticket_key: bytes
    performances: tuple[int, ...]


@contextlib.contextmanager
def ground(
    houses: list[tuple[Plan, Settings]],
    kind: Callable[[], type["Installation"]] | None = None,
    roles: tuple[str, ...] = ("cashier", "door"),
) -> Iterator[Ground]:
    """An installation with one performance for each (plan, settings), and an operator "bench".

    `kind` is asked, once Ray runs, for another installation than the usual.
    """
    local_ray.start()
    from engine.actors.wiring import Installation
    from engine.actors.wiring import Settings as Wiring
    from persistence.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="strapontin-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as postgres:
            key = secrets.token_bytes(32)
            performances = asyncio.run(_prepare(postgres.url, key, houses, roles))
            port = _free_port()
            url = f"http://127.0.0.1:{port}"
            make = Installation if kind is None else kind()
            installation = make(Wiring(postgres.url, "127.0.0.1", port, url))
            try:
                installation.wait_ready()
                yield Ground(installation, url, postgres.url, Path(folder), key, performances)
            finally:
                installation.stop()


async def _prepare(
    url: str,
    ticket_key: bytes,
    houses: list[tuple[Plan, Settings]],
    roles: tuple[str, ...],
) -> tuple[int, ...]:
    from gateway.login import hash_password
    from persistence.migrations import migrate
    from persistence.store import Store

    await migrate(url)
    async with Store(url) as store:
        house = await store.catalogue.create_house(
            name="Bench",
            time_zone="Europe/Paris",
            languages=("en", "fr"),
            settings={},
            ticket_seed=ticket_key,
            session_secret=secrets.token_bytes(32),
            now_ms=0,
        )
        await store.access.create_operator(
            house.id,
            name="bench",
            password_hash=hash_password(PASSWORD),
            roles=roles,
            language="en",
            now_ms=0,
        )
        hashes: dict[int, str] = {}  # a large plan takes a while to write: once is enough
        numbers = []
        for plan, settings in houses:
            if id(plan) not in hashes:
                hashes[id(plan)] = plan.content_hash()
                await store.catalogue.add_plan(
                    plan_hash=hashes[id(plan)],
                    name=plan.name,
                    seats=len(plan.seats),
                    places=len(plan.seats),
                    body=dump_plan(plan),
                    now_ms=0,
                )
            production = await store.catalogue.create_production(
                house.id,
                titles={"en": "Bench", "fr": "Banc d'essai"},
                subtitles={},
                currency=settings.currency,
                info={},
                now_ms=0,
            )
            numbers.append(
                await store.catalogue.create_performance(
                    production.id,
                    plan_hash=hashes[id(plan)],
                    starts_ms=0,
                    settings=msgspec.json.encode(settings),
                    now_ms=0,
                )
            )
    return tuple(numbers)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
