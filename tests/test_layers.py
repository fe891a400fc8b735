"""The direction of imports, seen at run time: what a fresh process has loaded.

The static contracts are in pyproject.toml; this is the second look, which also
sees imports that are made while a module is executed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IO = {"asyncio", "socket", "ssl", "ray", "sqlalchemy", "asyncpg", "aiohttp", "websockets"}
ACTORS = {"ray", "sqlalchemy", "asyncpg", "alembic", "engine.actors", "persistence", "bench"}


def loaded_by(*modules: str) -> set[str]:
    """Every module, and every parent of one, that importing these brings in."""
    code = (
        "import sys, json, importlib\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def modules_of(package: str) -> list[str]:
    return [f"{package}.{path.stem}" for path in sorted((ROOT / package).glob("[a-z]*.py"))]


def test_the_core_loads_no_input_or_output() -> None:
    modules = modules_of("engine")
    assert "engine.performance" in modules
    assert loaded_by(*modules) & (IO | {"engine.actors"}) == set()


@pytest.mark.parametrize("module", ["console.cli", "console.app", "console.scan", "console.client"])
def test_the_console_starts_without_actors_or_sql(module: str) -> None:
    assert loaded_by(module) & ACTORS == set()


def test_the_gateway_stands_without_actors_or_sql() -> None:
    assert loaded_by("gateway.app") & ACTORS == set()


def test_a_performance_process_carries_neither_sql_nor_pages() -> None:
    loaded = loaded_by("engine.actors.wiring")
    assert "ray" in loaded
    assert loaded & {"sqlalchemy", "asyncpg", "alembic", "persistence", "gateway.app"} == set()


def test_help_is_quick_because_it_loads_little() -> None:
    heavy = ACTORS | {"textual", "aiohttp", "reportlab", "PIL", "stripe"}
    assert loaded_by("console.cli") & heavy == set()
