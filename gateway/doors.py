"""What a scanner read, turned into a claim that the engine can judge.

Owns the one decision that needs a key: is this text ours? Everything else about
a ticket (used, refunded, another performance) the engine knows.
"""

from typing import Final, NamedTuple

from renderers import secret


class Claim(NamedTuple):
    """What a proven text names; `performance` is -1 for a text that is not ours."""

    performance: int
    ticket: int
    version: int


FORGED: Final = Claim(-1, -1, 0)


class Secrets:
    """Checks the QR's secret and the short readable number with the organiser's key."""

    def __init__(self, ticket_key: bytes) -> None:
        self._key = ticket_key
        self._public = secret.public_key(ticket_key)

    def claim(self, text: str) -> Claim:
        # A keyboard-wedge reader ends a code with Enter or Tab.
        text = text.strip()
        try:
            if text.startswith(secret.PREFIX):
                return Claim(*secret.verify(self._public, text))
            return Claim(*secret.verify_short(self._key, text))
        except secret.ForgedSecret:
            return FORGED
