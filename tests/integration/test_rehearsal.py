"""Rehearsals as an operator starts them: real processes, real bots, and what is reported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.rehearsal.scenario import SHIPPED

ROOT = Path(__file__).parents[2]
LONGEST_S = 280
"""For a machine that does other things as well; alone it takes a tenth."""
pytestmark = [pytest.mark.timeout(LONGEST_S + 20)]


def rehearse(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console", "rehearse", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LONGEST_S,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )


def brisk(tmp_path: Path, name: str) -> str:
    """The scenario with people in a hurry, and without limits that a busy machine may miss."""
    text = (SHIPPED / f"{name}.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^think_s = .*$", "think_s = [0.1, 0.8]", text)
    text = re.sub(r"(?m)^(hold_p|order_p|recovery_s|shed_share).*\n", "", text)
    text = text.replace("hold_s = 10", "hold_s = 6").replace("hold_cap_s = 32", "hold_cap_s = 28")
    file = tmp_path / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def report(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The JSON of a rehearsal in which everything held."""
    file, page = tmp_path / "report.json", tmp_path / "report.html"
    done = rehearse(*arguments, "--json", str(file), "--html", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(file.read_text())
    assert told["passed"] and "Everything held." in done.stdout
    assert [one["value"] for one in told["invariants"]] == [0] * 5
    assert "<svg" in page.read_text(encoding="utf-8")
    assert told["sales"] > 10
    return told


def test_a_spike_through_a_waiting_room(tmp_path: Path) -> None:
    told = report(tmp_path, brisk(tmp_path, "spike"), "--bots", "40", "--seconds", "5")
    judged = {one["key"]: one["value"] for one in told["thresholds"]}
    assert judged["fairness"] >= 0.99 and judged["overtaken"] == 0
    assert sum(one["bots"] for one in told["ends"]) == 40
    assert told["kills"] == []


@pytest.mark.soak
def test_a_sale_in_which_everything_is_killed_once(tmp_path: Path) -> None:
    told = report(tmp_path, brisk(tmp_path, "crash"), "--bots", "40", "--seconds", "10")
    killed = {one["victim"]: one["pids"] for one in told["kills"]}
    assert killed.keys() == {"performance", "journal", "desk", "gateway", "database"}
    assert all(killed.values()), "each was there to be killed"
    assert told["repeats"] > 0, "the deaths were noticed"
    assert told["admitted"] > 0


def test_what_cannot_begin_says_why_in_one_line() -> None:
    done = rehearse("nothing")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "spike" in done.stderr
