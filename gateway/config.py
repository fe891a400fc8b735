"""What a gateway is told at its start. Owns no behaviour and reads no environment."""

from dataclasses import dataclass, field

from gateway import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys, trusted origins, and the times and rates that a house or a test may change.

    `session_key` (32 random bytes) signs buyers' session tokens and is shared by all
    gateways of a house; `ticket_key` is the organiser's private Ed25519 key
    (`renderers.secret`). `origins` are web origins ("https://example.org") whose pages
    may open the websocket besides our own. `trusted_proxies` are networks ("10.0.0.0/8") whose
    word on where a request comes from is believed.
    """

    session_key: bytes = field(repr=False)
    ticket_key: bytes = field(repr=False)
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    payment_methods: tuple[str, ...] = ("test_card",)
    buyer_commands_per_s: float = limits.BUYER_COMMANDS_PER_S
    staff_commands_per_s: float = limits.STAFF_COMMANDS_PER_S
    hello_timeout_s: float = limits.HELLO_TIMEOUT_S
    heartbeat_s: float = limits.HEARTBEAT_S
    idle_timeout_s: float = limits.IDLE_TIMEOUT_S
    retry_for_s: float = limits.RETRY_FOR_S
    feed_linger_s: float = limits.FEED_LINGER_S
    revocation_check_s: float = limits.REVOCATION_CHECK_S
