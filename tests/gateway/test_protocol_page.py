"""docs/protocol.md is complete, and enough: bots written from it work."""

import ast
import asyncio
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from engine import commands
from engine.commands import Alarm, Refusal, Rung, ScanMode, ScanOutcome, SeatStatus
from engine.orders import DeskRefusal, LineState, OrderState
from engine.payments import PaymentMethod, PaymentRefusal, PaymentState
from engine.settings import ReEntry
from gateway import limits, wire
from gateway.problems import CODES
from gateway.session import OPERATOR_ROLES
from tests import bots
from tests.actors.houses import settings, small_plan
from tests.gateway.conftest import Running, Start

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
T = TypeVar("T")


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


# Complete ------------------------------------------------------------------------------


def positions(kind: Any) -> list[str]:
    """The array positions of a struct as the page writes them: tag first."""
    return [f'"{kind.__struct_config__.tag}"', *kind.__struct_fields__]


@pytest.mark.parametrize(
    "frame", [*wire.ClientFrame.__args__, *wire.ServerFrame.__args__], ids=lambda one: one.__name__
)
def test_every_frame_is_on_the_page_with_its_positions(page: str, frame: Any) -> None:
    written = f"[{', '.join(positions(frame))}]"
    assert f"`{written}`" in page


SPOKEN = (
    "Refused",
    "Held",
    "Released",
    "BasketIs",
    "Blocked",
    "Unblocked",
    "Scanned",
    "Undone",
    "Kept",
)
"""The outcomes that a websocket client can get."""


@pytest.mark.parametrize("name", SPOKEN)
def test_every_outcome_a_client_can_get_is_on_the_page(page: str, name: str) -> None:
    written = f"[{', '.join(positions(getattr(commands, name)))}]"
    assert f"`{written}`" in page


def test_the_feed_frames_are_on_the_page(page: str) -> None:
    assert '`["snapshot", performance, epoch, seq, seats, areas]`' in page
    assert '`["delta", performance, epoch, from_seq, seq, seats, areas]`' in page


@pytest.mark.parametrize(
    "words",
    [
        Refusal,
        Rung,
        ScanMode,
        ScanOutcome,
        Alarm,
        ReEntry,
        OrderState,
        LineState,
        PaymentMethod,
        PaymentState,
        PaymentRefusal,
        DeskRefusal,
    ],
    ids=lambda one: one.__name__,
)
def test_every_word_of_the_vocabulary_is_on_the_page(page: str, words: Any) -> None:
    missing = [word.value for word in words if f"`{word.value}`" not in page]
    assert not missing


def test_precedence_is_told_in_the_engines_order(page: str) -> None:
    for words, heading in ((Refusal, "## Refusals"), (ScanOutcome, "### Scan outcomes")):
        section = page.split(heading + "\n", 1)[1].split("\n#", 1)[0]
        rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert rows == [word.value for word in words]


def test_seat_statuses_and_roles_are_on_the_page(page: str) -> None:
    for status in SeatStatus:
        assert f"{status.value} {status.name}" in page
    for role in OPERATOR_ROLES:
        assert f"`{role}`" in page


def test_every_problem_code_and_every_error_code_is_on_the_page(page: str) -> None:
    codes = set(CODES) | error_codes()
    assert {"malformed", "forbidden", "unauthenticated", "rate"} <= codes
    assert sorted(code for code in codes if f"`{code}`" not in page) == []


def error_codes() -> set[str]:
    """The literal codes given to `.error(...)` and `_refuse(...)`, read from the source."""
    found = set()
    for path in (Path(wire.__file__).parent).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in ("error", "_refuse", "close", "_close", "cut_off", "shed"):
                continue
            found |= {
                argument.value
                for argument in node.args
                if isinstance(argument, ast.Constant)
                and isinstance(argument.value, str)
                and re.fullmatch(r"[a-z_]{4,30}", argument.value)
            }
    return found


async def test_every_route_is_on_the_page(page: str, gateway: Running) -> None:
    missing = []
    for route in gateway.app.router.routes():
        if route.method == "HEAD":
            continue
        path = re.sub(r"\{(\w+):[^{}]*(?:\{[^{}]*\})*[^{}]*\}", r"{\1}", route.resource.canonical)
        if f"`{route.method} {path}" not in page:
            missing.append(f"{route.method} {path}")
    assert missing == []


def test_the_limits_on_the_page_are_the_codes(page: str) -> None:
    from engine import limits as engine_limits

    named = re.findall(r"^\| `(MAX_\w+|\w+_(?:S|MS|BYTES|PER_S|COMMANDS))` \| ([\d,.]+) \|", page,
                       re.MULTILINE)  # fmt: skip
    assert len(named) > 12
    for name, value in named:
        known = getattr(limits, name, None) or getattr(engine_limits, name)
        assert float(value.replace(",", "")) == float(known), name


# Enough --------------------------------------------------------------------------------


def test_the_bots_know_nothing_of_ours() -> None:
    tree = ast.parse(Path(bots.__file__).read_text())
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert modules - sys.stdlib_module_names == {"msgpack", "websockets"}


async def run(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


async def test_the_first_example_runs_as_it_stands(
    page: str, gateway: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    assert "http://127.0.0.1:8000" in code
    code = code.replace("http://127.0.0.1:8000", gateway.url)
    await run(lambda: exec(code, {}))
    assert capsys.readouterr().out.splitlines()[-1] == "paid"


async def test_a_bot_buys_and_a_bot_scans(gateway: Running) -> None:
    token = await gateway.fake.device_token("door", "main")

    def story() -> None:
        with bots.Buyer(gateway.url, 1) as buyer, bots.Scanner(gateway.url, token, 1) as door:
            assert len(buyer.picture.free()) == 160
            best = buyer.best(2)
            assert best[0] == "held" and best[5] == "adjacent"
            taken = best[2]
            buyer.link.listen_for(0.2)
            assert [buyer.picture.statuses[seat] for seat in taken] == [bots.HELD] * 2
            free = buyer.picture.free()[0]
            assert buyer.hold(free)[2] == [free]
            assert buyer.release(free)[0] == "released"
            assert buyer.basket()[2] == taken
            order = buyer.place()
            assert order["state"] == "open" and order["total"] == 4_000
            assert buyer.pay(order)["state"] == "paid"
            buyer.link.listen_for(0.2)
            assert [buyer.picture.statuses[seat] for seat in taken] == [bots.SOLD] * 2
            assert buyer.tickets_pdf(order).startswith(b"%PDF")
            one, other = buyer.tickets(order)
            assert door.look_up(one["secret"])["result"] == "ADMITTED"
            admitted = door.scan(one["secret"])
            assert admitted["result"] == "ADMITTED" and admitted["seat"] == taken[0]
            again = door.scan(one["number"])
            assert again["result"] == "ALREADY_USED" and again["used_gate"] == "main"
            assert again["used_at_ms"] == admitted["used_at_ms"]
            assert door.scan(other["number"].lower())["result"] == "ADMITTED"
            assert door.scan("ST1NONSENSE")["result"] == "UNKNOWN"

    await run(story)


async def test_two_bots_see_each_other(gateway: Running) -> None:
    def story() -> None:
        with bots.Buyer(gateway.url, 1) as one, bots.Buyer(gateway.url, 1) as other:
            assert one.hold(7, 8)[0] == "held"
            assert other.hold(8, 9)[:3] == ["refused", "seat_taken", [8]]
            other.link.listen_for(0.2)
            assert other.picture.statuses[6:10] == [0, 1, 1, 0]
            with pytest.raises(bots.Refused) as refused:
                other.link.ask("scan", 1, "x")
            assert refused.value.code == "forbidden"

    await run(story)


async def test_a_bot_survives_everything(start: Start) -> None:
    """Connections cut, the performance away, answers lost, load shed: still every seat once."""
    gateway = await start(retry_for_s=0.2, buyer_commands_per_s=30.0)
    gateway.fake.add_performance(small_plan(), settings(max_per_order=100))
    stop = asyncio.Event()

    async def trouble() -> None:
        fake = gateway.fake.performances
        while not stop.is_set():
            for connection in list(gateway.edge.hub._connections):
                connection.cut_off("test")
            fake.lose = 1
            await asyncio.sleep(0.15)
            fake.down = True
            await asyncio.sleep(0.3)
            fake.down = False
            fake.restart(1)
            await asyncio.sleep(0.3)

    def story() -> tuple[list[list[Any]], list[int], int]:
        with bots.Buyer(gateway.url, 1) as buyer:
            outcomes = [buyer.hold(seat) for seat in range(90)]
            buyer.link.listen_for(0.5)
            held = buyer.basket()[2]
            return outcomes, held, buyer.link.reconnects

    troubling = asyncio.create_task(trouble())
    outcomes, held, reconnects = await run(story)
    stop.set()
    await troubling
    assert [outcome[0] for outcome in outcomes] == ["held"] * 90
    assert held == list(range(90))
    assert reconnects > 0


async def test_a_bot_hears_that_its_hold_is_lost(gateway: Running) -> None:
    def hold(buyer: bots.Buyer) -> None:
        assert buyer.hold(5)[0] == "held"

    buyer = await run(lambda: bots.Buyer(gateway.url, 1).__enter__())
    await run(lambda: hold(buyer))
    gateway.fake.performances.ahead_ms = 16 * 60_000
    gateway.fake.performances.wake()
    await run(lambda: buyer.link.listen_for(0.5))
    assert buyer.link.lost == [(1, buyer.token)]
    assert buyer.picture.statuses[5] == bots.AVAILABLE
    assert (await run(buyer.basket))[:2] == ["refused", "hold_unknown"]
    await run(buyer.link.close)


def test_the_bots_picture_agrees_with_the_engines() -> None:
    from engine.feed import Feed, Replica

    feed = Feed(1, 3, bytes([0, 1, 2, 3, 0, 0, 0]), [5, 6])
    picture, replica = bots.Picture(7, 2), Replica(1, 7, 2)
    frames = [feed.snapshot_frame()]
    feed.publish([0 << 2 | 1, 6 << 2 | 2], [(1, 4)])
    frames.append(feed.since(3, 0))
    feed.publish([0 << 2 | 0])
    frames += [feed.since(3, 0), feed.since(3, 1), feed.snapshot_frame()]
    for frame in [*frames, *frames]:
        replica.apply(frame)
        assert picture.apply(msgspec.msgpack.decode(frame))
        assert picture.statuses == list(replica.statuses)
        assert (picture.epoch, picture.seq, picture.areas) == (3, replica.seq, replica.areas)
    assert not picture.apply(["delta", 1, 3, 9, 10, b"", []])
    assert not picture.apply(["delta", 1, 4, 0, 1, b"", []])
    assert picture.apply(["delta", 1, 2, 0, 1, secrets.token_bytes(4), []])
