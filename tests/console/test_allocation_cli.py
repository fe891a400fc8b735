"""The allocation commands over a real gateway."""

import asyncio
from typing import Any

import pytest

from console import allocation_cli
from tests.console.houses import theatre
from tests.console.server import CASHIER, House
from tests.console.waiting import last_json

PERFORMANCE = 1
t = allocation_cli.t
LABEL = theatre().seat_label(0)
FIRST, SECOND = (
    f"{LABEL.section} {LABEL.row} {theatre().seat_label(number).seat}" for number in (0, 1)
)


def run(*arguments: object) -> int:
    told = [str(one) for one in arguments]
    code: int = allocation_cli.app(told, result_action="return_value")
    return code


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return last_json(capsys.readouterr().out)


def test_seats_are_kept_listed_and_released(
    served: House, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = ("--server", served.url, "--login", CASHIER)
    where = (PERFORMANCE, "press")
    assert run("list", PERFORMANCE, *admin) == 0
    assert t("allocation.cli.nothing") in capsys.readouterr().out
    until = ("--until", "2100-01-31T18:00")
    assert run("keep", *where, f"{FIRST}, {SECOND}", "--channel", "phone", *until, *admin) == 0
    out = capsys.readouterr().out
    assert "press" in out and "2100-01-31 18:00" in out
    assert run("list", PERFORMANCE, *admin, "--json") == 0
    (kept,) = told(capsys)["allocations"]
    assert (kept["seats"], kept["left"], kept["channels"]) == (2, 2, ["phone"])
    assert run("release", *where, SECOND, "--reason", "fewer", *admin, "--json") == 0
    assert told(capsys)["allocations"][0]["seats"] == 1
    assert run("release", *where, *admin, "--json") == 0
    assert told(capsys)["allocations"] == []
    assert run("release", *where, *admin) == 1
    capsys.readouterr()
    assert run("quotas", PERFORMANCE, *admin) == 0
    assert t("allocation.cli.no_quotas") in capsys.readouterr().out


def test_a_reseller_is_told_of_its_own(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(served.operator("agency", "reseller"))
    admin, agency = (("--server", served.url, "--login", name) for name in (CASHIER, "agency"))
    for name, seat, channel in (("press", FIRST, "phone"), ("agencies", SECOND, "reseller")):
        assert run("keep", PERFORMANCE, name, seat, "--channel", channel, *admin) == 0
    capsys.readouterr()
    assert run("list", PERFORMANCE, *agency) == 0
    out = capsys.readouterr().out
    assert "agencies" in out and "press" not in out
    assert run("keep", PERFORMANCE, "more", FIRST, "--channel", "reseller", *agency) == 1


def test_what_cannot_be_is_said(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    admin = ("--server", served.url, "--login", CASHIER)
    keep = ("keep", PERFORMANCE, "press")
    assert run(*keep, "Nowhere 99", "--channel", "web", *admin) == 2
    assert t("allocation.cli.no_seat", text="Nowhere 99") in capsys.readouterr().err
    assert run(*keep, FIRST, "--channel", "web", "--until", "soon", *admin) == 2
    assert t("allocation.cli.bad_time", text="soon") in capsys.readouterr().err
    assert run(*keep, FIRST, "--channel", "web", "--until", "2001-01-01", *admin) == 1
    assert run("quotas", 99, *admin) == 1
