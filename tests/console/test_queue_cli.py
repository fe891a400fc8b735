"""The queue commands: a room over a real gateway, and a log that lies in every way."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console import queue_cli
from console.room_log import LogUnreadable, read_log
from engine.waiting_room import visitor_of
from tests.console.server import CASHIER, House
from tests.console.waiting import last_json

PERFORMANCE = 1


def run(*arguments: object) -> int:
    code: int = queue_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def in_minutes(minutes: float) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + 60 * minutes, UTC).isoformat()


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON of a command; a server in this process writes its log to the same place."""
    return last_json(capsys.readouterr().out)


def test_a_room_is_opened_shown_and_closed(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = ("--server", served.url)
    times = ("--opens", "now", "--on-sale", in_minutes(10))
    assert run("show", PERFORMANCE, *where) == 1
    assert queue_cli.t("refusal.no_room") in capsys.readouterr().err
    assert run("open", PERFORMANCE, *times, *where) == 2
    assert "--login" in capsys.readouterr().err
    assert run("open", PERFORMANCE, *times, *where, "--login", CASHIER, "--json") == 0
    opened = told(capsys)
    assert opened["phase"] == "gathering" and len(opened["commitment"]) == 64
    assert run("show", PERFORMANCE, *where, "--json") == 0
    assert told(capsys)["commitment"] == opened["commitment"]
    assert run("show", PERFORMANCE, *where) == 0
    shown = capsys.readouterr().out
    assert queue_cli.t("queue.phase.gathering") in shown and opened["commitment"] in shown
    assert run("log", PERFORMANCE, *where, "--json") == 0
    log = tmp_path / "log.json"
    log.write_text(json.dumps(told(capsys)))
    assert run("verify", log) == 0
    assert queue_cli.t("queue.verify.not_drawn") in capsys.readouterr().out
    address = f"{served.url}/api/performances/{PERFORMANCE}/queue/log"
    assert run("verify", address, "--json") == 0
    assert told(capsys)["drawn"] == -1
    late = ("--opens", in_minutes(5), "--on-sale", in_minutes(4))
    assert run("open", 77, *late, *where, "--login", CASHIER) == 1
    assert run("close", PERFORMANCE, *where, "--login", CASHIER) == 0
    assert run("close", PERFORMANCE, *where, "--login", CASHIER) == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "key", "values"),
    [
        (
            ("open", 1, "--opens", "soon", "--on-sale", "now"),
            "queue.cli.bad_time",
            {"text": "soon"},
        ),
        (
            ("verify", "x", "--visitor", "abc"),
            "queue.cli.bad_visitor",
            {"text": "abc", "digits": 32},
        ),
        (
            ("verify", "/nowhere/log.json"),
            "queue.cli.unreadable",
            {"file": "/nowhere/log.json", "why": "No such file or directory"},
        ),
    ],
)
def test_what_cannot_begin_says_why(
    arguments: tuple[object, ...],
    key: str,
    values: dict[str, object],
    served: House,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] == "open":
        arguments = (*arguments, "--server", served.url, "--login", CASHIER)
    assert run(*arguments) == 2
    assert queue_cli.t(key, **values) in capsys.readouterr().err


def test_a_time_without_an_offset_is_the_houses() -> None:
    from zoneinfo import ZoneInfo

    zurich = ZoneInfo("Europe/Zurich")
    local = queue_cli._time_ms("2030-01-31T10:00", zurich)
    assert local == queue_cli._time_ms("2030-01-31T10:00+01:00", zurich)
    assert local == queue_cli._time_ms("2030-01-31T09:00Z", zurich)


# Verifying ------------------------------------------------------------------------------

SEED = hashlib.sha256(b"a seed").digest()
NAMES = [visitor_of(12, f"{number:032x}").hex() for number in range(13)]


def drawn(names: list[str]) -> list[str]:
    """The order of the draw, written from docs/protocol.md."""

    def sha256(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    visitors = [bytes.fromhex(name) for name in names]
    key = sha256(SEED + sha256(b"".join(visitors)))
    return [visitor.hex() for visitor in sorted(visitors, key=lambda name: sha256(key + name))]


def good_log() -> dict[str, Any]:
    """Twelve drawn, one late, eleven admitted, one of them away at first."""
    order = drawn(NAMES[:12])
    return {
        "performance": 12,
        "opens_ms": 1_000,
        "on_sale_ms": 5_000,
        "commitment": hashlib.sha256(SEED).hexdigest(),
        "seed": SEED.hex(),
        "events": [
            ["arrived", 1_500, NAMES[:2]],
            ["arrived", 1_800, NAMES[2:12]],
            ["drawn", 5_000, SEED.hex()],
            ["arrived", 5_200, NAMES[12:]],
            ["admitted", 5_500, 600_000, [order[0], *order[2:6]]],
            ["admitted", 6_000, 600_500, [order[1], *order[6:11]]],
            ["closed", 9_000],
        ],
    }


def check(log: Any, tmp_path: Path, *more: object) -> int:
    file = tmp_path / "log.json"
    file.write_text(json.dumps(log))
    return run("verify", file, *more)


def test_a_good_log_agrees_and_finds_a_visitor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = drawn(NAMES[:12])
    assert check(good_log(), tmp_path, "--json", "--visitor", order[1]) == 0
    verdict = told(capsys)
    assert verdict["disagreements"] == []
    counts = {name: verdict[name] for name in ("events", "arrived", "drawn", "admitted", "away")}
    assert counts == {"events": 8, "arrived": 13, "drawn": 12, "admitted": 11, "away": 0}
    assert verdict["visitor"] == {
        "visitor": order[1],
        "number": NAMES.index(order[1]) + 1,
        "place": 1,
        "admitted_ms": 6_000,
        "expires_ms": 600_500,
    }
    assert check(good_log(), tmp_path, "--visitor", NAMES[12]) == 0
    said = capsys.readouterr().out
    assert queue_cli.t("queue.verify.place", place=13) in said
    assert SEED.hex() in said
    assert check(good_log(), tmp_path, "--visitor", "0" * 32) == 1
    assert "0" * 32 in capsys.readouterr().err


def lie(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    log = good_log()
    change(log)
    return log


LIES = {
    "another commitment": lambda log: log.update(commitment="00" * 32),
    "another seed": lambda log: log["events"][2].__setitem__(2, "11" * 32),
    "another seed above": lambda log: log.update(seed="11" * 32),
    "a seed that is kept secret": lambda log: log.update(seed=None),
    "somebody slipped in before the draw": lambda log: log["events"].insert(
        2, ["arrived", 2_000, ["ab" * 16]]
    ),
    "somebody left out": lambda log: log["events"][1][2].pop(),
    "arrivals in another order": lambda log: log["events"][0][2].reverse(),
    "somebody with two places": lambda log: log["events"][3][2].append(NAMES[0]),
    "a friend let in first": lambda log: log["events"][4].__setitem__(3, log["events"][4][3][::-1]),
    "let in without coming": lambda log: log["events"][4][3].append("cd" * 16),
    "let in twice": lambda log: log["events"][5][3].append(log["events"][4][3][0]),
    "drawn before the sale": lambda log: log["events"][2].__setitem__(1, 4_000),
    "drawn twice": lambda log: log["events"].insert(3, log["events"][2]),
    "time runs backwards": lambda log: log["events"][5].__setitem__(1, 5_400),
    "goes on after its end": lambda log: log["events"].append(["arrived", 9_500, ["ab" * 16]]),
}


@pytest.mark.parametrize("name", LIES)
def test_a_log_that_lies_is_caught(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(lie(LIES[name]), tmp_path, "--json")
    verdict = told(capsys)
    assert code == 1 and len(verdict["disagreements"]) == 1, verdict
    assert check(lie(LIES[name]), tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and verdict["disagreements"][0] in captured.err


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps(good_log() | {"commitment": "xyz"}).encode(),
        json.dumps(good_log() | {"events": [["arrived"]]}).encode(),
        json.dumps(good_log() | {"events": [["arrived", 1]]}).encode(),
        json.dumps(good_log() | {"events": [["arrived", "x", []]]}).encode(),
        json.dumps(good_log() | {"events": [["arrived", 1, [7]]]}).encode(),
        json.dumps(good_log() | {"events": [["drawn", 1, None]]}).encode(),
        json.dumps(good_log() | {"events": [["left", 1]]}).encode(),
        json.dumps(good_log() | {"events": [[]]}).encode(),
    ],
)
def test_what_is_no_log_is_said_to_be_none(
    data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LogUnreadable):
        read_log(data)
    file = tmp_path / "log.json"
    file.write_bytes(data)
    assert run("verify", file) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
