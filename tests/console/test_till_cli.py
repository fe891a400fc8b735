"""The till commands over a real gateway: a whole shift from the command line, each thing once."""

from pathlib import Path

import pytest

from console import till_cli
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.renderers.paper import letters, squeezed

__all__ = ["told"]


def run(*arguments: object) -> int:
    code: int = till_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def test_a_shift_from_its_float_to_its_count(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    assert run("count", *who) == 2
    assert "strapontin till open" in capsys.readouterr().err
    opening = ("open", "Caisse 1", "--currency", "CHF", "--float", "200", "--id", "a" * 32)
    assert run(*opening, *who) == 0
    assert "Caisse 1 is open: session 1, float CHF\u00a0200.00" in capsys.readouterr().out
    assert run(*opening, "--json", *who) == 0, "again is harmless"
    assert told(capsys)["session"]["opening_float"] == 20_000
    assert run("move", "in", "50", "change for the bar", "--id", "m", *who) == 0
    assert run("move", "in", "50", "change for the bar", "--id", "m", *who) == 0
    assert "CHF\u00a0250.00 should be" in capsys.readouterr().out
    assert run("move", "out", "99.95", "to the safe", "--json", *who) == 0
    assert told(capsys)["expected"] == 15_005
    assert run("count", "1x100", "2x20", "2x5", "1x0.10", *who) == 0
    assert "+CHF\u00a00.05" in capsys.readouterr().out
    assert run("close", "1x100", "1x50", *who) == 1
    assert "say why" in capsys.readouterr().err
    why = ("--explanation", "a coin on the floor")
    assert run("close", "1x100", "1x20", "1x20", "2x5", *why, "--json", *who) == 0
    closed = told(capsys)["session"]["closing"]
    assert (closed["amount"], closed["difference"]) == (15_000, -5)
    assert closed["pieces"] == [[10_000, 1], [2_000, 2], [500, 2]]
    assert run("report", *who) == 2, "nothing is open now"
    capsys.readouterr()
    assert run("report", 1, *who) == 0
    shown = capsys.readouterr().out.replace("\u00a0", " ")
    for part in ("Caisse 1 · marie", "2 × CHF 20.00", "−CHF 0.05", "to the safe", "a coin on the"):
        assert part in shown
    paper = tmp_path / "caisse.pdf"
    assert run("report", 1, "--pdf", paper, "--language", "fr", *who) == 0
    assert squeezed("Fond de caisse") in letters(paper.read_bytes())
    capsys.readouterr()
    assert run("list", *who) == 0
    assert "closed, difference −CHF\u00a00.05" in capsys.readouterr().out
    assert run("list", "--open", "--json", *who) == 0
    assert told(capsys) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("open", "x", "--currency", "CHF", "--float", "many"), "many is not an amount of CHF"),
        (("open", "x", "--currency", "CHF", "--login", ""), "--login"),
        (("count", "3x51"), "3x51"),
        (("count", "three"), "three"),
        (("close", "x20"), "x20"),
        (("move", "in", "1.234", "why"), "1.234"),
        (("report", "9"), "no till session 9"),
        (("report", "1", "--pdf", "/nowhere/x.pdf"), "/nowhere/x.pdf"),
    ],
)
def test_what_cannot_begin_says_why(
    served: House, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    who = ("--server", served.url, *(() if "--login" in arguments else ("--login", CASHIER)))
    opening = ("open", "Caisse 1", "--currency", "CHF")
    assert run(*opening, "--server", served.url, "--login", CASHIER) == 0
    assert run(*arguments, *who) == 2
    assert words in capsys.readouterr().err


def test_a_currency_whose_coins_are_not_known_is_counted_by_its_sum(
    served: House, capsys: pytest.CaptureFixture[str]
) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    assert run("open", "Kassa", "--currency", "SEK", "--float", "500", *who) == 0
    assert run("count", "99999999999", *who) == 1, "more than there can be"
    assert run("close", "500", *who) == 0
    assert "Difference: SEK\u00a00.00" in capsys.readouterr().out
