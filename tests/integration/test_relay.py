"""A real house killed while its doors are open: the relay goes on, and tells everything later."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import bots
from tests.integration.server import CHECKOUT, ServedHouse, free_port
from tests.integration.test_kill import data, rows

pytestmark = [pytest.mark.timeout(300), pytest.mark.soak]

__all__ = ["data"]

PERFORMANCE = 1
TICKETS = 6


def die(house: ServedHouse) -> None:
    """kill -9 of the house, all of it at once."""
    assert house._process is not None
    parent = psutil.Process(house._process.pid)
    family = [parent, *parent.children(recursive=True), *house.processes("postgres")]
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGKILL)
    house._process.wait(20)
    psutil.wait_procs(family, 20)


@contextlib.contextmanager
def relay(house: ServedHouse, token: str, folder: Path) -> Iterator[str]:
    """`strapontin relay` as a process; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "relay", "--server", house.url, "--token", token,
         "--performances", str(PERFORMANCE), "--port", str(port),
         "--memory", str(folder / "relay.db")],
        cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/readyz", timeout=2).close()
                break
            assert process.poll() is None, "the relay ended"
            subprocess.run(["sleep", "0.1"], check=True)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def sold(house: ServedHouse) -> list[str]:
    """The secrets of new tickets."""
    with bots.Buyer(house.url, PERFORMANCE) as buyer:
        assert buyer.best(TICKETS)[0] == "held"
        order = buyer.place()
        buyer.pay(order)
        return [ticket["secret"] for ticket in buyer.tickets(order)]


def results(door: bots.Scanner, secrets: list[str]) -> list[str]:
    return [door.scan(secret)["result"] for secret in secrets]


def story(house: ServedHouse, folder: Path) -> None:
    login = {"name": "admin", "password": house.logins["admin"]}
    admin = house.http("/api/login", login)["token"]
    settings = house.http(f"/api/performances/{PERFORMANCE}/settings", token=admin)
    if settings["doors_open_ms"]:
        put(house, settings | {"doors_open_ms": 0, "doors_close_ms": 0}, admin)
    tokens = [
        house.http("/api/devices", {"name": name}, admin)["token"]
        for name in ("relay", "north", "south")
    ]
    tickets = sold(house)
    with relay(house, tokens[0], folder) as url:
        with (
            bots.Scanner(url, tokens[1], PERFORMANCE) as north,
            bots.Scanner(url, tokens[2], PERFORMANCE) as south,
        ):
            assert results(north, tickets[:2]) == ["ADMITTED"] * 2
            die(house)
            assert results(south, tickets[:4]) == ["ALREADY_USED"] * 2 + ["ADMITTED"] * 2
            assert results(north, tickets[2:6]) == ["ALREADY_USED"] * 2 + ["ADMITTED"] * 2
        house.start()
        for _ in range(600):
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                if b'"kept":0' in answer.read():
                    break
            subprocess.run(["sleep", "0.1"], check=True)
        with bots.Scanner(url, tokens[1], PERFORMANCE) as north:
            assert results(north, tickets) == ["ALREADY_USED"] * TICKETS


def put(house: ServedHouse, settings: Any, token: str) -> None:
    import json

    request = urllib.request.Request(
        f"{house.url}/api/performances/{PERFORMANCE}/settings",
        json.dumps(settings).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).close()


async def test_the_house_dies_and_nobody_comes_in_twice(data: Path, tmp_path: Path) -> None:
    with ServedHouse(data) as house:
        await asyncio.to_thread(story, house, tmp_path)
        admitted = await rows(
            data,
            "SELECT ticket, count(*) FROM scans WHERE ticket > 0 AND mode = 'admit' AND"
            " CASE WHEN sequence >= 0 THEN shown ELSE result END = 'ADMITTED' GROUP BY ticket",
        )
        kept = await rows(data, "SELECT sequence FROM scans WHERE sequence >= 0")
        assert [row["count"] for row in admitted] == [1] * TICKETS
        assert len({row["sequence"] for row in kept}) == len(kept) == 8
