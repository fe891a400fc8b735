"""The command itself: quick, light, in two languages, and one line when it cannot."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("ray", "sqlalchemy", "asyncpg", "aiohttp", "alembic", "reportlab", "PIL", "stripe")


def run(
    *arguments: str, environ: dict[str, str] | None = None, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console", *arguments],
        capture_output=True,
        text=True,
        input=given,
        cwd=ROOT,
        timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | (environ or {}),
    )


def imported(module: str) -> set[str]:
    code = f"import {module}, sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("console.cli", (*HEAVY, "textual", "websockets")),
        ("console.app", HEAVY),
        ("console.scan", (*HEAVY, "textual")),
        ("console.doctor", (*HEAVY, "textual", "psutil")),
        ("console.queue_cli", (*HEAVY, "textual")),
        ("console.allocation_cli", (*HEAVY, "textual")),
        ("console.journal_cli", (*HEAVY, "textual")),
        ("console.backup_cli", (*HEAVY, "textual")),
        ("console.doors_cli", (*HEAVY, "textual")),
        ("console.performance_cli", (*HEAVY, "textual")),
    ],
)
def test_what_starts_must_not_pull_in_the_engine_room(module: str, absent: tuple[str, ...]) -> None:
    found = imported(module)
    assert "msgspec" in found or "cyclopts" in found, "the import itself was not seen"
    assert not found & set(absent)


def test_the_time_to_start_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed and not asserted: a busy machine is no fault of the code."""
    told = []
    for what in (["-m", "console", "--help"], ["-c", "import console.app"]):
        started = time.perf_counter()
        subprocess.run([sys.executable, *what], cwd=ROOT, check=True, capture_output=True)
        told.append(f"{' '.join(what)}: {time.perf_counter() - started:.2f} s")
    with capsys.disabled():
        print("\n" + "\n".join(told))
    assert len(told) == 2


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    for command in (
        "serve",
        "console",
        "scan",
        "plan",
        "queue",
        "journal",
        "backup",
        "restore",
        "doors",
        "rehearse",
        "bench",
        "doctor",
        "--version",
    ):
        assert command in text


@pytest.mark.parametrize("command", ["serve", "console", "scan", "doctor"])
@pytest.mark.parametrize(("lang", "word"), [("fr_CH.UTF-8", "serveur"), ("C.UTF-8", "server")])
def test_help_speaks_the_terminals_language(command: str, lang: str, word: str) -> None:
    done = run(command, "--help", environ={"LC_ALL": lang})
    assert done.returncode == 0
    assert word in done.stdout.lower() or command == "serve"
    assert "cli." not in done.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("serve", ["--data", "--database-url", "--host", "--port"]),
        ("console", ["--server", "--login", "--language", "--printer", "--papers"]),
        (
            "scan",
            ["--server", "--token", "--performance", "--gate", "--look-up", "--json", "PICTURES"],
        ),
        ("doctor", ["--data", "--server", "--json", "--database-url"]),
    ],
)
def test_every_option_is_there(command: str, options: list[str]) -> None:
    text = run(command, "--help").stdout
    for option in options:
        assert option in text, option


def test_the_version_is_told() -> None:
    assert run("--version").stdout.strip() == "0.1.0"


def test_plan_is_mounted() -> None:
    assert "render" in run("plan", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("console", "--server", "ftp://x"), "ftp://x"),
        (("console",), "needs a terminal"),
        (("scan", "--token", "x", "--server", "127.0.0.1:1"), "127.0.0.1:1"),
        (("scan",), "--token"),
    ],
)
def test_what_cannot_begin_says_why_in_one_line(arguments: tuple[str, ...], part: str) -> None:
    done = run(*arguments, given="")
    assert done.returncode == 2
    assert part in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_an_unknown_language_or_option_is_refused() -> None:
    done = run("doctor", "--language", "de")
    assert done.returncode == 2 and "--language" in done.stderr
    done = run("console", "--colour")
    assert done.returncode == 2 and "--colour" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_serve_needs_a_directory() -> None:
    done = run("serve")
    assert done.returncode == 2 and "--data" in done.stderr
