"""Operators, sessions, devices and the audit."""

import pytest

from persistence import access as access_module
from persistence.access import NameTaken, Operator
from persistence.store import Store
from tests.persistence.houses import NOW_MS, Opened


async def operator(store: Store, opened: Opened, name: str = "Ada") -> Operator:
    return await store.access.create_operator(
        opened.organiser,
        name=name,
        password_hash=f"hash of {name}",
        roles=("cashier", "refund"),
        language="fr",
        now_ms=NOW_MS,
    )


async def test_an_operator_is_found_by_name_whatever_its_capitals(
    store: Store, opened: Opened
) -> None:
    ada = await operator(store, opened, "Éléonore")
    assert (ada.roles, ada.language, ada.active) == (("cashier", "refund"), "fr", True)
    assert await store.access.operator_by_name("Éléonore") == (ada, "hash of Éléonore")
    assert await store.access.operator_by_name("ÉLÉONORE") == (ada, "hash of Éléonore")
    assert await store.access.operator_by_name("nobody") is None


async def test_a_name_is_taken_for_good(store: Store, opened: Opened) -> None:
    ada = await operator(store, opened)
    assert await store.access.disable_operator(ada.id)
    with pytest.raises(NameTaken, match="ADA"):
        await operator(store, opened, "ADA")
    assert [(found.name, found.active) for found in await store.access.list_operators()] == [
        ("Ada", False)
    ]


async def test_a_session_lasts_until_it_expires_or_is_ended(store: Store, opened: Opened) -> None:
    access = store.access
    ada = await operator(store, opened)
    end_ms = NOW_MS + 1_000
    await access.open_session(ada.id, token_hash=b"one", expires_ms=end_ms, now_ms=NOW_MS)
    await access.open_session(ada.id, token_hash=b"two", expires_ms=end_ms, now_ms=NOW_MS)
    assert await access.find_session(b"one", end_ms - 1) == (ada, end_ms)
    assert await access.find_session(b"one", end_ms) is None
    assert await access.find_session(b"three", NOW_MS) is None
    await access.end_session(b"one")
    assert await access.find_session(b"one", NOW_MS) is None
    assert await access.find_session(b"two", NOW_MS) is not None


async def test_disabling_an_operator_ends_the_sessions(store: Store, opened: Opened) -> None:
    access = store.access
    ada = await operator(store, opened)
    await access.open_session(ada.id, token_hash=b"1", expires_ms=NOW_MS + 9, now_ms=NOW_MS)
    assert await access.disable_operator(ada.id)
    assert await access.find_session(b"1", NOW_MS) is None
    assert await access.operator_by_name("ada") is None
    assert not await access.disable_operator(ada.id)
    assert not await access.disable_operator(99)


async def test_sessions_of_an_operator_are_bounded(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "MAX_SESSIONS_PER_OPERATOR", 3)
    access = store.access
    ada, bob = await operator(store, opened), await operator(store, opened, "Bob")
    await access.open_session(bob.id, token_hash=b"bob", expires_ms=NOW_MS + 99, now_ms=NOW_MS)
    for number in range(5):
        await access.open_session(
            ada.id, token_hash=b"%d" % number, expires_ms=NOW_MS + 99, now_ms=NOW_MS + number
        )
    alive = [n for n in range(5) if await access.find_session(b"%d" % n, NOW_MS + 5)]
    assert alive == [2, 3, 4]
    assert await access.find_session(b"bob", NOW_MS + 5) is not None


async def test_a_device_works_until_it_is_revoked(store: Store, opened: Opened) -> None:
    access = store.access
    lane = await access.create_device(
        opened.organiser,
        name="Lane 1",
        token_hash=b"lane",
        gate="north",
        performances=(opened.first,),
        now_ms=NOW_MS,
    )
    assert (lane.gate, lane.performances, lane.revoked_ms) == ("north", (opened.first,), None)
    assert await access.find_device(b"lane") == lane
    assert await access.find_device(b"other") is None
    assert await access.revoke_device(lane.id, NOW_MS + 5)
    assert await access.find_device(b"lane") is None
    assert not await access.revoke_device(lane.id, NOW_MS + 6)
    assert [device.revoked_ms for device in await access.list_devices()] == [NOW_MS + 5]


async def test_the_audit_tells_who_did_what_the_latest_first(store: Store) -> None:
    acts = [
        {"at_ms": n, "who": "ada", "act": "refund", "subject": f"order {n}", "detail": {"n": n}}
        for n in range(5)
    ]
    await store.access.audit(acts[:1])
    await store.access.audit(acts[1:])
    page = await store.access.list_audit(limit=2)
    assert [(entry.subject, entry.detail, entry.at_ms) for entry in page] == [
        ("order 4", {"n": 4}, 4),
        ("order 3", {"n": 3}, 3),
    ]
    rest = await store.access.list_audit(before=page[-1].id)
    assert [entry.subject for entry in rest] == ["order 2", "order 1", "order 0"]


async def test_a_text_with_a_character_that_cannot_be_kept_loses_it(
    store: Store, opened: Opened
) -> None:
    ada = await operator(store, opened, "A\0da")
    assert ada.name == "Ada"
    assert await store.access.operator_by_name("ad\0a") == (ada, "hash of Ada")
    act = {"at_ms": 0, "who": "a\0", "act": "", "subject": "", "detail": {"k\0": ["v\0", {"n": 1}]}}
    await store.access.audit([act])
    [entry] = await store.access.list_audit()
    assert (entry.who, entry.detail) == ("a", {"k": ["v", {"n": 1}]})
