"""schemathesis: everything that the OpenAPI document allows, and some of what it does not, asked
of a real house with a real Postgres. No fault, and no answer that the document does not have.

`SCHEMA_EXAMPLES` says how many requests an operation gets from each asker: `make proofs`, many.
"""

import os
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.server import ServedHouse

pytestmark = [pytest.mark.timeout(3_600)]

EXAMPLES: Final = int(os.environ.get("SCHEMA_EXAMPLES", "4"))
CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
_OURS: Final = 1_000
"""Ids of operators and devices below this are left alone: who asks would saw off their branch."""
START_S: Final = 600.0
"""Patience with a machine that has more to do."""
_NOT_ASKED: Final = ("POST /api/logout", "GET /ws")


@pytest.fixture(scope="module")
def house() -> Iterator[ServedHouse]:
    # Not one of pytest's folders: other runs shut and clear those, and Postgres has its own user.
    with tempfile.TemporaryDirectory(prefix="strapontin-schema-") as home:
        Path(home).chmod(0o755)
        with ServedHouse(Path(home) / "data", start_s=START_S) as served:
            yield served


def tokens(house: ServedHouse) -> dict[str, str]:
    logins = house.logins
    login = {"name": "admin", "password": logins["admin"]}
    return {
        "admin": house.http("/api/login", login)["token"],
        "device": logins["scanner"],
        "buyer": house.http("/api/session", {})["token"],
        "nobody": "",
    }


def asked(operation: Any, url: str, token: str, examples: int, answered: Counter[int]) -> None:
    """So many requests of one operation, of the right shape and of wrong ones."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    http = requests.Session()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=EXAMPLES < 100,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    def ask(case: Any) -> None:
        for name in ("operator", "device"):
            number = (case.path_parameters or {}).get(name)
            if isinstance(number, int) and number < _OURS:
                case.path_parameters[name] = number + _OURS
        response = case.call(base_url=url, headers=headers, session=http, timeout=30)
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    try:
        ask()
    finally:
        http.close()


def test_no_request_meets_a_fault_or_an_answer_that_is_not_documented(house: ServedHouse) -> None:
    with urllib.request.urlopen(f"{house.url}/api/openapi.json") as answer:
        assert answer.status == 200
    schema = schemathesis.openapi.from_url(f"{house.url}/api/openapi.json")
    faults = []
    answered: Counter[int] = Counter()
    operations = [one.ok() for one in schema.get_all_operations()]
    assert len(operations) > 40
    for who, token in tokens(house).items():
        for operation in operations:
            if operation.label in _NOT_ASKED:
                continue
            try:
                examples = EXAMPLES if who == "admin" else max(1, EXAMPLES // 2)
                asked(operation, house.url, token, examples, answered)
            except BaseException as fault:
                if isinstance(fault, KeyboardInterrupt):
                    raise
                faults.append(f"{who}, {operation.label}: {_told(fault)}")
    assert not faults, "\n\n".join(faults)
    assert house.answers()
    # Neither all let through nor all turned away at the door.
    assert answered[200] > 50 and answered[422] > 20 and answered[401] > 10, answered
    assert answered.total() > 200, answered
    print(f"{answered.total()} requests, answered {dict(sorted(answered.items()))}")


def _told(fault: BaseException) -> str:
    if isinstance(fault, BaseExceptionGroup):
        return "\n".join(_told(one) for one in fault.exceptions)
    return f"{type(fault).__name__}: {fault}"[:1_500]
