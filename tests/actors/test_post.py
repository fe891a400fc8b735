"""Handing a mail over to a real server: what its answers, and its silences, come to."""

import asyncio
import ssl
from pathlib import Path

import pytest

from engine.actors import post
from engine.actors.post import FolderPost, SmtpPost
from engine.mail_server import MailServer
from engine.mails import Composed, Deferred, MailError, Refused, Unknown, Unreached
from tests.console.secure import make_certificate, server_context
from tests.fakes.smtp_server import CUT, HANG, PASSWORD, USER, SmtpServer, smtp_server

BODY = b"Message-ID: <paid.1@house.example>\r\nSubject: Billets\r\n\r\nBonjour\r\n.\r\nfin\r\n"


def mail(number: int = 1) -> Composed:
    recipient = f"buyer{number}@house.example"
    return Composed("tickets@house.example", recipient, f"<paid.{number}@house.example>", BODY)


def plain(server: SmtpServer) -> SmtpPost:
    return SmtpPost(MailServer("smtp+plain", "127.0.0.1", server.port))


async def test_mails_are_handed_over_whole_and_over_one_connection() -> None:
    async with smtp_server() as server:
        sender = plain(server)
        for number in (1, 2, 3):
            await sender.send(mail(number))
        await sender.rest()
        await sender.send(mail(4))
        await sender.rest()
    assert server.connections == 2
    assert [to for _, to in server.envelopes] == [[f"buyer{n}@house.example"] for n in (1, 2, 3, 4)]
    assert server.envelopes[0][0] == "tickets@house.example"
    # A line with a dot alone ends no message.
    assert server.accepted[0].get_payload() == "Bonjour\n.\nfin\n".replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("RCPT", "450 greylisted", Deferred),
        ("RCPT", "550 no such user", Refused),
        ("RCPT", "421 closing", Deferred),
        ("RCPT", CUT, Deferred),
        ("MAIL", "451 later", Deferred),
        ("MAIL", "550 not your sender", Unreached),
        ("MAIL", CUT, Deferred),
        ("DATA", "451 later", Deferred),
        ("DATA", "554 spam", Refused),
        ("DATA", CUT, Unknown),
        ("DATA", HANG, Unknown),
    ],
)
async def test_what_an_answer_means(
    monkeypatch: pytest.MonkeyPatch, command: str, answer: str, error: type[MailError]
) -> None:
    if answer == HANG:
        monkeypatch.setattr(post, "DATA_S", 0.2)
    async with smtp_server() as server:
        server.script[command] = [answer]
        sender = plain(server)
        with pytest.raises(MailError) as caught:
            await sender.send(mail())
        assert type(caught.value) is error
        if answer[0] in "45":
            assert str(caught.value) == answer  # in the server's words
        assert server.accepted == []
        await sender.send(mail())  # and the next is sent
        await sender.rest()
    assert len(server.accepted) == 1


async def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async with smtp_server() as server:
        sender = plain(server)
        await sender.send(mail())
        [(client, _)] = sender._idle
        assert client.transport is not None
        client.transport.abort()
        await sender.send(mail(2))
        await sender.rest()
    assert len(server.accepted) == server.connections == 2


async def test_a_server_that_is_not_there_or_says_nothing_is_unreached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(post, "CONNECT_S", 0.2)
    quiet = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await quiet.wait()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(Unreached, match=f"127.0.0.1:{port}"):
        await SmtpPost(MailServer("smtp+plain", "127.0.0.1", port)).send(mail())
    quiet.set()
    silent.close()
    await silent.wait_closed()
    with pytest.raises(Unreached, match=f"127.0.0.1:{port}"):
        await SmtpPost(MailServer("smtp+plain", "127.0.0.1", port)).send(mail())


# TLS and login -------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return make_certificate(tmp_path, "mail")


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_login_goes_over_tls(certificate: tuple[Path, Path], scheme: str) -> None:
    start_tls = scheme == "smtp"
    async with smtp_server(server_context(*certificate), start_tls=start_tls, login=True) as server:
        there = MailServer(scheme, "127.0.0.1", server.port, USER, PASSWORD)
        sender = SmtpPost(there, trusting(certificate))
        await sender.send(mail())
        await sender.rest()
        assert server.logins == [USER] and len(server.accepted) == 1

        wrong = MailServer(scheme, "127.0.0.1", server.port, USER, "guessed")
        with pytest.raises(Unreached, match="535") as caught:
            await SmtpPost(wrong, trusting(certificate)).send(mail())
        assert "guessed" not in str(caught.value)

        asked = len(server.logins)
        # A certificate that nobody vouches for: nothing is said to such a server.
        with pytest.raises(Unreached, match="certificate"):
            await SmtpPost(there).send(mail())
        assert len(server.logins) == asked and len(server.accepted) == 1


async def test_without_starttls_nothing_is_said() -> None:
    async with smtp_server() as server:
        there = MailServer("smtp", "127.0.0.1", server.port, USER, PASSWORD)
        with pytest.raises(Unreached):
            await SmtpPost(there).send(mail())
        assert server.logins == [] and server.received == []


# A folder ------------------------------------------------------------------------


async def test_without_a_server_mails_are_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "MAX_FILES", 2)
    folder = FolderPost(tmp_path / "mail")
    for number in (1, 1, 2):
        await folder.send(mail(number))
    files = sorted((tmp_path / "mail").iterdir())
    assert [file.name for file in files] == ["paid.1.eml", "paid.2.eml"]
    assert files[0].read_bytes() == BODY
    # They hold what a letter box holds: nobody else's business.
    assert files[0].stat().st_mode & 0o77 == 0
    await folder.send(mail(3))
    assert len(list((tmp_path / "mail").iterdir())) == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreached, match="Not a directory"):
        await FolderPost(tmp_path / "file" / "mail").send(mail())
