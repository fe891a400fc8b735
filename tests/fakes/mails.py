"""An outbox in memory that nobody empties."""

from msgspec import structs

from engine.mails import Mail, MailKind, MailRow, MailState, Try, key_of
from engine.orders import Order
from gateway.backend import BackendUnavailable

AT_MS = 1_795_172_400_000


class FakeMails:
    """Implements `gateway.backend.Mails`. While `down` is set, every call fails."""

    def __init__(self) -> None:
        self.rows: dict[str, MailRow] = {}
        self.down = False

    async def list(
        self, *, order: int = 0, state: str = "", before: int | None = None, limit: int = 50
    ) -> list[MailRow]:
        self._reach()
        found = [
            row
            for row in self.rows.values()
            if order in (0, row.order_number)
            and state in ("", row.state)
            and (before is None or row.id < before)
        ]
        return sorted(found, key=lambda row: -row.id)[:limit]

    async def get(self, mail: int) -> MailRow | None:
        self._reach()
        return next((row for row in self.rows.values() if row.id == mail), None)

    async def retry(self, mail: int) -> bool:
        self._reach()
        for key, row in self.rows.items():
            if row.id == mail and row.state in (MailState.FAILED, MailState.WAITING):
                self.rows[key] = structs.replace(row, state=MailState.WAITING, due_ms=AT_MS)
                return True
        return False

    async def send_tickets(self, order: Order, cause: str) -> MailRow:
        self._reach()
        return self.add(order, Mail(MailKind.TICKETS, cause))

    def add(self, order: Order, mail: Mail, state: MailState = MailState.WAITING) -> MailRow:
        failed = state is MailState.FAILED
        row = MailRow(
            id=len(self.rows) + 1,
            kind=mail.kind,
            cause=mail.cause,
            order_number=order.number,
            order=order.id,
            recipient=order.buyer.email,
            state=state,
            created_ms=AT_MS,
            due_ms=AT_MS if state is MailState.WAITING else 0,
            ended_ms=AT_MS if failed else 0,
            attempts=int(failed),
            tries=(Try(AT_MS, "550 no such user"),) if failed else (),
        )
        return self.rows.setdefault(key_of(order.number, mail), row)

    def _reach(self) -> None:
        if self.down:
            raise BackendUnavailable("the database is down")
