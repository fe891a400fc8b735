"""Which mutants do the tests kill? Runs pytest once, and forks a process for each mutant.

The tests are collected once. A first run notes which tests pass through which lines; a mutant
is then put before just those that pass through its line, the quickest first, up to the first
that fails. A mutant that makes a test run for ever, or take all the
memory that there is, is killed as well: time is that of the processor, so that a busy machine
kills nobody.
"""

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import pytest

from tests.mutation.mutants import Mutant, Source

ROOT = Path(__file__).parents[2]
TESTS = tuple(
    f"tests/engine/test_{name}.py"
    for name in (
        "admission", "best", "doors_proof", "holding", "house", "keeping", "kept", "orphans",
        "ordering", "pacing", "performance", "pricing", "quotas", "refusals", "sale", "selling",
        "settings_check", "splits", "turns", "waiting_room",
    )
)  # fmt: skip
"""What the core's decisions are held to: the quick tests. What only the state machines or the
simulator would notice counts as unnoticed."""
TIMES, MORE_S = 2, 1.0
"""A test that takes so many times as long as while its lines are noted, and so much more, never
ends."""
MOST_BYTES = 2 << 30
"""Nor does one that asks for so much memory."""


class Verdict(NamedTuple):
    mutant: Mutant
    source: Source
    killed: bool


class _Runner:
    """A plugin of pytest that takes the place of its loop."""

    def __init__(self, sources: list[Source], wanted: str, processes: int) -> None:
        self._sources = sources
        self._wanted = wanted
        self._processes = processes
        self._failed = False
        self._lines: dict[tuple[str, int], list[int]] = {}
        self._took_s: list[float] = []
        self.verdicts: list[Verdict] = []
        self.problem = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        # Not imported above: pytest's plugin of the same name must come first.
        from hypothesis import HealthCheck, Phase, settings

        # The same examples for every mutant, no quarrel about how long they take, and the first
        # that fails is enough: nobody reads the smallest.
        settings.register_profile(
            "mutation",
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """That a test fails is enough: telling why takes longer than the test."""
        error = call.excinfo and call.excinfo.value
        failed = error is not None and not isinstance(error, pytest.skip.Exception)
        outcome: Literal["failed", "passed"] = "failed" if failed else "passed"
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, call.when)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = session.items
        print(f"{len(items)} tests, once by themselves", flush=True)
        for number, item in enumerate(items):
            self._look_at(number, item)
            if self._failed:
                self.problem = f"{item.nodeid} fails without any mutant"
                return True
        jobs = [
            (source, mutant)
            for source in self._sources
            for mutant in source.mutants
            if self._wanted in mutant.name
        ]
        print(f"{len(jobs)} mutants, put before the tests of their lines", flush=True)
        self._judge(items, jobs)
        return True

    def _look_at(self, number: int, item: pytest.Item) -> None:
        """Run a test by itself, and note through which lines it passes."""
        files = {str(source.path) for source in self._sources}
        seen: set[tuple[str, int]] = set()

        def trace_lines(frame: FrameType, event: str, arg: Any) -> Any:
            seen.add((frame.f_code.co_filename, frame.f_lineno))
            return trace_lines

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            return trace_lines if frame.f_code.co_filename in files else None

        began_s = time.process_time()
        sys.settrace(trace)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        finally:
            sys.settrace(None)
        self._took_s.append(time.process_time() - began_s)
        for line in seen:
            self._lines.setdefault(line, []).append(number)

    def _judge(self, items: list[pytest.Item], jobs: list[tuple[Source, Mutant]]) -> None:
        gc.freeze()  # or each process would copy what it has in common with this one
        running: dict[int, tuple[Source, Mutant]] = {}
        waiting = iter(jobs)
        said_s = time.monotonic()
        more = True
        while more or running:
            while more and len(running) < self._processes:
                job = next(waiting, None)
                if job is None:
                    more = False
                    break
                tests = self._tests_of(*job)
                if not tests:
                    self.verdicts.append(Verdict(job[1], job[0], False))
                    continue
                running[self._fork(items, tests, *job)] = job
            if running:
                self._collect(running)
            if time.monotonic() - said_s > 10.0:
                said_s = time.monotonic()
                print(f"{len(self.verdicts)} of {len(jobs)}", flush=True)

    def _tests_of(self, source: Source, mutant: Mutant) -> list[int]:
        tests = self._lines.get((str(source.path), mutant.line), [])
        return sorted(tests, key=self._took_s.__getitem__)

    def _fork(
        self, items: list[pytest.Item], tests: Iterable[int], source: Source, mutant: Mutant
    ) -> int:
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silent, stream)
            source.apply(mutant)
            signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
            for number in tests:
                item = items[number]
                signal.setitimer(signal.ITIMER_VIRTUAL, TIMES * self._took_s[number] + MORE_S)
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self._failed:
                    break
            else:
                code = 0
        finally:
            os._exit(code)

    def _collect(self, running: dict[int, tuple[Source, Mutant]]) -> None:
        """Wait for one that is done."""
        child, status = os.waitpid(-1, 0)
        source, mutant = running.pop(child)
        survived = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        if survived:
            print(f"lives so far: {mutant.name}", flush=True)
        self.verdicts.append(Verdict(mutant, source, not survived))


def _module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def judge(
    paths: Iterable[Path],
    wanted: str = "",
    processes: int = 2,
    tests: Iterable[str] = TESTS,
) -> list[Verdict]:
    """Put the mutants of these modules (whose names contain `wanted`) before the tests.

    Raises:
        RuntimeError: A test fails without any mutant.
    """
    sources = [Source(path, _module_of(path)) for path in paths]
    runner = _Runner(sources, wanted, processes)
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=0"]
    options += ["-p", "no:terminalreporter", "-p", "no:faulthandler", "--assert=plain"]
    pytest.main([*options, *(str(ROOT / test) for test in tests)], plugins=[runner])
    if runner.problem:
        raise RuntimeError(runner.problem)
    return runner.verdicts
