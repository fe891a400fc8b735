"""A mail from its words to its bytes: plain text, the same as HTML, and what is attached.

Owns the look and the MIME. Whatever somebody typed (a name, a title) arrives as text: in headers
it is one line, in HTML it is escaped. Knows no order and no server.
"""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Final

from msgspec import Struct

from renderers.house_style import HouseStyle
from renderers.palette import LIGHT, contrast, readable

MAX_SUBJECT_CHARS: Final = 120


class Block(Struct, frozen=True):
    """A few lines under a heading: a performance with its places, a way to pay."""

    title: str
    lines: tuple[str, ...] = ()


class Letter(Struct, frozen=True, kw_only=True):
    """What a mail says, in its order. `rows` are labels with their values; `link` is the words
    of the one link and where it leads."""

    language: str
    subject: str
    title: str
    paragraphs: tuple[str, ...]
    blocks: tuple[Block, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    link: tuple[str, str] | None = None
    footer: tuple[str, ...] = ()


class Attachment(Struct, frozen=True):
    """`kind` is "application/pdf" or "text/calendar"."""

    name: str
    kind: str
    body: bytes


class Envelope(Struct, frozen=True, kw_only=True):
    """What stands above the letter. Addresses are plain and were checked; names are not."""

    sender_name: str
    sender: str
    recipient: str
    reply_to: str = ""
    message_id: str
    at_ms: int


def mime(
    letter: Letter, style: HouseStyle, envelope: Envelope, attached: Sequence[Attachment] = ()
) -> bytes:
    """The whole message, with CRLF and in seven bits: any server can take it."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(one_line(envelope.sender_name), addr_spec=envelope.sender)
    message["To"] = Address(addr_spec=envelope.recipient)
    if envelope.reply_to:
        message["Reply-To"] = Address(addr_spec=envelope.reply_to)
    message["Subject"] = one_line(letter.subject)[:MAX_SUBJECT_CHARS]
    message["Date"] = format_datetime(datetime.fromtimestamp(envelope.at_ms // 1_000, UTC))
    message["Message-ID"] = envelope.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: answer this by no machine
    message.set_content(text(letter), cte="quoted-printable")
    message.add_alternative(html(letter, style), subtype="html", cte="quoted-printable")
    for one in attached:
        main, _, sub = one.kind.partition("/")
        if main == "text":
            message.add_attachment(
                one.body.decode(),
                subtype=sub,
                cte="base64",
                filename=one.name,
                params={"method": "PUBLISH"},
            )
        else:
            message.add_attachment(one.body, maintype=main, subtype=sub, filename=one.name)
    # Last: what is of the content goes into the part that is there when another is added.
    message["Content-Language"] = letter.language
    return message.as_bytes()


def one_line(value: str) -> str:
    """Without line ends and what else no header may have: controls, and turns of direction."""
    kept = "".join(" " if char.isspace() else char for char in value)
    kept = "".join(char for char in kept if unicodedata.category(char)[0] != "C")
    return " ".join(kept.split())


def text(letter: Letter) -> str:
    """As plain text, in paragraphs."""
    parts = [letter.title, *letter.paragraphs]
    parts += ["\n  ".join([block.title, *block.lines]) for block in letter.blocks]
    if letter.rows:
        colon = "\u00a0: " if letter.language == "fr" else ": "
        parts.append("\n".join(f"{label}{colon}{value}" for label, value in letter.rows))
    if letter.link is not None:
        parts.append("\n".join(letter.link))
    if letter.footer:
        parts.append("\n".join(["-- ", *letter.footer]))
    return "\n\n".join(parts) + "\n"


# As HTML: one column of tables with every style in its place, because mail programs keep no
# style sheets. No pictures: nothing is fetched when a mail is opened.
_FONT: Final = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


def html(letter: Letter, style: HouseStyle) -> str:
    on_accent = max(("#ffffff", LIGHT.ink), key=lambda ink: contrast(ink, style.accent))
    accent_text = readable(style.accent, LIGHT.surface)
    parts = [f'<p style="margin:0 0 16px">{escape(one)}</p>' for one in letter.paragraphs]
    parts += [_block(block) for block in letter.blocks]
    if letter.rows:
        parts.append(_table(letter.rows))
    if letter.link is not None:
        words, address = letter.link
        parts.append(
            f'<p style="margin:24px 0 8px"><a href="{escape(address)}" style="display:inline-block;'
            f"padding:12px 20px;background:{style.accent};color:{on_accent};"
            f'text-decoration:none;font-weight:600">{escape(words)}</a></p>'
            f'<p style="margin:0 0 16px;font-size:13px;word-break:break-all">'
            f'<a href="{escape(address)}" style="color:{accent_text}">{escape(address)}</a></p>'
        )
    footer = "<br>".join(map(escape, letter.footer))
    return f"""<!doctype html>
<html lang="{escape(letter.language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light">
<title>{escape(letter.subject)}</title>
</head>
<body style="margin:0;padding:0;background:{LIGHT.paper};{_FONT};color:{LIGHT.ink}">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" \
style="background:{LIGHT.paper}">
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px">
<tr><td style="padding:18px 28px;background:{style.accent};color:{on_accent};font-size:17px;\
font-weight:600;border-bottom:3px solid {style.trim}">{escape(style.name)}</td></tr>
<tr><td style="padding:28px;background:{LIGHT.surface};font-size:16px;line-height:1.5">
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.25;color:{accent_text}">\
{escape(letter.title)}</h1>
{"".join(parts)}
</td></tr>
<tr><td style="padding:18px 28px;font-size:13px;line-height:1.5;color:{LIGHT.muted}">\
{footer}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""


def _block(block: Block) -> str:
    lines = "".join(f"<br>{escape(line)}" for line in block.lines)
    return (
        f'<p style="margin:0 0 16px;padding:12px 16px;background:{LIGHT.floor};'
        f'border-left:3px solid {LIGHT.line}"><strong>{escape(block.title)}</strong>{lines}</p>'
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><td style="padding:4px 16px 4px 0;color:{LIGHT.muted};vertical-align:top">'
        f'{escape(label)}</td><td style="padding:4px 0;font-variant-numeric:tabular-nums">'
        f"{escape(value)}</td></tr>"
        for label, value in rows
    )
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" '
        f'style="margin:0 0 16px">{cells}</table>'
    )
