"""The soak can fail: with a rule of the product switched off, the same run finds it broken."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


def soak(tmp_path: Path, without: str) -> dict[str, Any]:
    file = tmp_path / "report.json"
    command = ["--minutes", "1.5", "--seed", "1", "--json", str(file), "--without", without]
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(file.read_text())
    assert not told["passed"]
    return {one["key"]: one["count"] for one in told["findings"]}


def test_without_fencing_a_woken_writer_breaks_the_journal(tmp_path: Path) -> None:
    broken = soak(tmp_path, "fencing")
    assert broken["journal_broken"] > 0 and broken["zombies_not_refused"] > 0


def test_with_acknowledgement_before_commit_what_was_said_is_lost(tmp_path: Path) -> None:
    broken = soak(tmp_path, "commit")
    assert broken["answers_not_on_record"] > 0 and broken["sales_lost"] > 0
