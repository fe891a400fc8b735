"""Tokens: who made them, how long they last, and how soon a revoked one is refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.commands import Channel
from gateway import session as session_module
from gateway.limits import SESSION_LIFE_S
from gateway.session import (
    FRAMES,
    OPERATOR_ROLES,
    BuyerTokens,
    Identities,
    Principal,
    Role,
    digest_of,
    new_token,
    now_ms,
)
from tests.fakes.access import FakeAccess

KEY = b"k" * 32
AT_MS = 1_800_000_000_000
LIFE_MS = SESSION_LIFE_S * 1000


def test_a_buyers_token_proves_itself_until_it_is_too_old() -> None:
    buyers = BuyerTokens(KEY)
    token, buyer = buyers.new(AT_MS)
    assert buyers.check(token, AT_MS) == buyer
    assert buyers.check(token, AT_MS + LIFE_MS - 1) == buyer
    assert buyers.check(token, AT_MS + LIFE_MS) is None
    assert BuyerTokens(b"x" * 32).check(token, AT_MS) is None
    assert buyer.is_buyer and not buyer.is_operator and buyer.channel is Channel.WEB
    assert buyers.new(AT_MS)[1].who != buyer.who


def test_a_token_is_renewed_for_the_same_session_past_half_of_its_life() -> None:
    buyers = BuyerTokens(KEY)
    token, buyer = buyers.new(AT_MS)
    assert buyers.renewed(token, AT_MS + LIFE_MS // 2 - 1) == (token, buyer)
    later = AT_MS + LIFE_MS // 2
    renewed = buyers.renewed(token, later)
    assert renewed is not None and renewed[0] != token
    assert renewed[1].who == buyer.who
    assert renewed[1].expires_ms == later + LIFE_MS
    assert buyers.renewed(token, AT_MS + LIFE_MS) is None


@settings(deadline=None)
@given(st.data())
def test_no_altered_token_is_good(data: st.DataObject) -> None:
    buyers = BuyerTokens(KEY)
    token, _ = buyers.new(AT_MS)
    raw = bytearray(base64.urlsafe_b64decode(token[2:]))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert buyers.check("b." + base64.urlsafe_b64encode(raw).decode(), AT_MS) is None


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    assert BuyerTokens(KEY).check(text, AT_MS) is None
    assert BuyerTokens(KEY).check("b." + text, AT_MS) is None


async def logged_in(access: FakeAccess, *roles: str) -> str:
    operator = await access.create_operator(
        1, name="Ada", password_hash="", roles=roles, language="en", now_ms=0
    )
    token = new_token("o")
    await access.open_session(
        operator.id, token_hash=digest_of(token), expires_ms=now_ms() + 60_000, now_ms=now_ms()
    )
    return token


async def test_an_operator_is_looked_up_once_in_a_while() -> None:
    access = FakeAccess()
    identities = Identities(access, BuyerTokens(KEY))
    token = await logged_in(access, "cashier")
    first = await identities.identify(token)
    assert first is not None
    assert (first.who, first.roles, first.channel) == ("Ada", {Role.CASHIER}, Channel.BOX_OFFICE)
    assert await identities.identify(token) == first
    assert access.look_ups == 1
    identities.forget(first.digest)
    await identities.identify(token)
    assert access.look_ups == 2


async def test_a_revoked_token_is_refused_when_the_cache_has_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "IDENTITY_CACHE_S", 0.0)
    access = FakeAccess()
    identities = Identities(access, BuyerTokens(KEY))
    token = await logged_in(access, "cashier")
    person = await identities.identify(token)
    assert person is not None
    await access.end_session(digest_of(token))
    assert await identities.identify(token) is None
    assert await identities.still_valid([person]) == set()


async def test_a_session_that_ends_while_it_is_cached_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    access = FakeAccess()
    identities = Identities(access, BuyerTokens(KEY))
    token = await logged_in(access, "cashier")
    assert await identities.identify(token) is not None
    later = now_ms() + 61_000
    monkeypatch.setattr(session_module, "now_ms", lambda: later)
    assert await identities.identify(token) is None


async def test_a_change_of_roles_ends_the_old_rights() -> None:
    access = FakeAccess()
    identities = Identities(access, BuyerTokens(KEY))
    token = await logged_in(access, "cashier")
    person = await identities.identify(token)
    assert person is not None
    assert await identities.still_valid([person]) == {person}
    access.operators[0] = type(access.operators[0])(1, 1, "Ada", ("door",), "en", True)
    assert await identities.still_valid([person]) == set()


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_CACHED_IDENTITIES", 10)
    identities = Identities(FakeAccess(), BuyerTokens(KEY))
    for _ in range(100):
        assert await identities.identify(new_token("o")) is None
    assert len(identities._cache) <= 10


async def test_a_device_is_known_by_its_token() -> None:
    access = FakeAccess()
    identities = Identities(access, BuyerTokens(KEY))
    token = new_token("d")
    await access.create_device(
        1, name="door", token_hash=digest_of(token), gate="A", performances=(3,), now_ms=0
    )
    device = await identities.identify(token)
    assert device is not None
    assert device.roles == {Role.DEVICE} and device.gate == "A"
    assert device.may_serve(3) and not device.may_serve(4)
    assert not device.is_buyer and not device.is_operator
    assert await identities.identify(token.replace("d.", "x.", 1)) is None


def test_every_role_has_frames_and_sessions_never_collide_with_operators() -> None:
    assert set(FRAMES) == set(Role)
    assert {*OPERATOR_ROLES, Role.BUYER, Role.DEVICE} == set(Role)
    buyer = Principal("a" * 32, frozenset({Role.BUYER}))
    namesake = Principal("a" * 32, frozenset({Role.CASHIER}))
    assert buyer.holder != namesake.holder
    both = Principal("Ada", frozenset({Role.CASHIER, Role.DOOR}))
    assert both.frames == FRAMES[Role.CASHIER] | FRAMES[Role.DOOR]
