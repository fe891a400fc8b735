"""A whole backend in memory: the real engine and the real desk, with no actor and no database."""

from argon2 import PasswordHasher

from engine.actors.canceller import Canceller
from engine.plan import Plan
from engine.settings import Settings
from gateway.backend import Backend, BackendUnavailable
from gateway.session import digest_of, new_token, now_ms
from renderers.secret import generate_key
from tests.fakes.access import FakeAccess, NameTaken
from tests.fakes.cancellations import FakeCancellations
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.desk import FakeDesk, FakeGuests, FakeSales
from tests.fakes.ledger import FakeLedger
from tests.fakes.listing import FakeTicketList
from tests.fakes.mails import FakeMails
from tests.fakes.papers import FakePapers
from tests.fakes.performances import FakePerformances
from tests.fakes.rooms import FakeRooms
from tests.fakes.season import FakeSeason
from tests.fakes.status import FakeStatus
from tests.fakes.tills import FakeTills

PASSWORD = "correct horse"
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
"""Checked in no time. Where it matters what a check costs, `gateway.login` makes the hash."""


class FakeBackend:
    """Make it inside a running loop. `backend` is what `gateway.app.build` wants."""

    def __init__(self) -> None:
        self.ticket_key = generate_key()
        self.performances = FakePerformances()
        self.catalogue = FakeCatalogue()
        self.season = FakeSeason(self.catalogue, self.performances)
        self.access = FakeAccess()
        self.desk = FakeDesk(self.performances)
        self.sales = FakeSales(self.desk.orders)
        self.ticket_list = FakeTicketList(self.desk.orders, self.performances, self.catalogue)
        self.tills = FakeTills(self.desk.orders)
        self.cancellations = FakeCancellations(self.desk.orders.by_id.values)
        self.ledger = FakeLedger()
        self.papers = FakePapers(self.desk.orders, self.ledger, self.catalogue)
        self.mails = FakeMails()
        self.guests = FakeGuests(self.desk.orders, self.performances)
        self.rooms = FakeRooms()
        self.rooms.store.performances = []
        self.status = FakeStatus(self.performances)
        self.backend = Backend(
            performances=self.performances,
            desk=self.desk,
            catalogue=self.catalogue,
            season=self.season,
            access=self.access,
            sales=self.sales,
            ticket_list=self.ticket_list,
            tills=self.tills,
            cancellations=self.cancellations,
            guests=self.guests,
            history=self.performances,
            ledger=self.ledger,
            papers=self.papers,
            mails=self.mails,
            credits=self.desk.orders.credits,
            door_lists=self.performances,
            status=self.status.status,
            rooms=self.rooms,
            outages=(BackendUnavailable, OSError),
            conflicts=(NameTaken,),
            checks={"database": self.catalogue.house},
        )

    def add_performance(self, plan: Plan, settings: Settings, title: str = "The Test") -> int:
        """On sale at once; answers its number."""
        starts_ms = now_ms() + 24 * 3600 * 1000
        number = self.catalogue.add(plan, settings, starts_ms, title)
        self.performances.add(number, plan, settings)
        self.rooms.store.performances.append(number)
        return number

    def canceller(self) -> Canceller:
        """Who carries out what was asked for; it ends with the loop, or by `close`."""

        async def rules(performance: int) -> Settings:
            return self.performances.live[performance].core.settings

        return Canceller(
            self.cancellations,
            self.desk._desk,
            self.performances.ask,
            rules,
            self.rooms.close,
            look_s=0.01,
            pace_s=0,
        )

    async def operator_token(self, name: str, *roles: str) -> str:
        """An operator with PASSWORD, logged in."""
        at_ms = now_ms()
        made = await self.access.create_operator(
            1, name=name, password_hash=PASSWORD_HASH, roles=roles, language="en", now_ms=at_ms
        )
        token = new_token("o")
        await self.access.open_session(
            made.id, token_hash=digest_of(token), expires_ms=at_ms + 3_600_000, now_ms=at_ms
        )
        return token

    async def device_token(self, name: str, gate: str = "", *performances: int) -> str:
        token = new_token("d")
        await self.access.create_device(
            1,
            name=name,
            token_hash=digest_of(token),
            gate=gate,
            performances=performances,
            now_ms=now_ms(),
        )
        return token

    async def close(self) -> None:
        await self.rooms.aclose()
        await self.desk.close()
