"""Store credit in memory, keeping the promises of `persistence.credit`."""

from collections.abc import Sequence

from engine.credit import Credit, CreditRefused, CreditView, moves_of
from engine.orders import Order


class MemoryCredits:
    """Balances by code, in minor units of `currencies`."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = {}
        self.currencies: dict[str, str] = {}

    def get(self, code: str) -> Credit | None:
        balance = self.balances.get(code)
        return None if balance is None else Credit(code, self.currencies[code], balance)

    async def view(self, code: str) -> CreditView | None:
        credit = self.get(code)
        return None if credit is None else CreditView(credit, ())

    def move(self, changes: Sequence[tuple[Order | None, Order]]) -> None:
        """All of it, or CreditRefused and nothing."""
        balances, currencies = dict(self.balances), dict(self.currencies)
        refused = []
        for before, order in changes:
            for one in moves_of(before, order):
                if one.opens:
                    assert one.code not in balances, "a code is given once"
                    balances[one.code], currencies[one.code] = 0, order.currency
                balances[one.code] += one.amount
                if balances[one.code] < 0:
                    refused.append(order.id)
        if refused:
            raise CreditRefused(refused)
        self.balances, self.currencies = balances, currencies
