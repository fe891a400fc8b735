"""What is charged beside the prices of places: for service, delivery and ways to pay.

Pure: a fee is a rule of a performance's settings, and what it comes to for a basket is quoted at
checkout with the prices. Amounts are integer minor units; a percentage is rounded half up to the
minor unit, once for each place or once for the basket, as the fee is charged. What is free costs
no fee: neither a free place nor a basket that costs nothing.
"""

from collections.abc import Sequence

from engine.commands import Channel, Line, QuotedFee
from engine.settings import Fee, FeePer


def quote(
    fees: Sequence[Fee],
    lines: Sequence[Line],
    amounts: Sequence[int],
    channel: Channel,
    vat_bp: int | None = None,
) -> tuple[QuotedFee, ...]:
    """What the fees of a channel come to, for places at these amounts each.

    One for each fee and line where it is charged per place, and one for the basket else (`line`
    -1). Those that depend on a way to pay or to deliver say so in `ways`. `vat_bp` is the rate of
    those that have none of their own.
    """
    basket = sum(line.quantity * amount for line, amount in zip(lines, amounts, strict=True))
    found: list[QuotedFee] = []
    for fee in fees:
        if fee.channels and channel not in fee.channels:
            continue
        charged = enumerate(amounts) if fee.per is FeePer.PLACE else ((-1, basket),)
        found += [
            QuotedFee(
                fee.id,
                fee.kind.value,
                come_to(fee, amount),
                fee.fixed,
                at,
                fee.ways,
                fee.absorbed,
                fee.refundable,
                vat_bp if fee.vat_bp is None else fee.vat_bp,
            )
            for at, amount in charged
            if come_to(fee, amount)
        ]
    return tuple(found)


def come_to(fee: Fee, amount: int) -> int:
    """What a fee is for something of this amount."""
    if not amount:
        return 0
    return fee.fixed + rounded_share(amount, fee.percent_bp)


def rounded_share(amount: int, basis_points: int) -> int:
    """A share in hundredths of a percent, half a minor unit up."""
    return (amount * basis_points + 5_000) // 10_000
