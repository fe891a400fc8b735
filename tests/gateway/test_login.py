"""Passwords: right and wrong ones, guessing slowed down, crowds turned away."""

import asyncio

import pytest

from gateway import login as login_module
from gateway.limits import (
    FREE_LOGIN_FAILURES_PER_ADDRESS,
    FREE_LOGIN_FAILURES_PER_NAME,
    LOGIN_MEMORY_S,
    LOGIN_PENALTY_S,
    MAX_LOGIN_PENALTY_S,
)
from gateway.login import NOBODY, Passwords, Throttle
from gateway.problems import Problem
from tests.fakes.backend import PASSWORD, PASSWORD_HASH


async def test_a_right_password_passes_and_a_wrong_one_does_not() -> None:
    passwords = Passwords()
    assert await passwords.check("Ada", "1.2.3.4", PASSWORD_HASH, PASSWORD)
    assert not await passwords.check("Ada", "1.2.3.4", PASSWORD_HASH, PASSWORD + " ")
    assert not await passwords.check("Ada", "1.2.3.4", "not a hash", PASSWORD)
    assert not await passwords.check("", "1.2.3.4", NOBODY, "nobody has this password")
    made = await passwords.hash("new password")
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$"), "what RFC 9106 asks of small memory"
    assert await passwords.check("Ada", "1.2.3.4", made, "new password")
    passwords.close()


async def test_guessing_is_slowed_down_by_name_and_by_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login_module, "_verify", lambda known, given: False)
    passwords = Passwords()
    for _ in range(FREE_LOGIN_FAILURES_PER_NAME + 1):
        await passwords.check("Ada", "1.2.3.4", PASSWORD_HASH, "wrong")
    with pytest.raises(Problem) as refused:
        await passwords.check("ADA", "5.6.7.8", PASSWORD_HASH, "wrong")
    assert refused.value.status == 429 and int(refused.value.headers["Retry-After"]) >= 1
    for number in range(FREE_LOGIN_FAILURES_PER_ADDRESS - FREE_LOGIN_FAILURES_PER_NAME):
        await passwords.check(f"name {number}", "1.2.3.4", NOBODY, "wrong")
    with pytest.raises(Problem):
        await passwords.check("Bob", "1.2.3.4", PASSWORD_HASH, "wrong")
    await passwords.check("Bob", "5.6.7.8", PASSWORD_HASH, "wrong")
    # An address that stands for nobody in particular is not held against anybody.
    for number in range(FREE_LOGIN_FAILURES_PER_ADDRESS + 5):
        await passwords.check(f"name {number}", "", NOBODY, "wrong")
    passwords.close()


async def test_guesses_made_at_once_are_counted_before_they_are_answered() -> None:
    passwords = Passwords()
    guesses = (passwords.check("Ada", "1.2.3.4", PASSWORD_HASH, "wrong") for _ in range(20))
    found = await asyncio.gather(*guesses, return_exceptions=True)
    assert found.count(False) == FREE_LOGIN_FAILURES_PER_NAME + 1
    assert {one.status for one in found if isinstance(one, Problem)} == {429}
    passwords.close()


async def test_right_passwords_are_not_held_against_their_address() -> None:
    passwords = Passwords()
    for number in range(3 * FREE_LOGIN_FAILURES_PER_ADDRESS):
        assert await passwords.check(f"name {number}", "1.2.3.4", PASSWORD_HASH, PASSWORD)
    passwords.close()


def test_each_failure_doubles_the_wait_up_to_a_bound() -> None:
    throttle = Throttle(free=2)
    waits = []
    for _ in range(14):
        throttle.failed("Ada", 100.0)
        waits.append(throttle.wait_s("Ada", 100.0))
    assert waits[:5] == [0.0, 0.0, LOGIN_PENALTY_S, 2 * LOGIN_PENALTY_S, 4 * LOGIN_PENALTY_S]
    assert waits[-1] == MAX_LOGIN_PENALTY_S
    assert throttle.wait_s("Ada", 100.0 + MAX_LOGIN_PENALTY_S) == 0.0
    throttle.passed("Ada")
    assert throttle.wait_s("Ada", 100.0) == 0.0


def test_old_failures_are_forgotten_and_their_number_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    throttle = Throttle(free=0)
    throttle.failed("Ada", 0.0)
    assert throttle.wait_s("Ada", 1.0) > 0
    assert throttle.wait_s("Ada", LOGIN_MEMORY_S + 1) == 0.0
    throttle.failed("Ada", LOGIN_MEMORY_S + 2)
    assert throttle.wait_s("Ada", LOGIN_MEMORY_S + 2) == LOGIN_PENALTY_S
    monkeypatch.setattr(login_module, "MAX_REMEMBERED_LOGINS", 5)
    for number in range(50):
        throttle.failed(str(number), 0.0)
    assert len(throttle._failures) <= 6


async def test_a_crowd_of_logins_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "MAX_WAITING_LOGINS", 2)
    passwords = Passwords()
    checks = [passwords.check("Ada", "a", PASSWORD_HASH, PASSWORD) for _ in range(5)]
    found = await asyncio.gather(*checks, return_exceptions=True)
    assert found[:2] == [True, True]
    assert [one.status for one in found[2:] if isinstance(one, Problem)] == [503] * 3
    passwords.close()
