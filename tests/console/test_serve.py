"""What the environment may say of mails, and how it is refused before anything is started."""

import pytest

from console.serve import NO_SENDER, CannotServe, mail_settings, summary
from renderers.i18n import translator

T = translator("en")
SERVER = "smtp://house:secret@mail.example"


@pytest.mark.parametrize(
    ("url", "sender", "settings"),
    [
        ("", "", ("", NO_SENDER)),
        ("", "box@house.example", ("", "box@house.example")),
        (SERVER, "box@house.example", (SERVER, "box@house.example")),
    ],
)
def test_where_mails_go_and_come_from(url: str, sender: str, settings: tuple[str, str]) -> None:
    environ = {"STRAPONTIN_SMTP_URL": url, "STRAPONTIN_MAIL_FROM": sender}
    assert mail_settings(environ, T) == settings


@pytest.mark.parametrize(
    ("url", "sender", "named"),
    [
        ("mail.example", "box@house.example", "STRAPONTIN_SMTP_URL"),
        ("http://house:secret@mail.example", "box@house.example", "smtps://"),
        (SERVER, "", "STRAPONTIN_MAIL_FROM"),
        (SERVER, "Box <box@house.example>", "STRAPONTIN_MAIL_FROM"),
        (SERVER, "box@théâtre.example", "STRAPONTIN_MAIL_FROM"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_without_the_password(
    url: str, sender: str, named: str
) -> None:
    with pytest.raises(CannotServe) as caught:
        mail_settings({"STRAPONTIN_SMTP_URL": url, "STRAPONTIN_MAIL_FROM": sender}, T)
    said = str(caught.value)
    assert named in said and "secret" not in said and "\n" not in said


def test_the_start_says_where_mails_go() -> None:
    assert "Mails go to" in summary("http://127.0.0.1:8000", None, "mail.example:587", T)
