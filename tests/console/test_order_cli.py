"""The order commands over a real gateway: a whole evening at the counter without a screen."""

from pathlib import Path
from typing import Any

import pytest

from console import order_cli
from engine.commands import SeatStatus
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.renderers.paper import letters

__all__ = ["told"]


def run(*arguments: object) -> int:
    code: int = order_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


@pytest.fixture
def who(served: House) -> tuple[str, ...]:
    return ("--server", served.url, "--login", CASHIER)


def sold(capsys: pytest.CaptureFixture[str], who: tuple[str, ...], *more: object) -> Any:
    assert run("sell", 1, *more, "--json", *who) == 0
    return told(capsys)


def test_an_order_from_the_counter_to_its_refund(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, who: tuple[str, ...]
) -> None:
    order = sold(capsys, who, "--best", 2, "--name", "Zoé", "--pay", "cash", "--given", "500")
    assert (order["state"], order["buyer"]["name"], len(order["lines"])) == ("paid", "Zoé", 2)
    assert order["payments"][0]["change"] == 50_000 - order["total"]
    number = order["number"]
    assert run("list", "Zoé", *who) == 0
    assert str(number) in capsys.readouterr().out
    assert run("show", number, *who) == 0
    assert capsys.readouterr().out.count("1-00000") == 2
    paper = tmp_path / "t.pdf"
    assert run("print", number, "tickets", "--output", paper, *who) == 0
    assert paper.read_bytes().startswith(b"%PDF")
    capsys.readouterr()
    assert run("reissue", number, "--lines", 1, "--json", *who) == 0
    assert [line["version"] for line in told(capsys)["lines"]] == [1, 0]
    once = ("refund", number, "--lines", 2, "--reason", "ill", "--id", "r", "--json", *who)
    assert run(*once) == 0
    back = told(capsys)
    assert back["state"] == "part_refunded"
    assert run(*once) == 0, "asked again it is done once"
    assert told(capsys)["refunds"] == back["refunds"]
    assert run("refund", order["id"], "--amount", "1.50", "--to-credit", *who) == 0
    assert "Credit" in capsys.readouterr().out


def test_a_sale_may_be_by_phone(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    order = sold(capsys, who, "--best", 1, "--channel", "phone", "--until", "2100-01-01T10:00")
    assert (order["channel"], order["state"]) == ("phone", "awaiting_payment")
    assert sold(capsys, who, "--best", 1, "--pay", "cash")["channel"] == "box_office"


def test_a_card_is_read_where_a_reader_stands(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    assert run("sell", 1, "--best", 1, "--pay", "stripe_terminal", *who) == 2
    told = capsys.readouterr().err
    assert order_cli.t("reader.cli.no_reader") in told and "order show" in told


def test_a_sale_is_undone_until_it_is_printed(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, who: tuple[str, ...]
) -> None:
    first, second = (sold(capsys, who, "--best", 1, "--pay", "cash") for _ in range(2))
    assert run("undo", first["number"], "--json", *who) == 0
    assert told(capsys)["state"] == "refunded"
    paper = tmp_path / "t.pdf"
    assert run("print", second["number"], "--output", paper, *who) == 0
    assert "Copy" not in letters(paper.read_bytes())
    assert run("undo", second["number"], *who) == 1
    assert "is printed" in capsys.readouterr().err
    assert run("print", second["number"], "--output", paper, *who) == 0
    assert "Copy1" in letters(paper.read_bytes())


def test_gift_cards_are_sold_alone_and_with_places_and_spent(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, who: tuple[str, ...]
) -> None:
    two = ("--gift-card", "50.00", "--gift-card", "20", "--pay", "cash")
    order = sold(capsys, who, *two)
    assert (order["state"], order["total"], order["lines"]) == ("paid", 7_000, [])
    code = order["charges"][0]["card"]
    paper = tmp_path / "g.pdf"
    assert run("print", order["number"], "--output", paper, *who) == 0
    assert code in letters(paper.read_bytes()).replace("-", "")
    capsys.readouterr()
    both = sold(capsys, who, "--gift-card", "10", "--best", 1)
    assert run("pay", both["number"], "--pay", "store_credit", "--reference", code, *who) == 0
    assert run("pay", both["number"], "--pay", "store_credit", "--reference", code, *who) == 1
    assert "Gift cards cannot be paid" in capsys.readouterr().err
    assert run("pay", both["number"], "--pay", "cash", *who) == 0
    assert run("show", both["number"], *who) == 0
    assert "Gift card · " in capsys.readouterr().out
    assert run("refund", order["number"], "--gift-cards", 2, "--json", *who) == 0
    back = told(capsys)
    assert back["state"] == "part_refunded" and back["refunds"][0]["gift_cards"] == [[2, 2_000]]


def test_places_are_exchanged_and_the_difference_is_paid(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    order = sold(capsys, who, "--best", 2, "--pay", "card_terminal", "--reference", "4711")
    more = ("--best", 1, "--fee", "2", "--pay", "cash", "--json", *who)
    assert run("exchange", order["number"], "--lines", 2, *more) == 0
    done = told(capsys)
    assert done["state"] == "exchanged"
    assert [line["state"] for line in done["lines"]] == ["sold", "refunded", "sold"]
    # Not paid at once, it waits; given up, it is what it was.
    wanted = ("exchange", order["number"], "--lines", 3, "--best", 3, *who)
    assert run(*wanted) == 0
    assert "To pay" in capsys.readouterr().out
    assert run("cancel", order["number"], "--json", *who) == 0
    assert told(capsys)["state"] == "exchanged"


def prices(*kinds: str) -> tuple[str, ...]:
    return tuple(word for kind in kinds for word in ("--price", kind))


def test_the_same_places_get_another_price(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    order = sold(capsys, who, "--best", 2, *prices("full", "child"), "--pay", "cash")
    both = ("exchange", order["number"], "--lines", 2, "--lines", 1, *prices("full", "child"))
    more = ("--pay", "cash", "--json", *who)
    assert run(*both, "--id", "x1", *more) == 0
    done = told(capsys)
    assert done["state"] == "exchanged"
    assert [(one["price_type"], one["state"]) for one in done["lines"]] == [
        ("full", "refunded"),
        ("child", "refunded"),
        ("child", "sold"),
        ("full", "sold"),
    ]
    # Repeated with its id, as after an answer that was lost, it is done once.
    assert run(*both, "--id", "x1", *more) == 0
    assert told(capsys)["lines"] == done["lines"]
    assert run("exchange", order["number"], "--lines", 3, "--price", "giant", *who) == 2
    assert "giant" in capsys.readouterr().err
    assert run("exchange", order["number"], "--lines", 3, "--price", "child", *who) == 2
    assert "has the price child already" in capsys.readouterr().err


def test_places_are_kept_until_a_time_and_paid_in_parts(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    order = sold(capsys, who, "--best", 2, "--until", "2100-01-01T10:00")
    assert order["state"] == "awaiting_payment"
    number = order["number"]
    assert run("pay", number, "--amount", "5", "--pay", "cash", "--json", *who) == 0
    assert told(capsys)["state"] == "awaiting_payment"
    assert run("pay", number, "--pay", "cheque", "--reference", "12", "--json", *who) == 0
    assert told(capsys)["state"] == "paid"


def test_what_is_held_and_not_ordered_is_given_back(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    assert run("sell", 1, "--best", 2, "--price", "nobody", *who) == 2
    assert "nobody is no price type" in capsys.readouterr().err
    statuses = served.fake.performances.live[1].core.statuses()
    assert SeatStatus.HELD not in statuses


def test_an_order_whose_payment_fails_is_named(
    served: House, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    assert run("sell", 1, "--best", 1, "--pay", "store_credit", "--reference", "none", *who) == 1
    error = capsys.readouterr().err
    assert "strapontin order show" in error and "no such credit" in error


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("sell", 1), 2, "--seats, --best or --area"),
        (("sell", 1, "--best", "2", "--seats", "A 1"), 2, "one of them"),
        (("sell", 1, "--seats", "ZZ 99"), 2, "ZZ 99"),
        (("sell", 1, "--area", "Nowhere=2"), 2, "Nowhere=2"),
        (("sell", 1, "--best", "1", "--until", "soon"), 2, "soon is not a time"),
        (("sell", 1, "--best", "1", "--until", "2100-01-01", "--pay", "cash"), 2, "not both"),
        (("sell", 1, "--best", "2", "--price", "a", "--price", "b", "--price", "c"), 2, "3 prices"),
        (("sell", 99, "--best", "1"), 1, "no such performance"),
        (("sell", 1, "--best", "99999"), 1, ""),
        (("show", "123456"), 2, "no order 123456"),
        (("show", "who?"), 2, "no order who?"),
        (("pay", "0" * 32, "--pay", "cash"), 1, ""),
    ],
)
def test_what_cannot_be_done_says_why(
    served: House,
    capsys: pytest.CaptureFixture[str],
    who: tuple[str, ...],
    arguments: tuple[object, ...],
    code: int,
    words: str,
) -> None:
    assert run(*arguments, *who) == code
    error = capsys.readouterr().err
    assert error.strip() and words in error
    assert "Traceback" not in error


def test_a_password_that_nobody_can_type_is_said_so(
    served: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    monkeypatch.delenv("STRAPONTIN_PASSWORD", raising=False)
    monkeypatch.setattr("getpass.getpass", nobody)
    with pytest.raises(SystemExit) as ended:
        run("list", "--server", served.url, "--login", CASHIER)
    assert ended.value.code == 2
    assert "STRAPONTIN_PASSWORD" in capsys.readouterr().err
