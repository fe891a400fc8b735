"""Each check of the doctor, well and unwell, and what it says to do."""

import asyncio
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

from console import doctor
from console.doctor import Finding, Health
from renderers.i18n import translator
from tests.console.server import House
from tests.fakes.smtp_server import smtp_server

T = translator("en")
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def answering(with_bytes: bytes | None) -> Iterator[int]:
    """A port where every connection gets these bytes once it said something."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(64)
            if with_bytes:
                connection.sendall(with_bytes)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join()


def is_fit(finding: Finding) -> bool:
    if finding.health is not Health.OK:
        assert finding.way_out, f"{finding.check} names no way out"
    return finding.health is Health.OK


def test_this_machine_runs_its_own_tests(tmp_path: Path) -> None:
    assert is_fit(doctor.check_python(T))
    assert is_fit(doctor.check_packages(T))
    assert is_fit(doctor.check_zbar(T))
    assert is_fit(doctor.check_time_zone(T))
    assert is_fit(doctor.check_embedded(T))
    assert doctor.check_disk(T, tmp_path / "not" / "yet").health is not Health.FAIL


def test_an_old_python_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    found = doctor.check_python(T)
    assert found.health is Health.FAIL and found.text == "3.10.4" and "3.11" in found.way_out


def test_a_package_at_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["textual==0.1", "nowhere==2.0; python_version > '3'", "pytest==1 ; extra == 'test'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    found = doctor.check_packages(T)
    assert found.health is Health.FAIL
    assert f"textual {metadata.version('textual')} ≠ 0.1" in found.text
    assert "nowhere — ≠ 2.0" in found.text
    assert "pytest" not in found.text


def test_without_decoder_or_browser_only_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    assert "zxing" in doctor.check_zbar(T).text
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert doctor.check_zbar(T).health is Health.WARN
    assert doctor.check_embedded(T).health is Health.FAIL
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert doctor.check_chromium(T).health is Health.WARN


def test_a_small_or_foreign_terminal_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("locale.getpreferredencoding", lambda do: "UTF-8")
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    assert is_fit(doctor.check_terminal(T))
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((79, 24)))
    found = doctor.check_terminal(T)
    assert found.health is Health.WARN and "80x24" in found.way_out
    monkeypatch.setattr("locale.getpreferredencoding", lambda do: "ANSI_X3.4-1968")
    assert "ANSI_X3.4-1968" in doctor.check_terminal(T).text


def test_a_full_disk_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def free(size: int) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda place: type("Use", (), {"free": size})())

    free(100 * 2**20)
    assert doctor.check_disk(T, tmp_path).health is Health.FAIL
    free(2**30)
    assert doctor.check_disk(T, tmp_path).health is Health.WARN
    free(2**40)
    assert is_fit(doctor.check_disk(T, tmp_path))


def test_a_database_is_known_by_how_it_answers(unused_port: Callable[[], int]) -> None:
    with answering(b"N") as port:
        assert is_fit(doctor.check_database(T, f"postgresql://u:secret@127.0.0.1:{port}/db"))
    with answering(b"HTTP/1.1 400 Bad Request") as port:
        found = doctor.check_database(T, f"postgresql://127.0.0.1:{port}/db")
        assert found.health is Health.FAIL and "not Postgres" in found.text
    port = unused_port()
    found = doctor.check_database(T, f"postgresql://u:secret@127.0.0.1:{port}/db")
    assert found.health is Health.FAIL and f"127.0.0.1:{port}" in found.text
    assert "secret" not in found.text + found.way_out
    assert doctor.check_database(T, "postgresql://h:99999/db").health is Health.FAIL


async def test_a_mail_server_is_known_by_how_it_answers(unused_port: Callable[[], int]) -> None:
    assert is_fit(doctor.check_mail(T, ""))
    async with smtp_server() as server:
        url = f"smtp+plain://127.0.0.1:{server.port}"
        assert is_fit(await asyncio.to_thread(doctor.check_mail, T, url))
        # One that speaks no TLS is told nothing.
        url = f"smtp://me:secret@127.0.0.1:{server.port}"
        found = await asyncio.to_thread(doctor.check_mail, T, url)
        assert found.health is Health.FAIL and "secret" not in found.text
    found = doctor.check_mail(T, f"smtp+plain://127.0.0.1:{unused_port()}")
    assert found.health is Health.FAIL and found.way_out
    found = doctor.check_mail(T, "mail.example.org")
    assert found.health is Health.FAIL and "smtp://" in found.text


def test_the_data_directory_and_its_owner(tmp_path: Path) -> None:
    assert is_fit(doctor.check_data(T, tmp_path / "new"))
    assert "nobody" in doctor.check_data(T, tmp_path).text
    lock = tmp_path / "strapontin.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4711")
        file.flush()
        assert "4711" in doctor.check_data(T, tmp_path).text
    assert "nobody" in doctor.check_data(T, tmp_path).text
    lock.rename(tmp_path / "file")
    found = doctor.check_data(T, tmp_path / "file")
    assert found.health is Health.FAIL and str(tmp_path / "file") in found.text


def test_a_taken_port_names_who_has_it(unused_port: Callable[[], int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = doctor.check_port(T, f"http://127.0.0.1:{port}")
        assert found.health is Health.FAIL
        assert str(os.getpid()) in found.text
        assert f"--port {port + 1}" in found.way_out
    assert is_fit(doctor.check_port(T, f"127.0.0.1:{unused_port()}"))


async def test_a_running_server_is_asked_whether_it_is_ready(house: House) -> None:
    import asyncio

    found = await asyncio.to_thread(doctor.check_server, T, house.url)
    assert is_fit(found)
    house.fake.catalogue.down = True
    found = await asyncio.to_thread(doctor.check_server, T, house.url)
    assert found.health is Health.FAIL and house.url in found.text


def test_no_server_is_a_warning_with_the_command_to_start_one(
    unused_port: Callable[[], int],
) -> None:
    found = doctor.check_server(T, f"http://127.0.0.1:{unused_port()}")
    assert found.health is Health.WARN and "serve --data" in found.way_out


def run(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "console", "doctor", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    assert not done.stderr
    return done.returncode, done.stdout


def test_the_program_exits_with_one_when_something_fails(
    tmp_path: Path, unused_port: Callable[[], int]
) -> None:
    server = f"http://127.0.0.1:{unused_port()}"
    code, text = run("--data", str(tmp_path), "--server", server)
    assert code == 0, text
    assert {line.split()[1] for line in text.splitlines()} == {
        "python", "packages", "zbar", "chromium", "terminal", "time", "postgres", "mail", "data",
        "disk", "server", "port",
    }  # fmt: skip
    database = f"postgresql://127.0.0.1:{unused_port()}/x"
    code, text = run("--server", server, "--database-url", database, "--json")
    assert code == 1
    findings = {finding["check"]: finding for finding in json.loads(text)}
    assert findings["database"]["health"] == "fail" and findings["database"]["way_out"]
    assert "postgres" not in findings
