"""`python -m tests.integration.mail_sender URL PORT`: sends what is due until it is killed."""

import asyncio
import sys

from engine.actors.mailer import Mailer
from engine.actors.post import SmtpPost
from engine.mail_server import MailServer
from engine.mails import Composed, Due, message_id
from persistence.store import Store

SENDER = "tickets@house.example"


async def compose(due: Due) -> Composed:
    """A mail of its headers alone: its words are tested elsewhere."""
    assert due.order is not None
    id = message_id(due, "house.example")
    body = f"Message-ID: {id}\r\nSubject: {due.key}\r\n\r\nx\r\n".encode()
    return Composed(SENDER, due.order.buyer.email, id, body)


async def main(url: str, port: int) -> None:
    post = SmtpPost(MailServer("smtp+plain", "127.0.0.1", port))
    Mailer(Store(url).mails, compose, post)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
