"""What must not stand in a log: the parts of a text that open a door, or say who somebody is.

Owns the shapes of everything secret that may come near a log: tokens, orders' keys, tickets'
secrets and numbers, keys of payment services, passwords in addresses, e-mail addresses. Each is
cut to a recognisable beginning, wherever it stands: in a message, in an exception's words, or in
the middle of bytes that somebody printed. Knows no logging.
"""

import re
from typing import Final

MASK: Final = "…"

_TELLING: Final = re.compile(
    # Before addresses: a password may look like the beginning of one.
    r"(?P<database>\b\w[\w+.-]*://[^\s:/@]*:)[^\s@]+(?=@)"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<ticket>ST1[0-9A-Z]{8})[0-9A-Z]+"
    r"|(?P<number>\d{1,10}-\d{6,10}-)[0-9A-Za-z]{12}\b"
    # What stands before a token in printed bytes may be a letter.
    r"|(?P<token>\b[bode]\.[\w-]{4}(?=[\w.-]{12})|[bode]\.[\w-]{4}(?=[\w-]{28}))[\w.=-]+"
    r"|(?P<service>(?:[sr]k_(?:live|test)|whsec)_\w{2})[\w+/=]+"
    r"|(?P<order>(?<![0-9a-f])[0-9a-f]{6})[0-9a-f]{26,}"
)


def masked(text: str) -> str:
    """The text with everything secret in it cut short."""
    return _TELLING.sub(_shortened, text)


def _shortened(found: re.Match[str]) -> str:
    group = found.lastgroup or ""
    return MASK if group == "email" else found[group] + MASK
