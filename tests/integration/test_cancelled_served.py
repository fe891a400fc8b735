"""A performance of a house that is really served is cancelled, and the desk is killed meanwhile."""

import asyncio
import json
import subprocess
import sys
import urllib.error
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.integration.server import CHECKOUT, ServedHouse
from tests.integration.test_mail_served import PATIENCE_S, buy

PATH = "/api/performances/1/cancellation"


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Asked again while a part that was killed is not back."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if await true():
                    return
            except (urllib.error.HTTPError, OSError):
                pass
            await asyncio.sleep(0.2)


async def test_all_is_given_back_also_when_the_desk_is_killed(tmp_path: Path) -> None:
    with ServedHouse(tmp_path / "house") as house:
        orders = [await buy(house, f"buyer{number}@house.example") for number in range(6)]
        paid = sum(order["paid"] for order in orders)
        admin = {"name": "admin", "password": house.logins["admin"]}
        token = (await house.ask("/api/login", admin))["token"]
        preview = await house.ask(f"{PATH}/preview", token=token)
        assert (preview["orders"], preview["back"]) == (6, {"test_card": paid})

        await house.ask(PATH, {"reason": "ill"}, token)
        assert house.kill("DeskProcess") == 1

        async def is_cancelled() -> bool:
            shown = await house.ask("/api/performances/1")
            return bool(shown["status"] == "cancelled")

        async def has_ended() -> bool:
            return bool((await house.ask(PATH, token=token))["ended_ms"])

        await until(is_cancelled)
        assert house.kill("DeskProcess") <= 1
        await until(has_ended)
        views: list[dict[str, Any]] = []

        async def are_seen() -> bool:
            views[:] = [await house.ask(f"/api/orders/{order['id']}") for order in orders]
            return True

        await until(are_seen)
        for view in views:
            assert (view["state"], view["paid"]) == ("refunded", 0)
            assert [one["id"] for one in view["refunds"]] == ["cancelled-1"]
        mails = await house.ask("/api/mails?limit=200", token=token)
        told = [mail["order_number"] for mail in mails if mail["kind"] == "called_off"]
        assert sorted(told) == [order["number"] for order in orders]
        assert "refunded" not in {mail["kind"] for mail in mails}

        async def is_written() -> bool:
            files = (house.data / "mail").glob("*.eml")
            return sum(b"\r\nSubject: Cancelled: " in file.read_bytes() for file in files) == 6

        await until(is_written)

        # Anybody may look, from anywhere, by the same command.
        command = [str(Path(sys.executable).with_name("strapontin")), "performance", "cancel", "1"]
        said = await asyncio.to_thread(
            subprocess.run,
            [*command, "--server", house.url, "--token", token, "--json"],
            cwd=CHECKOUT,
            capture_output=True,
            check=True,
            timeout=60,
        )
        seen = json.loads(said.stdout)["cancellation"]
        assert seen["orders"] == {"todo": 0, "waiting": 0, "done": 6, "left": 0}
        assert seen["amount"] == paid and seen["untold"] == 0
