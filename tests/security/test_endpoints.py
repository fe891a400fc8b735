"""Every route and every frame, asked by everybody: let through, or turned away without a trace."""

from collections.abc import Iterable

import pytest
from aiohttp import web

from gateway import wire
from gateway.http import answer
from gateway.session import FRAMES as RIGHTS
from tests.gateway.conftest import Running
from tests.security.endpoints import ENDPOINTS, EVERYBODY, FRAMES, SUPERVISING, Endpoint
from tests.security.world import BAD_TOKENS, World


def without_row(app: web.Application, rows: Iterable[Endpoint]) -> list[str]:
    """Routes that the table does not know. HEAD is answered by the handler of GET."""
    known = {(row.method, row.path) for row in rows}
    return [
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None
        and route.method != "HEAD"
        and (route.method, route.resource.canonical) not in known
    ]


async def mistakes(world: World, row: Endpoint) -> list[str]:
    """What is wrong with who is let through, one line each."""
    found = []
    # Whoever has no right comes first: who has one may change what the others ask for.
    for who in sorted(EVERYBODY, key=lambda who: (who in row.may, who)):
        token, before = world.tokens[who], world.fingerprint()
        status, code = await world.ask(row, token)
        turned_away = status in (401, 403) and code not in ("login_failed", "enrolment_failed")
        if status >= 500:
            found.append(f"{who} meets a fault: {status} {code}")
        elif who in row.may and turned_away:
            found.append(f"{who} is turned away: {status} {code}")
        elif who not in row.may:
            wanted = (401, "unauthenticated") if who == "nobody" else (403, "forbidden")
            if (status, code) != wanted:
                found.append(f"{who} is answered {status} {code}, not {wanted}")
            if world.fingerprint() != before:
                found.append(f"{who} changed something")
        if who in row.may and row.path == "/api/logout":
            world.tokens[who] = await world.gateway.fake.operator_token(f"{who} again", who)
    for token in BAD_TOKENS:
        status, code = await world.ask(row, token)
        if row.token != "ignored" and (status, code) != (401, "unauthenticated"):
            found.append(f"the bad token {token[:4]} is answered {status} {code}")
    return found


async def test_every_route_has_a_row_and_every_row_a_route(gateway: Running) -> None:
    assert without_row(gateway.app, ENDPOINTS) == []
    routes = {
        (route.method, route.resource.canonical)
        for route in gateway.app.router.routes()
        if route.resource is not None
    }
    assert [row for row in ENDPOINTS if (row.method, row.path) not in routes] == []


@pytest.mark.parametrize(
    "row", ENDPOINTS, ids=lambda row: f"{row.method} {row.path} {row.case}".strip()
)
async def test_who_may_use_a_route(gateway: Running, row: Endpoint) -> None:
    world = await World(gateway).fill()
    assert await mistakes(world, row) == []


async def test_a_route_that_forgets_to_ask_who_is_there_is_found(gateway: Running) -> None:
    """The control: such a table test that could not fail would be worth nothing."""

    async def forgetful(request: web.Request) -> web.Response:
        return answer({})

    gateway.app.router._frozen = False
    gateway.app.router.add_get("/api/forgotten", forgetful)
    assert without_row(gateway.app, ENDPOINTS) == ["GET /api/forgotten"]
    world = await World(gateway).fill()
    found = await mistakes(world, Endpoint("GET", "/api/forgotten", SUPERVISING))
    assert any(line.startswith("nobody is answered 200") for line in found)
    assert any(line.startswith("buyer is answered 200") for line in found)


def test_every_frame_has_a_row() -> None:
    tags = {str(frame.__struct_config__.tag) for frame in wire.ClientFrame.__args__}
    assert {row.example[0] for row in FRAMES} | {"hello"} == tags


@pytest.mark.parametrize("row", FRAMES, ids=lambda row: row.example[0])
async def test_who_may_send_a_frame(gateway: Running, row: object) -> None:
    tag = row.example[0]  # type: ignore[attr-defined]
    world = await World(gateway).fill()
    for who in sorted(EVERYBODY - {"nobody"}):
        socket = await gateway.socket(world.tokens[who])
        allowed = who in row.may  # type: ignore[attr-defined]
        assert (tag in socket.welcome[3]) is allowed, who
        before = world.fingerprint()
        await socket.send(*row.example)  # type: ignore[attr-defined]
        await socket.send("ping", 7)
        frames = []
        while not frames or frames[-1][0] != "pong" or frames[-1][1] != 7:
            frames.append(await socket.receive())
        refused = [frame for frame in frames if frame[0] == "error" and frame[1] == "forbidden"]
        assert bool(refused) is not allowed, (who, frames)
        if not allowed:
            assert world.fingerprint() == before


async def test_a_frame_before_hello_is_nobodys(gateway: Running) -> None:
    for row in FRAMES:
        socket = await gateway.bare_socket()
        await socket.send(*row.example)
        assert await socket.closed() == 1008


def test_the_rights_of_roles_are_those_of_the_table() -> None:
    """What the code grants, role by role, is what the table says and nothing more."""
    for role, kinds in RIGHTS.items():
        tags = {str(kind.__struct_config__.tag) for kind in kinds}
        assert tags == {row.example[0] for row in FRAMES if role.value in row.may}, role
