"""What a place costs: category x price type x time x channel, in minor units.

Owns the reading of `Settings.prices`. Knows nothing of seats, holds or orders:
callers bring the category of what they price. Fees are not its business.
"""

from typing import Final

from engine.commands import Channel
from engine.settings import PriceType, Settings

_WEB: Final = Channel.WEB
_RESELLER: Final = Channel.RESELLER


def is_till(channel: Channel) -> bool:
    """Sales made by the house's own people: at the box office or by phone."""
    return channel is not _WEB and channel is not _RESELLER


class PriceList:
    """The prices of one performance, looked up quickly.

    `amounts[price_type][category]` is minor units; only sold pairs are there.
    Of several prices for one pair the last one counts. `plain` is the part of it
    that is sold always and everywhere.
    """

    __slots__ = ("amounts", "currency", "plain", "types")

    def __init__(self, settings: Settings) -> None:
        self.currency = settings.currency
        self.types: dict[str, PriceType] = {kind.id: kind for kind in settings.price_types}
        self.amounts: dict[str, dict[int, int]] = {kind: {} for kind in self.types}
        for price in settings.prices:
            if price.price_type in self.amounts:
                self.amounts[price.price_type][price.category] = price.amount
        self.plain = {
            kind.id: self.amounts[kind.id]
            for kind in self.types.values()
            if not kind.until_ms and not kind.box_office_only
        }

    def on_sale(self, price_type: str, at_ms: int, channel: Channel) -> dict[int, int] | None:
        """Amounts by category of a type, or None when it is not sold now, or not here.

        An early bird is sold strictly before its `until_ms`; a `box_office_only`
        type is sold at the box office and by phone.
        """
        if price_type in self.plain:
            return self.plain[price_type]
        kind = self.types.get(price_type)
        if kind is None or (kind.until_ms and at_ms >= kind.until_ms):
            return None
        if kind.box_office_only and not is_till(channel):
            return None
        return self.amounts[price_type]

    def price(self, category: int, price_type: str, at_ms: int, channel: Channel) -> int | None:
        """Minor units for one place, or None when that is not sold now, or not here."""
        amounts = self.on_sale(price_type, at_ms, channel)
        return None if amounts is None else amounts.get(category)

    def full_prices(self, at_ms: int, channel: Channel) -> dict[int, int]:
        """Per category its full price: that of the first listed type sold now and here."""
        full: dict[int, int] = {}
        for price_type in self.types:
            amounts = self.on_sale(price_type, at_ms, channel)
            for category, amount in (amounts or {}).items():
                full.setdefault(category, amount)
        return full
