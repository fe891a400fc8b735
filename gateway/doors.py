"""What a scanner read, turned into a claim that the engine can judge.

Owns the one decision that needs a key: is this text ours? Everything else about
a ticket (used, refunded, another performance) the engine knows.
"""

from typing import Final

from renderers import secret

FORGED: Final = secret.Claim(-1, -1, 0)
"""What a text that is not ours claims."""


class Secrets:
    """Checks the QR's secret and the short readable number with the organiser's key."""

    def __init__(self, ticket_key: bytes) -> None:
        self._key = ticket_key
        self.public = secret.public_key(ticket_key)

    def claim(self, text: str) -> secret.Claim:
        # A keyboard-wedge reader ends a code with Enter or Tab.
        text = text.strip()
        try:
            if text.startswith(secret.PREFIX):
                return secret.verify(self.public, text)
            return secret.verify_short(self._key, text)
        except secret.ForgedSecret:
            return FORGED
