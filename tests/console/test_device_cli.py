"""The device commands over a real gateway: a code on the terminal or in a file, a list, an end."""

from pathlib import Path

import pytest

from console import device_cli
from console.client import Client
from renderers import enrolment
from renderers.codes import decode
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.console.waiting import last_json


def run(*arguments: object) -> int:
    code: int = device_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def test_a_device_is_made_by_a_code_listed_and_revoked(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    picture = tmp_path / "door.png"
    options = ("--gate", "main", "--performances", "1", "--camera", "front", "--language", "fr")
    assert run("add", "Door 3", *options, "--picture", picture, "--json", *who) == 0
    made = told(capsys)
    assert decode(picture.read_bytes()) == [made["link"]]
    offer = enrolment.read_link(made["link"])
    assert offer[:1] + offer[2:] == (served.url, "fr", "front", (1,), "")
    client = Client(offer.server)

    import asyncio

    enrolled = asyncio.run(client.enrol(offer.token))
    assert (enrolled.name, enrolled.gate, client.token) == ("Door 3", "main", enrolled.token)
    assert run("list", *who) == 0
    assert "Door 3  main  2" in capsys.readouterr().out
    assert run("revoke", made["id"], *who) == 0
    assert run("revoke", made["id"], *who) == 1
    capsys.readouterr()
    assert run("list", "--json", *who) == 0
    (listed,) = told(capsys)
    assert listed["revoked_ms"] and not listed["enrolment"]


def test_a_code_is_shown_on_the_terminal_and_another_one_for_the_same_device(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    relay = "http://relay.local:8001"
    assert run("add", "Door 4", "--address", relay, *who) == 0
    shown = capsys.readouterr().out
    link = next(line for line in shown.splitlines() if line.startswith(relay))
    assert enrolment.half_blocks(link, inverted=True)[5] in shown
    assert run("code", 1, "--picture", tmp_path / "code.svg", "--json", *who) == 0
    assert last_json(capsys.readouterr().out)["link"] != link
    assert (tmp_path / "code.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "x"), "--login"),
        (("add", "x", "--performances", "one", "--login", "a"), "12,13"),
        (("add", "x", "--picture", "code.gif", "--login", "a"), "code.gif"),
    ],
)
def test_what_cannot_begin_says_why(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--server", "http://127.0.0.1:9") == 2
    assert words in capsys.readouterr().err
