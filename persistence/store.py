"""Everything that is kept, behind one door: `Store.open(url)`.

Owns the parts, which own their queries; the pool that they share is persistence.pool's.
The journal has connections of its own, so that a crowd of queries never stands
in front of a sale. One store belongs to one event loop.

`migrate` (persistence.migrations) must have run; `open` does not change the database.
"""

import time
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa
from msgspec import Struct

from persistence.access import Access
from persistence.cancellations import Cancellations
from persistence.catalogue import Catalogue
from persistence.credit import Credits
from persistence.door_lists import DoorLists
from persistence.guests import Guests
from persistence.history import History
from persistence.journal import Journal
from persistence.ledger import Ledger
from persistence.mails import Mails
from persistence.orders import Orders
from persistence.papers import Papers
from persistence.pool import open_pool
from persistence.rooms import Rooms
from persistence.sales import Sales
from persistence.season import Season
from persistence.ticket_list import TicketList
from persistence.tills import Tills
from persistence.url import OLDEST_SERVER, DatabaseUnavailable, reaching

POOL_CONNECTIONS: Final = 6
HISTORY_CONNECTIONS: Final = 1
"""Those who read journals take turns."""


class Health(Struct, frozen=True):
    """What a commit costs now."""

    commit_ms: float
    server: str  # its version
    synchronous_commit: str  # "on" is what the product promises


class Store:
    """The database of a house.

    Attributes:
        journal: What performances decided. See persistence.journal for its errors.
        orders: What was bought, and the money for it.
        ledger: What concerns money, chained and closed by the day.
        papers: What was issued: invoices, credit notes, settlements.
        mails: What is to be sent, and what became of it.
        credits: What the house keeps for whoever has its code.
        catalogue: The house, plans, productions, performances.
        season: The programme as a whole, as season files declare it.
        sales: What cashiers and doors look up.
        ticket_list: All places that orders are about, with filters, totals and pages.
        guests: Who is expected, and who has come.
        tills: Shifts at the cash desks.
        cancellations: Performances that are cancelled, and how far each is.
        access: Operators, sessions, devices, audit.
        door_lists: What doors must know to be alone.
        history: The journal for those who only look.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_pool(url, POOL_CONNECTIONS)
        self._readers = open_pool(url, HISTORY_CONNECTIONS, patient=True)
        self.journal = Journal(url)
        self.orders = Orders(self._engine)
        self.ledger = Ledger(self._engine)
        self.papers = Papers(self._engine)
        self.mails = Mails(self._engine)
        self.credits = Credits(self._engine)
        self.catalogue = Catalogue(self._engine)
        self.season = Season(self._engine)
        self.sales = Sales(self._engine)
        self.ticket_list = TicketList(self._engine)
        self.guests = Guests(self._engine)
        self.tills = Tills(self._engine)
        self.cancellations = Cancellations(self._engine)
        self.access = Access(self._engine)
        self.door_lists = DoorLists(self._engine)
        self.rooms = Rooms(self._engine)
        self.history = History(self._readers)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect once, to fail early.

        Raises:
            DatabaseUrlError, DatabaseUnavailable: See persistence.url.
        """
        store = cls(url)
        try:
            with reaching(url):
                server = (await store.health()).server
            if int(server.split(".")[0]) < OLDEST_SERVER:
                raise DatabaseUnavailable(
                    f"its server is Postgres {server}, older than {OLDEST_SERVER}"
                )
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        await self.journal.close()
        await self._engine.dispose()
        await self._readers.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def health(self) -> Health:
        """Commit an empty transaction that still has to reach the disk."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    sa.text(
                        "SELECT current_setting('server_version'),"
                        " current_setting('synchronous_commit'), pg_current_xact_id()::text"
                    )
                )
            ).one()
            begun_s = time.perf_counter()
            await connection.commit()
            commit_ms = (time.perf_counter() - begun_s) * 1_000
        return Health(commit_ms=commit_ms, server=row[0], synchronous_commit=row[1])
