"""The doors over the websocket and HTTP: exits, undoing, overrides, kept scans, counts, guests."""

import csv
import io
import zipfile
from typing import Any

import pypdfium2
import pytest

from engine.settings import Gate, ReEntry
from gateway import http_doors
from gateway.limits import MAX_MARKED_TICKETS
from gateway.session import now_ms
from renderers.guest_list import guests_pdf
from renderers.secret import sign
from tests.actors.houses import settings, small_plan
from tests.gateway.client import Socket, new_id
from tests.gateway.conftest import Running, Start
from tests.gateway.test_http_orders import paid_order

GATES = (Gate("main", "Main", capacity=2), Gate("side", "Side", (0,)))


@pytest.fixture
async def gateway(start: Start) -> Running:
    """Tickets 1 and 2 (seats 5 and 6) are Ada's, ticket 3 (seat 21) is too."""
    running = await start()
    running.fake.add_performance(small_plan(), settings(gates=GATES, re_entry=ReEntry.AFTER_EXIT))
    await paid_order(running, 5, 6)
    await paid_order(running, 21)
    return running


def secret(gateway: Running, ticket: int) -> str:
    return sign(gateway.fake.ticket_key, 1, ticket, 0)


async def device(gateway: Running, name: str = "lane", gate: str = "main") -> Socket:
    return await gateway.socket(await gateway.fake.device_token(name, gate))


async def staff(gateway: Running, *roles: str) -> tuple[Socket, str]:
    token = await gateway.fake.operator_token("-".join(roles), *roles)
    return await gateway.socket(token), token


async def scanned(socket: Socket, gateway: Running, ticket: int, *more: Any) -> str:
    outcome = await socket.ask("scan", 1, secret(gateway, ticket), *more)
    return str(outcome[1])


async def acts(gateway: Running, act: str) -> list[tuple[str, dict[str, Any]]]:
    await gateway.edge.auditor._acts.join()
    return [
        (entry.who, dict(entry.detail))
        for entry in await gateway.fake.access.list_audit()
        if entry.act == act
    ]


# Over the websocket -----------------------------------------------------------------


async def test_a_visitor_goes_in_out_and_in_again(gateway: Running) -> None:
    door = await device(gateway)
    for mode, told in (
        ("exit", "TOO_EARLY"),
        ("admit", "ADMITTED"),
        ("admit", "ALREADY_USED"),
        ("exit", "EXITED"),
        ("exit", "ALREADY_USED"),
        ("look_up", "ADMITTED"),
        ("admit", "ADMITTED"),
    ):
        assert await scanned(door, gateway, 1, "", mode) == told


async def test_the_turnstile_did_not_turn(gateway: Running) -> None:
    door, other = await device(gateway), await device(gateway, "other", "side")
    await scanned(door, gateway, 1)
    assert (await other.ask("undo_scan", 1, 1, "main"))[:2] == ["refused", "scanned_elsewhere"]
    undone = await door.ask("undo_scan", 1, 1)
    assert undone == ["undone", 1, "admit", False, "main", "lane", -1]
    assert await scanned(door, gateway, 1) == "ADMITTED"
    supervisor, _ = await staff(gateway, "supervisor")
    assert (await supervisor.ask("undo_scan", 1, 1))[0] == "undone"
    assert ("supervisor", {"ticket": 1, "gate": ""}) in await acts(gateway, "undo_scan")
    assert (await supervisor.ask("undo_scan", 1, 1))[:2] == ["refused", "nothing_to_undo"]


async def test_an_override_is_for_supervisors_and_leaves_its_reason(gateway: Running) -> None:
    door = await device(gateway)
    await scanned(door, gateway, 1)
    for socket in (door, (await staff(gateway, "door"))[0]):
        id = new_id()
        await socket.send("scan", id, 1, secret(gateway, 1), "", "admit", "let me")
        error = await socket.next("error")
        assert error[1] == "forbidden" and error[3] == id
    supervisor, _ = await staff(gateway, "supervisor")
    assert await scanned(supervisor, gateway, 1, "main", "admit", "lost") == "ADMITTED"
    assert await acts(gateway, "override") == [
        ("supervisor", {"ticket": 1, "gate": "main", "reason": "lost"})
    ]
    assert [one.forced for one in live(gateway).ticket_uses[1]] == [False, True]


def live(gateway: Running) -> Any:
    return gateway.fake.performances.live[1].core


async def test_nobody_marks_over_the_websocket(gateway: Running) -> None:
    for socket in (await device(gateway), (await staff(gateway, "admin"))[0]):
        await socket.send("scan", new_id(), 1, secret(gateway, 1), "", "mark")
        assert (await socket.next("error"))[1] == "forbidden"
        kept = ["mark", 1, now_ms(), "ADMITTED"]
        await socket.send("kept_scan", new_id(), 1, secret(gateway, 1), "", *kept)
        assert (await socket.next("error"))[1] == "forbidden"
    assert live(gateway).ticket_uses == {}


async def kept(
    socket: Socket, gateway: Running, ticket: int, sequence: int, ago_ms: int, *, id: bytes = b""
) -> list[Any]:
    told = ["admit", sequence, START_MS - ago_ms, "ADMITTED"]
    return await socket.ask("kept_scan", 1, secret(gateway, ticket), "any", *told, id=id)


START_MS = now_ms()


async def test_kept_scans_are_told_once_and_their_conflict_is_listed(gateway: Running) -> None:
    one, other = await device(gateway), await device(gateway, "other", "side")
    assert await kept(one, gateway, 1, 7, 1_000) == ["kept", "ADMITTED", 1, False, True, False]
    assert await kept(other, gateway, 1, 3, 2_000) == ["kept", "ADMITTED", 1, True, True, False]
    again = await kept(other, gateway, 1, 3, 2_000)
    assert again == ["kept", "ADMITTED", 1, True, True, True]
    assert (await kept(other, gateway, 2, 3, 1_500))[:2] == ["refused", "id_reused"]
    _, token = await staff(gateway, "door")
    [conflict] = await gateway.json("GET", "/api/performances/1/conflicts", token=token)
    assert conflict == {
        "ticket": 1,
        "label": "Stalls, A, 6",
        "scans": [
            {
                "device": "other",
                "gate": "side",
                "at_ms": START_MS - 2_000,
                "kept": True,
                "winner": True,
            },
            {
                "device": "lane",
                "gate": "main",
                "at_ms": START_MS - 1_000,
                "kept": True,
                "winner": False,
            },
        ],
    }


async def test_a_forged_kept_scan_is_recorded_as_what_it_is(gateway: Running) -> None:
    door = await device(gateway)
    told = await door.ask("kept_scan", 1, "ST1FORGED", "", "admit", 1, START_MS, "ADMITTED")
    assert told == ["kept", "UNKNOWN", -1, False, False, False]


async def test_kept_scans_of_another_performance_are_refused_to_a_bound_device(
    gateway: Running,
) -> None:
    door = await gateway.socket(await gateway.fake.device_token("bound", "", 2))
    for frame in (
        ["kept_scan", new_id(), 1, "x", "", "admit", 1, START_MS, "ADMITTED"],
        ["undo_scan", new_id(), 1, 1, ""],
    ):
        await door.send(*frame)
        assert (await door.next("error"))[1] == "forbidden"


@pytest.mark.parametrize(
    "rest",
    [
        ("", "admit", -1, 1, "ADMITTED"),
        ("", "admit", 1, -1, "ADMITTED"),
        ("", "admit", 1, 1, "admitted"),
        ("", "walk", 1, 1, "ADMITTED"),
        ("", "admit", 1, 1),
    ],
)
async def test_a_kept_scan_of_another_shape_is_malformed(
    gateway: Running, rest: tuple[Any, ...]
) -> None:
    door = await device(gateway)
    await door.send("kept_scan", new_id(), 1, "x", *rest)
    assert (await door.next("error"))[1] == "malformed"


# Over HTTP ---------------------------------------------------------------------------


async def test_who_is_inside_is_told_with_its_alarms(gateway: Running) -> None:
    door = await device(gateway)
    token = await gateway.fake.device_token("screen", "", 1)
    path = "/api/performances/1/inside"
    told = await gateway.json("GET", path, token=token)
    assert (told["total"], told["alarms"], told["sections"]) == (0, [], [])
    for ticket in (1, 2):
        await scanned(door, gateway, ticket)
    told = await gateway.json("GET", path, token=token)
    assert told == {
        "total": 2,
        "gates": [
            {
                "id": "main",
                "name": "Main",
                "sections": [],
                "inside": 2,
                "zone": 2,
                "capacity": 2,
                "alarm": "full",
            },
            {
                "id": "side",
                "name": "Side",
                "sections": [0],
                "inside": 0,
                "zone": 2,
                "capacity": 0,
                "alarm": "none",
            },
        ],
        "sections": [{"section": 0, "name": "Stalls", "inside": 2}],
        "alarms": ["main"],
    }
    bound = await gateway.fake.device_token("elsewhere", "", 2)
    for stranger in (bound, gateway.buyer_token(), (await staff(gateway, "cashier"))[1]):
        await gateway.json("GET", path, token=stranger, expect=403)


async def test_guests_ticked_off_on_paper_have_arrived(gateway: Running) -> None:
    _, token = await staff(gateway, "door")
    path = "/api/performances/1/mark"
    body = {"tickets": [1, 3, 1, 99], "gate": "side"}
    assert await gateway.json("POST", path, body, token) == [
        {"ticket": 1, "result": "ADMITTED"},
        {"ticket": 3, "result": "ADMITTED"},
        {"ticket": 99, "result": "UNKNOWN"},
    ]
    again = await gateway.json("POST", path, {"tickets": [1]}, token)
    assert again == [{"ticket": 1, "result": "ALREADY_USED"}]
    assert (await acts(gateway, "mark"))[-1] == ("door", {"tickets": [1, 3, 99], "gate": "side"})
    guests = await gateway.json("GET", "/api/performances/1/guests", token=token)
    assert [(guest["ticket"], guest["arrived_ms"] > 0) for guest in guests] == [
        (1, True),
        (2, False),
        (3, True),
    ]
    for bad in ({}, {"tickets": []}, {"tickets": [0]}, {"tickets": [1] * (MAX_MARKED_TICKETS + 1)}):
        await gateway.json("POST", path, bad, token, expect=422)
    await gateway.json("POST", "/api/performances/9/mark", {"tickets": [1]}, token, expect=404)


async def fetched(gateway: Running, token: str, query: str) -> tuple[str, bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/api/performances/1/guests?{query}"
    async with gateway.http.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert "attachment" in response.headers["Content-Disposition"]
        return response.content_type, await response.read()


async def test_the_guest_list_comes_as_a_file_of_each_kind(gateway: Running) -> None:
    _, token = await staff(gateway, "cashier")
    kind, body = await fetched(gateway, token, "format=csv&lang=en")
    assert kind == "text/csv"
    head, *rows = csv.reader(io.StringIO(body.decode("utf-8-sig")))
    assert head[:3] == ["Name", "Place", "Ticket"]
    assert [row[1:3] for row in rows] == [
        ["Stalls, A, 6", "1"],
        ["Stalls, A, 7", "2"],
        ["Stalls, B, 2", "3"],
    ]
    kind, body = await fetched(gateway, token, "format=xlsx")
    assert kind.endswith("spreadsheetml.sheet")
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    kind, body = await fetched(gateway, token, "format=pdf&lang=fr")
    assert kind == "application/pdf"
    page = pypdfium2.PdfDocument(body)[0].get_textpage().get_text_range()
    assert "Liste des invités" in page and "Stalls, B, 2" in page
    assert len(await acts(gateway, "export_guests")) == 3


async def test_guests_are_looked_up_by_name_by_those_who_may(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = await staff(gateway, "supervisor")
    path = "/api/performances/1/guests"
    assert len(await gateway.json("GET", f"{path}?q=ada&limit=2", token=token)) == 2
    assert await gateway.json("GET", f"{path}?q=nobody", token=token) == []
    told = await gateway.json("GET", f"{path}?format=doc", token=token, expect=422)
    assert told["field"] == "format"
    monkeypatch.setitem(http_doors._FORMATS, "pdf", (2, "", guests_pdf))
    told = await gateway.json("GET", f"{path}?format=pdf", token=token, expect=409)
    assert told["code"] == "too_many_guests"


ROUTES = [
    ("GET", "/api/performances/1/conflicts", None, ("admin", "supervisor", "door")),
    ("GET", "/api/performances/1/guests", None, ("admin", "supervisor", "door", "cashier")),
    ("POST", "/api/performances/1/mark", {"tickets": [1]}, ("admin", "supervisor", "door")),
]


@pytest.mark.parametrize(("method", "path", "body", "roles"), ROUTES)
async def test_who_may_ask(
    gateway: Running, method: str, path: str, body: Any, roles: tuple[str, ...]
) -> None:
    await gateway.json(method, path, body, expect=401)
    await gateway.json(method, path, body, gateway.buyer_token(), expect=403)
    lane = await gateway.fake.device_token("lane 9")
    await gateway.json(method, path, body, lane, expect=403)
    for role in ("admin", "supervisor", "cashier", "refund", "door"):
        token = await gateway.fake.operator_token(f"a {role}", role)
        await gateway.json(method, path, body, token, expect=200 if role in roles else 403)
