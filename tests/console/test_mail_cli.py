"""The mail commands over a real gateway."""

import asyncio

import pytest
from msgspec import structs

from console import mail_cli
from engine.mails import Mail, MailKind, MailState
from engine.orders import OrderState
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.engine.test_mails import ORDER


def run(*arguments: object) -> int:
    code: int = mail_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def test_mails_are_listed_shown_and_tried_again(
    served: House, capsys: pytest.CaptureFixture[str]
) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    served.fake.mails.add(ORDER, Mail(MailKind.PAID), MailState.FAILED)
    served.fake.mails.add(ORDER, Mail(MailKind.REMINDER, "1"))
    assert run("list", *who) == 0
    shown = capsys.readouterr().out
    for key in ("mailing.state.failed", "mailing.kind.paid", "mailing.kind.reminder"):
        assert mail_cli.t(key) in shown
    assert "1001" in shown and "ada@house.example" in shown
    assert run("list", "--state", "failed", "--json", *who) == 0
    (failed,) = told(capsys)
    assert failed["kind"] == "paid"
    assert run("list", "--order", 7, "--json", *who) == 0
    assert told(capsys) == []
    assert run("show", failed["id"], *who) == 0
    assert "550 no such user" in capsys.readouterr().out
    assert run("show", 99, *who) == 1
    assert mail_cli.t("refusal.mail_unknown") in capsys.readouterr().err
    assert run("retry", failed["id"], "--json", *who) == 0
    assert told(capsys)["state"] == "waiting"
    assert run("retry", failed["id"], *who) == 0
    assert mail_cli.t("mailing.cli.next") in capsys.readouterr().out


def test_tickets_are_sent_again_by_the_orders_number(
    served: House, capsys: pytest.CaptureFixture[str]
) -> None:
    order = structs.replace(ORDER, number=0, state=OrderState.PAID)
    (saved,) = asyncio.run(served.fake.desk.orders.save([order]))
    who = ("--server", served.url, "--login", CASHIER)
    for _ in range(2):
        assert run("send", saved.number, "--json", *who) == 0
        sent = told(capsys)
        assert (sent["kind"], sent["order"]) == ("tickets", ORDER.id)
    assert len(served.fake.mails.rows) == 2


def test_an_order_that_is_not_there_is_named(
    served: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("send", 4711, "--server", served.url, "--login", CASHIER) == 2
    assert "4711" in capsys.readouterr().err


def test_without_a_login_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--server", "http://127.0.0.1:9") == 2
    assert "--login" in capsys.readouterr().err
