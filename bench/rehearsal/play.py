"""One rehearsal from beginning to end: the stage is set, the bots come, the record is read.

Owns the order of things and who ends what. Answers a report and the book; knows no
command line.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.rehearsal import evidence, faults, invariants, memory, thresholds
from bench.rehearsal.bots import Bot, cast
from bench.rehearsal.crowd import Crowd, Stage
from bench.rehearsal.history import Book
from bench.rehearsal.installation import CannotBegin, Installation
from bench.rehearsal.invariants import Evidence, Finding
from bench.rehearsal.line import Http
from bench.rehearsal.live import View
from bench.rehearsal.report import Report, lag_ms
from bench.rehearsal.scenario import Scenario
from bench.rehearsal.stage import Theatre, sale_times
from engine.commands import ScanOutcome
from renderers.i18n import translator

OPEN_S: Final = 60.0
"""The longest wait for the first picture of the house."""


class Order(Struct, frozen=True):
    """What is to be rehearsed, and where.

    `installation` is the rehearsal's own, None for a server that runs. `performance` 0:
    one is created. `beside` is the scenario's folder.
    """

    scenario: Scenario
    name: str
    seed: int
    url: str
    login: str
    password: str
    beside: Path
    performance: int = 0
    installation: Installation | None = None


async def rehearse(order: Order, view: View) -> tuple[Report, Book]:
    """Play it. Raises CannotBegin."""
    book = Book()
    scenario = order.scenario
    async with Http(order.url, book) as http:
        theatre = Theatre(order.url, http, book)
        view.phase("rehearse.phase.stage")
        await theatre.log_in(order.login, order.password)
        theatre.check_rights(scenario, creates=not order.performance)
        bots = cast(scenario, order.seed, scenario.room is not None)
        if order.performance:
            theatre.performance = order.performance
        else:
            await theatre.create(scenario.house, scenario.title, order.beside)
        try:
            stage = await theatre.dress(scenario, bots, order.seed, secrets.token_bytes(16))
            took_s = await _play(order, theatre, stage, bots, book, http, view)
            view.phase("rehearse.phase.evidence")
            own = order.installation
            record = await evidence.read(
                theatre, stage, http, book, own.database_url if own is not None else ""
            )
        finally:
            if order.installation is None:
                await _tidy(theatre, book)
    measured = thresholds.figures(book, explained())
    limits = scenario.thresholds
    if order.installation is None:  # whose processes nobody may look at from here
        limits = msgspec.structs.replace(limits, memory_growth=None)
    report = Report(
        scenario=scenario,
        name=order.name,
        seed=order.seed,
        seconds=took_s,
        url=order.url,
        performance=theatre.performance,
        source="none" if isinstance(record, str) else record.source,
        invariants=tuple(_judged(book, record)),
        thresholds=tuple(thresholds.judge(limits, measured)),
        figures=measured,
        lag_ms=lag_ms(book),
    )
    return report, book


def _judged(book: Book, record: Evidence | str) -> list[Finding]:
    if isinstance(record, str):
        return invariants.unproven(record)
    admitted = [ticket for ticket, _ in book.admissions]
    return invariants.judge(book.sales, admitted, book.surprises, record)


async def _tidy(theatre: Theatre, book: Book) -> None:
    """What cannot be tidied is reported, and keeps nobody from the report."""
    try:
        await theatre.tidy()
    except CannotBegin as error:
        book.failed(f"not tidied: {error}")


async def _play(
    order: Order,
    theatre: Theatre,
    stage: Stage,
    bots: Sequence[Bot],
    book: Book,
    http: Http,
    view: View,
) -> float:
    """The bots come and go; how long it took, in seconds."""
    scenario = order.scenario
    crowd = Crowd(stage, list(bots), book, http, scenario.factor, scenario.doors.scanners)
    try:
        async with asyncio.timeout(OPEN_S):
            await crowd.open()
    except TimeoutError:
        raise CannotBegin(f"{order.url} shows no seats: is it well? strapontin doctor") from None
    if scenario.room is not None:
        await theatre.open_room(*sale_times(scenario.seconds, scenario.room.on_sale))
    _forget_the_preparation(book)
    book.begin()
    if scenario.room is not None:
        book.on_sale_s = scenario.room.on_sale * scenario.seconds
    view.phase("rehearse.phase.bots")
    jobs = (view.follow(book, scenario.seconds), _faults(order, book), _weigh(order, book))
    async with _beside(*jobs):
        try:
            await crowd.play(scenario.seconds, scenario.grace_s)
        finally:
            crowd.close()
    return book.now_s


async def _faults(order: Order, book: Book) -> None:
    if order.installation is not None:
        scenario = order.scenario
        await faults.carry_out(scenario.faults, scenario.seconds, order.installation, book)


async def _weigh(order: Order, book: Book) -> None:
    if order.installation is not None:
        scenario = order.scenario
        await memory.weigh(order.installation, book, scenario.seconds + scenario.grace_s)


@contextlib.asynccontextmanager
async def _beside(*jobs: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these while the block runs; what went wrong in them is raised afterwards."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(done, Exception):
                raise done


def _forget_the_preparation(book: Book) -> None:
    """What was sold beforehand stays; how it went is not part of the rehearsal."""
    book.asked = book.repeats = 0
    book.sheds.clear()
    book.failures.clear()


def explained() -> frozenset[str]:
    """The codes of refusals that people are told in words."""
    words = translator("en").keys()
    return frozenset(
        {key.removeprefix("refusal.") for key in words if key.startswith("refusal.")}
        | {outcome.value for outcome in ScanOutcome if f"outcome.scan_why.{outcome.value}" in words}
    )


def resized(scenario: Scenario, bots: int, seconds: float, seed: int | None) -> Scenario:
    """The scenario with what the command line says otherwise (0: as it is)."""
    return msgspec.structs.replace(
        scenario,
        bots=bots or scenario.bots,
        seconds=seconds or scenario.seconds,
        seed=scenario.seed if seed is None else seed,
    )
