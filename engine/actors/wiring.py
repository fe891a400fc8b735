"""The composition root: which class runs as which Ray actor, with which ports filled in.

The only module that calls `ray.remote` and the only one that imports
`persistence` and `gateway.app`; imports of theirs are inside the processes that
need them, so that a performance's process carries neither SQL nor HTTP.

A machine of its own has one of each; in a cluster every node has, pinned to it and named after
it, and those of the node that leads act (`engine.actors.parts`).

Restarts: the journal, the directory, the desk, the rooms, the mailer and the gateway are
restarted by Ray (`max_restarts=-1`, which reruns the constructor); performances
are replaced by the directory (see `engine.actors.directory`). No call is ever retried by
Ray (`max_task_retries=0`): retries are ours, with the same command ids.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import ray
from msgspec import Struct
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine.actors.canceller import Canceller
from engine.actors.closer import Closer
from engine.actors.desk import OrderDesk, Shop
from engine.actors.directory import Directory
from engine.actors.handles import (
    Asker,
    RayDesk,
    RayPerformances,
    RayRooms,
    RaySpawner,
    RayStatus,
    RegisterInJournal,
    desk_lane,
)
from engine.actors.journal import JournalActor
from engine.actors.journal_handle import journal_lane
from engine.actors.lane import Address
from engine.actors.mailer import Mailer, Post
from engine.actors.parts import (
    DESK,
    DIRECTORY,
    GATEWAY,
    MAILER,
    ROOMS,
    Following,
    LedProcess,
    OnePart,
    Part,
    named,
)
from engine.actors.performance import now_ms
from engine.actors.process import JOURNAL, PerformanceProcess, log_to_stderr, settle
from engine.actors.rooms import RoomsActor
from engine.actors.use import own_use
from engine.lead import Led
from engine.mail_server import parse_mail_server
from engine.mails import Composed, Due
from engine.ordering import GIFT_CARDS
from engine.settings import Settings as PerformanceSettings
from engine.status import MailStatus, Use
from engine.waiting import Report
from gateway.backend import BackendUnavailable

if TYPE_CHECKING:
    from gateway.app import Server
    from gateway.backend import Backend
    from gateway.letters import Letters
    from persistence.store import Store

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_CONCURRENT_CALLS: Final = 10_000
"""Calls that one actor has under way; the edge sheds load long before."""
READY_S: Final = 60.0


class OpenCluster(Exception):
    """The Ray cluster takes calls from anybody who reaches it."""


class UnfitCluster(Exception):
    """The Ray cluster does not run our actors; the text is Ray's."""


class Settings(Struct, frozen=True):
    """What an installation is told at its start. `node` names it in a cluster, "" without.

    Without `mail_url` mails are written to `mail_folder`, without either they wait.
    """

    database_url: str
    host: str
    port: int
    public_url: str
    node: str = ""
    stripe_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_api_base: str = ""
    trusted_proxies: tuple[str, ...] = ()
    mail_url: str = ""
    mail_from: str = ""
    mail_folder: str = ""


def _remote(kind: type, name: str, restarts: int, *args: Any) -> ActorHandle:
    options = {
        "name": name,
        "num_cpus": 0,
        "max_restarts": restarts,
        "max_task_retries": 0,
        "max_concurrency": MAX_CONCURRENT_CALLS,
    }
    if "@" in name:
        # A node's parts live and die with it.
        here = ray.get_runtime_context().get_node_id()
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
    return ray.remote(kind).options(**options).remote(*args)


class JournalProcess(JournalActor):
    """The journal actor over Postgres."""

    def __init__(self, url: str) -> None:
        from persistence.journal import Journal
        from persistence.lead import Leads

        log_to_stderr()
        self._leads = Leads(url)
        self._journal = Journal(url)
        super().__init__(self._journal)
        self._lane = journal_lane(ray.util.get_node_ip_address(), self)
        settle()

    async def lane(self) -> Address:
        return await self._lane.address()

    async def serving(self, performance: int) -> str | None:
        """The actor that last claimed this performance; see `directory.Register`."""
        return await self._journal.serving(performance)

    async def beat(self, node: str) -> Led:
        """See `directory.Register`."""
        return await self._leads.beat(node)

    async def leave(self, node: str) -> None:
        """This node stops; see `persistence.lead`."""
        await self._leads.leave(node)

    async def is_guarded(self) -> bool:
        """Does this Ray ask its callers for a token? Its workers inherit what it was told."""
        return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


class DirectoryProcess(Directory):
    """The directory, making performance actors of this class."""

    performance_process: type[PerformanceProcess] = PerformanceProcess

    def __init__(self, node: str) -> None:
        log_to_stderr()
        journal = named(JOURNAL, node)

        def make(name: str) -> ActorHandle:
            return _remote(self.performance_process, name, 0, name, journal)

        super().__init__(RaySpawner(make), RegisterInJournal(ray.get_actor(journal)), node)
        settle()


class DeskProcess(LedProcess):
    """The order desk over Postgres, Ray and, where it is configured, Stripe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Not the method: Ray has put its tracing around the methods of its actors' classes.
        ask = partial(LedProcess.ask, self)
        self._lane = desk_lane(ray.util.get_node_ip_address(), ask)
        super().__init__(settings.node)

    async def lane(self) -> Address:
        return await self._lane.address()

    def prepare(self) -> None:
        import persistence.store  # noqa: F401

    def begin(self) -> OrderDesk:
        from persistence.store import Store

        settings = self._settings
        store = Store(settings.database_url)
        # It acts where the directory does.
        directory = OnePart(ray.get_actor(named(DIRECTORY, settings.node)))
        asker = Asker(RayPerformances(directory))
        stripe = shop = None
        if settings.stripe_key:
            from engine.actors.payments import StripeGateway

            stripe = StripeGateway(
                settings.stripe_key,
                settings.stripe_webhook_secret,
                settings.stripe_api_base or None,
            )

            async def title(performance: int) -> str:
                if performance == GIFT_CARDS:
                    from renderers.i18n import translator

                    house = await store.catalogue.house()
                    assert house is not None, "an order is a house's"
                    return translator(house.languages[0])("gift_card.title")
                entry = await store.catalogue.performance(performance)
                assert entry is not None, f"an order names performance {performance}"
                return next(iter(entry.production.titles.values()))

            shop = Shop(settings.public_url, title)
        # Whoever writes the ledger closes its days.
        self._closer = Closer(store.ledger)
        desk = OrderDesk(store.orders, asker.ask, stripe, shop)

        async def rules(performance: int) -> PerformanceSettings:
            entry = await store.catalogue.performance(performance)
            assert entry is not None, f"performance {performance} is cancelled"
            return msgspec.json.decode(entry.settings, type=PerformanceSettings)

        async def close_room(performance: int) -> bool:
            # Begun after this process: it is asked for when it is needed.
            return await RayRooms(OnePart(ray.get_actor(named(ROOMS, settings.node)))).close(
                performance
            )

        self._canceller = Canceller(store.cancellations, desk, asker.ask, rules, close_room)
        return desk

    async def status(self) -> Use:
        return own_use()


class PackedRooms(RoomsActor):
    """With the large messages as bytes; see `handles.RayRooms`."""

    def __init__(self, url: str) -> None:
        from persistence.store import Store

        super().__init__(Store(url).rooms)
        self._encode = msgspec.msgpack.Encoder().encode
        self._report = msgspec.msgpack.Decoder(Report).decode

    async def exchange_packed(self, report: bytes) -> bytes:
        """msgpack Report -> msgpack News."""
        return self._encode(await self.exchange(self._report(report)))

    async def events_packed(self, performance: int) -> bytes:
        return self._encode(await self.events(performance))


class RoomsProcess(LedProcess):
    """The writer of the waiting rooms over Postgres."""

    def __init__(self, url: str, node: str) -> None:
        self._url = url
        super().__init__(node)

    def prepare(self) -> None:
        import persistence.store  # noqa: F401

    def begin(self) -> PackedRooms:
        return PackedRooms(self._url)

    async def status(self) -> Use:
        return own_use()


class MailerProcess(LedProcess):
    """The sender of mails over Postgres, and an SMTP server or a folder.

    In a process of its own: tickets are drawn for it, which nobody who buys should wait for.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__(settings.node)

    def prepare(self) -> None:
        import gateway.letters  # noqa: F401
        import persistence.store  # noqa: F401

    def begin(self) -> Mailer:
        from engine.actors.post import FolderPost, SmtpPost
        from persistence.store import Store

        settings = self._settings
        store = Store(settings.database_url)
        post: Post | None = None
        if settings.mail_url:
            post = SmtpPost(parse_mail_server(settings.mail_url))
        elif settings.mail_folder:
            post = FolderPost(Path(settings.mail_folder))
        self._mailer = Mailer(store.mails, _letters(store, settings), post)
        return self._mailer

    async def status(self) -> MailStatus | Use:
        """As a node that does not lead, only what it costs."""
        return own_use() if self._acting is None else await self._mailer.status()


def _letters(store: "Store", settings: Settings) -> Callable[[Due], Awaitable[Composed]]:
    """What writes mails; it is loaded and finds its key when the first is written."""
    letters: Letters | None = None

    async def compose(due: Due) -> Composed:
        nonlocal letters
        if letters is None:
            from gateway.letters import Letters
            from gateway.paper import Paper
            from gateway.plans import Plans
            from gateway.programme import Programme

            house = await store.catalogue.house()
            assert house is not None, "an order was placed in a house"
            letters = Letters(
                Programme(store.catalogue, store.sales),
                Plans(store.catalogue),
                Paper(house.ticket_seed),
                store.ledger,
                settings.mail_from,
                settings.public_url,
                now_ms,
            )
        return await letters.compose(due)

    return compose


class GatewayProcess:
    """One edge: its HTTP and websocket server lives in this actor's event loop."""

    def __init__(self, settings: Settings) -> None:
        log_to_stderr()
        self._settings = settings
        self._server: Server
        self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        from gateway import app, logs
        from gateway.config import Config
        from persistence.store import Store

        logs.configure(as_json=True)
        settings = self._settings
        store = Store(settings.database_url)
        house = await _persist(store.catalogue.house)
        assert house is not None, "a gateway is started after the house was opened"
        config = Config(
            session_key=house.session_secret,
            ticket_key=house.ticket_seed,
            trusted_proxies=settings.trusted_proxies,
            payment_methods=("stripe",) if settings.stripe_key else ("test_card",),
        )
        edge = app.build(backend(store, settings.node), config)
        self._server = await app.serve(edge, settings.host, settings.port)
        settle()

    async def ready(self) -> None:
        """Returns when the port is served; raises what kept it from that."""
        await asyncio.shield(self._opening)

    async def stop(self) -> None:
        """Stop serving, politely."""
        await self._opening
        await self._server.stop()


def backend(store: "Store", node: str = "") -> "Backend":
    """What the edge needs, from the actors of this installation and its database."""
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.backend import Backend
    from persistence.access import NameTaken

    parts: dict[str, Part]
    following = Following(node) if node else None
    if following is not None:
        parts = {name: following.part(name) for name in (DIRECTORY, DESK, ROOMS, MAILER)}
    else:
        names = (DIRECTORY, DESK, ROOMS, MAILER)
        parts = {name: OnePart(ray.get_actor(name)) for name in names}
    parts[JOURNAL] = OnePart(ray.get_actor(named(JOURNAL, node)))
    directory = parts[DIRECTORY]
    performances, desk = RayPerformances(directory), RayDesk(parts[DESK])
    if following is not None:

        def leave(led: Led) -> None:
            performances.leave_lost_nodes(led)
            desk.leave()

        following.told = leave
    return Backend(
        performances=performances,
        desk=desk,
        catalogue=store.catalogue,
        season=store.season,
        access=store.access,
        sales=store.sales,
        ticket_list=store.ticket_list,
        tills=store.tills,
        cancellations=store.cancellations,
        guests=store.guests,
        history=store.history,
        ledger=store.ledger,
        papers=store.papers,
        mails=store.mails,
        credits=store.credits,
        door_lists=store.door_lists,
        status=RayStatus(performances, parts).status,
        rooms=RayRooms(parts[ROOMS]),
        outages=(BackendUnavailable, OSError, SQLAlchemyError),
        conflicts=(NameTaken,),
        checks={
            "database": store.health,
            "directory": lambda: directory.ask("status"),
        },
    )


async def _persist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the database until it answers: a gateway may be restarted while it is away."""
    while True:
        try:
            return await ask()
        except Exception as error:
            log.warning("the database does not answer yet: %r", error)
            await asyncio.sleep(0.5)


class Installation:
    """The actors of one machine, or of one node of a cluster, started and stopped together."""

    directory_process: type[DirectoryProcess] = DirectoryProcess

    def __init__(self, settings: Settings) -> None:
        """Raises OpenCluster, UnfitCluster."""
        url, node = settings.database_url, settings.node
        self._node = node
        # Each finds the one before it by name, as it does when Ray restarts it.
        self._journal = _remote(JournalProcess, named(JOURNAL, node), -1, url)
        if node:
            self._check_cluster()
        self._directory = _remote(self.directory_process, named(DIRECTORY, node), -1, node)
        self._desk = _remote(DeskProcess, named(DESK, node), -1, settings)
        self._rooms = _remote(RoomsProcess, named(ROOMS, node), -1, url, node)
        self._mailer = _remote(MailerProcess, named(MAILER, node), -1, settings)
        self._gateway = _remote(GatewayProcess, named(GATEWAY, node), -1, settings)

    def _check_cluster(self) -> None:
        try:
            guarded = ray.get(self._journal.is_guarded.remote(), timeout=READY_S)
        except ray.exceptions.RayError as error:
            raise UnfitCluster(str(error).splitlines()[-1]) from error
        if not guarded:
            raise OpenCluster

    def wait_ready(self) -> None:
        """Returns when the gateway serves. Raises what kept it from that."""
        ray.get(self._gateway.ready.remote(), timeout=READY_S)

    def performances(self) -> RayPerformances:
        """The performance actors, for whoever measures without an edge; of one event loop."""
        return RayPerformances(OnePart(self._directory))

    def stop(self) -> None:
        """Close the edge, then save every idle performance, then leave Ray."""
        stops = [self._gateway.stop.remote, self._directory.close.remote]
        if self._node:
            stops.append(partial(self._journal.leave.remote, self._node))
        for stopping in stops:
            try:
                ray.get(stopping(), timeout=10)
            except Exception as error:
                log.warning("stopping: %r", error)
        ray.shutdown()
