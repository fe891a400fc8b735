"""A card at a reader, in a served house: the desk is killed while the card is charged."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.stripe_server import FakeStripe
from tests.integration.server import CHECKOUT, ServedHouse

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture
def data() -> Iterator[Path]:
    # Not under pytest's own folder, which it closes to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="strapontin-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


async def strapontin(*arguments: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    command = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("strapontin")), *arguments),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await command.communicate()
    assert command.returncode is not None
    return command.returncode, printed.decode()


async def test_a_desk_that_is_killed_while_a_card_is_charged_sells_once(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No webhook reaches the house, and the reader tells of a failure: the money is found."""
    async with FakeStripe() as stripe:
        reader = stripe.terminal.add_reader("Foyer")
        monkeypatch.setenv("STRAPONTIN_STRIPE_KEY", stripe.api_key)
        monkeypatch.setenv("STRAPONTIN_STRIPE_WEBHOOK_SECRET", stripe.webhook_secret)
        monkeypatch.setenv("STRAPONTIN_STRIPE_API_BASE", stripe.url)
        house = ServedHouse(data)
        await asyncio.to_thread(house.start)
        try:
            monkeypatch.setenv("STRAPONTIN_PASSWORD", house.logins["admin"])
            who = ("--server", house.url, "--login", "admin")
            code, listed = await strapontin("terminal", "list", *who)
            assert code == 0 and "Foyer" in listed
            paid = ("--best", "2", "--pay", "stripe_terminal", "--reference", reader, "--json")
            sale = asyncio.create_task(strapontin("order", "sell", "1", *paid, *who))
            async with asyncio.timeout(60):
                while not stripe.terminal.shows(reader):  # noqa: ASYNC110 - not ours to signal
                    await asyncio.sleep(0.05)
            assert house.kill("DeskProcess") == 1
            stripe.terminal.present(reader, told=False)
            code, printed = await asyncio.wait_for(sale, 90)
            assert code == 0, printed
            order = json.loads(printed)
            [payment] = order["payments"]
            [intent] = stripe.terminal.intents.values()
            assert (order["state"], payment["intent"]) == ("paid", intent["id"])
            assert payment["captured"] == order["total"] == intent["amount_received"]
            assert all(line["ticket"] >= 0 for line in order["lines"])
        finally:
            await asyncio.to_thread(house.stop)
