"""VAT: what an amount contains, and an amount shared among rates.

Rates are in hundredths of a percent, amounts in minor units with their VAT in them.
"""

from collections.abc import Mapping
from typing import TypeVar

Rate = TypeVar("Rate", int, int | None)


def vat_in(gross: int, tax_bp: int) -> int:
    """The VAT that an amount contains, half a minor unit up on the exact fraction."""
    if tax_bp <= 0:
        return 0
    if gross < 0:
        return -vat_in(-gross, tax_bp)
    return (2 * gross * tax_bp + 10_000 + tax_bp) // (2 * (10_000 + tax_bp))


def shared(amount: int, weights: Mapping[Rate, int]) -> dict[Rate, int]:
    """An amount by rate, as the weights are: each share whole, their sum the amount.

    None is larger than its weight where the amount is not larger than all of them. Weights that
    are not above zero have no share; where there is no other, nothing is shared.
    """
    weights = {rate: weight for rate, weight in weights.items() if weight > 0}
    total = sum(weights.values())
    if not total:
        return {}
    sign, rest = (-1, -amount) if amount < 0 else (1, amount)
    exact = {rate: divmod(rest * weight, total) for rate, weight in weights.items()}
    shares = {rate: whole for rate, (whole, _) in exact.items()}
    left = rest - sum(shares.values())
    # The rate last, so that the same shares come out of the same weights.
    for rate in sorted(exact, key=lambda rate: (-exact[rate][1], rate is None, rate or 0))[:left]:
        shares[rate] += 1
    return {rate: sign * share for rate, share in shares.items() if share}
