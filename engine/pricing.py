"""What a place costs: category x price type x time x channel, in minor units.

Owns the reading of `Settings.prices`. Knows nothing of seats, holds or orders:
callers bring the category of what they price. Fees are not its business.
"""

from typing import Final

from engine.commands import Channel
from engine.sale import FOREVER, Standing, holds_at, type_now
from engine.settings import Price, PriceType, Settings, TypeStatus

_WEB: Final = Channel.WEB
_RESELLER: Final = Channel.RESELLER


def is_till(channel: Channel) -> bool:
    """Sales made by the house's own people: at the box office or by phone."""
    return channel is not _WEB and channel is not _RESELLER


class PriceList:
    """The prices of one performance, looked up quickly.

    Of several prices for one pair at one time the last one counts. `plain` is the part of it
    that is sold always and everywhere, as amounts in minor units by price type and category;
    only sold pairs are there. `is_taxed`: it says of what is sold at which rate it is taxed.
    """

    __slots__ = ("_listed", "_now", "_vat_bp", "currency", "is_taxed", "plain", "types")

    def __init__(self, settings: Settings) -> None:
        self.currency = settings.currency
        self.types: dict[str, PriceType] = {kind.id: kind for kind in settings.price_types}
        self._listed: dict[str, list[Price]] = {kind: [] for kind in self.types}
        for price in settings.prices:
            if price.price_type in self._listed:
                self._listed[price.price_type].append(price)
        self._vat_bp = settings.vat_bp
        own = any(price.vat_bp is not None for price in settings.prices)
        self.is_taxed = own or settings.vat_bp is not None
        # Per type the amounts last asked for, and from when until when they hold.
        self._now: dict[str, tuple[int, int, dict[int, int]]] = {}
        self.plain = {
            kind.id: self._amounts(kind.id, 0)
            for kind in self.types.values()
            if not (kind.from_ms or kind.until_ms or kind.box_office_only)
            and kind.status is TypeStatus.ON_SALE
            and not any(one.from_ms or one.until_ms for one in self._listed[kind.id])
        }

    def on_sale(self, price_type: str, at_ms: int, channel: Channel) -> dict[int, int] | None:
        """Amounts by category of a type, or None when it is not sold now, or not here.

        An early bird is sold strictly before its `until_ms`; a `box_office_only`
        type is sold at the box office and by phone.
        """
        if price_type in self.plain:
            return self.plain[price_type]
        kind = self.types.get(price_type)
        if kind is None or type_now(kind, at_ms).status is not Standing.ON_SALE:
            return None
        if kind.box_office_only and not is_till(channel):
            return None
        return self._amounts(price_type, at_ms)

    def _amounts(self, price_type: str, at_ms: int) -> dict[int, int]:
        known = self._now.get(price_type)
        if known is not None and known[0] <= at_ms < known[1]:
            return known[2]
        listed = self._listed[price_type]
        moments = [moment for one in listed for moment in (one.from_ms, one.until_ms) if moment]
        amounts = {
            one.category: one.amount for one in listed if holds_at(one.from_ms, one.until_ms, at_ms)
        }
        since_ms = max([moment for moment in moments if moment <= at_ms], default=0)
        until_ms = min([moment for moment in moments if moment > at_ms], default=FOREVER)
        self._now[price_type] = since_ms, until_ms, amounts
        return amounts

    def price(self, category: int, price_type: str, at_ms: int, channel: Channel) -> int | None:
        """Minor units for one place, or None when that is not sold now, or not here."""
        amounts = self.on_sale(price_type, at_ms, channel)
        return None if amounts is None else amounts.get(category)

    def vat_bp(self, category: int, price_type: str, at_ms: int) -> int | None:
        """The rate of what is sold at this price, None for the house's."""
        own = None
        for one in self._listed.get(price_type, ()):
            if one.category == category and holds_at(one.from_ms, one.until_ms, at_ms):
                own = one.vat_bp
        return self._vat_bp if own is None else own

    def full_prices(self, at_ms: int, channel: Channel) -> dict[int, int]:
        """Per category its full price: that of the first listed type sold now and here."""
        full: dict[int, int] = {}
        for price_type in self.types:
            amounts = self.on_sale(price_type, at_ms, channel)
            for category, amount in (amounts or {}).items():
                full.setdefault(category, amount)
        return full
