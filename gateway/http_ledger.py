"""The books over HTTP: read, closed, exported and checked by those who answer for the money.

Owns these routes and their roles. Records and periods are passed on as they are kept: whoever
audits checks them where they are (`strapontin journal verify`), and need not believe this
server. Only the journals' chains are reckoned beside the database, because their events are
long and name buyers.
"""

from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from engine.ledger_export import opening_line, record_lines
from engine.ledger_periods import Closed, read_period
from gateway.http import EDGE, answer, number_in, operator, query_number, read_json
from gateway.limits import MAX_LEDGER_PERIODS, MAX_LEDGER_RECORDS
from gateway.problems import Problem
from gateway.session import Role

_READING: Final = (Role.ADMIN, Role.REPORT)
_MOST: Final = 2**53
MAX_MARKS: Final = 400
"""Positions of one journal that are asked for at once."""

routes = web.RouteTableDef()


class Close(Struct, frozen=True):
    """`early` closes the day that is not over, too."""

    early: bool = False


@routes.get("/api/ledger/records")
async def get_records(request: web.Request) -> web.Response:
    """A page of records after a number, with the ledger's end in the same moment."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    after = query_number(request, "after", 0, most=_MOST)
    limit = query_number(request, "limit", MAX_LEDGER_RECORDS, MAX_LEDGER_RECORDS, least=1)
    house = await edge.programme.house()
    head, records = await edge.backend.ledger.records(house.id, after, limit)
    return answer({"head": head, "records": records})


@routes.get("/api/ledger/periods")
async def get_periods(request: web.Request) -> web.Response:
    """A page of closed periods after a number, with the ledger's end in the same moment."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    after = query_number(request, "after", 0)
    limit = query_number(request, "limit", MAX_LEDGER_PERIODS, MAX_LEDGER_PERIODS, least=1)
    house = await edge.programme.house()
    head, periods = await edge.backend.ledger.periods(house.id, after, limit)
    return answer({"head": head, "periods": periods})


@routes.post("/api/ledger/close")
async def post_close(request: web.Request) -> web.Response:
    """Close the days that are over; with `early` also the one that is not."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, Close)
    house = await edge.programme.house()
    closed = await edge.backend.ledger.close(house.id, early=wanted.early)
    if closed:
        edge.auditor.note(principal, "close_ledger", closed[-1].number, early=wanted.early)
    return answer({"periods": closed})


@routes.get("/api/ledger/periods/{period}/export")
async def get_export(request: web.Request) -> web.StreamResponse:
    """A closed period as a file that can be checked without a server, sent as it is read."""
    edge = request.app[EDGE]
    principal = await operator(request, *_READING)
    number = number_in(request, "period")
    house = await edge.programme.house()
    closed = await edge.backend.ledger.period(house.id, number)
    if closed is None:
        raise Problem("period_unknown", f"no period {number} was closed")
    edge.auditor.note(principal, "export_ledger", number)
    response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store"})
    response.content_type = "application/x-ndjson"
    await response.prepare(request)
    await response.write(opening_line(house.name, closed))
    first, last = _bounds(closed)
    while first <= last:
        most = min(MAX_LEDGER_RECORDS, last - first + 1)
        _, records = await edge.backend.ledger.records(house.id, first - 1, most)
        records = [record for record in records if record.number <= last]
        if not records:
            break  # missing: whoever checks the file finds it
        await response.write(record_lines(records))
        first = records[-1].number + 1
    await response.write_eof()
    return response


def _bounds(closed: Closed) -> tuple[int, int]:
    """The records of a period; none where its body can no longer be read."""
    try:
        period = read_period(closed.body)
    except ValueError:
        return 1, 0
    return period.first, period.last


@routes.get("/api/ledger/journals")
async def get_journals(request: web.Request) -> web.Response:
    """The performances after a number that have a journal."""
    await operator(request, *_READING)
    after = query_number(request, "after", 0)
    return answer({"performances": await request.app[EDGE].backend.history.journals(after)})


@routes.get("/api/ledger/journals/{performance}")
async def get_journal_check(request: web.Request) -> web.Response:
    """How the chain of a performance's journal is found, and its hashes at some positions."""
    await operator(request, *_READING)
    performance = number_in(request, "performance")
    wanted = request.query.getall("at", [])
    if len(wanted) > MAX_MARKS or not all(one.isascii() and one.isdigit() for one in wanted):
        raise Problem("invalid", f"at: {MAX_MARKS} numbers at most", field="at")
    seqs = [min(int(one[:20]), _MOST) for one in wanted]
    found = await request.app[EDGE].backend.history.check(performance, seqs)
    if found is None:
        raise Problem("performance_unknown", f"there is no performance {performance}")
    return answer(found)
