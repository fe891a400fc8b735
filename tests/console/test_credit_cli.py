"""The credit command over a real gateway."""

import pytest

from console import credit_cli
from engine.credit import CODE_BYTES, code_of, spaced
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told

CODE = code_of(bytes(range(CODE_BYTES)))


def run(*arguments: object) -> int:
    code: int = credit_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def test_what_is_left_on_a_credit(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    credits = served.fake.desk.orders.credits
    credits.balances[CODE], credits.currencies[CODE] = 1_250, "CHF"
    assert run(spaced(CODE).lower(), *who) == 0
    shown = capsys.readouterr().out
    assert spaced(CODE) in shown and "CHF" in shown and "12" in shown
    assert run(CODE, "--json", *who) == 0
    assert told(capsys)["credit"]["balance"] == 1_250
    assert run("0000-0000-0000-0001", *who) == 1
    assert credit_cli.t("refusal.credit_unknown") in capsys.readouterr().err
