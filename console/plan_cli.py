"""`strapontin plan`: check, import, export and draw seating plans.

Owns arguments, files and exit codes: 0 when the plan is good, 1 when anything was
wrong, with every problem on standard error. A file is written beside its place and
moved there once complete, so that a failure leaves what was there before.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from engine.limits import MAX_PLAN_BYTES
from engine.plan import Plan
from engine.plan_check import Problem, Severity
from engine.plan_io import check_plan, dump_plan, dump_pretix
from renderers.i18n import preferred_by_environment, translator
from renderers.plan_text import problem_line

t = translator(preferred_by_environment(os.environ))

app = App(name="plan", help=t("plan.cli.help"), help_format="plaintext")

File = Annotated[Path, Parameter(help=t("plan.cli.file"))]
Output = Annotated[Path, Parameter(name=["--output", "-o"], help=t("plan.cli.output"))]
Picture = Annotated[Path, Parameter(name=["--output", "-o"], help=t("plan.cli.picture"))]
Name = Annotated[str, Parameter(help=t("plan.cli.name"))]
Title = Annotated[str, Parameter(help=t("plan.cli.title"))]
ThemeName = Annotated[Literal["light", "dark"], Parameter(help=t("plan.cli.theme"))]
Width = Annotated[int, Parameter(help=t("plan.cli.width"))]


class _Failure(Exception):
    """Said to the user in full; the command ends with 1."""


@app.command(help=t("plan.cli.check"))
def check(file: File, /) -> int:
    def work() -> None:
        plan, problems = _read(file)
        places = len(plan.seats) + sum(area.capacity for area in plan.areas)
        _say("summary", name=plan.name, places=places, sections=len(plan.sections),
             hash=plan.content_hash())  # fmt: skip
        if not problems:
            _say("good")

    return _run(work)


@app.command(name="import", help=t("plan.cli.import"))
def import_(file: File, /, *, output: Output, name: Name = "") -> int:
    def work() -> None:
        plan, _ = _read(file, name)
        _write(output, dump_plan(plan))

    return _run(work)


@app.command(help=t("plan.cli.export"))
def export(file: File, /, *, output: Output) -> int:
    def work() -> None:
        plan, _ = _read(file)
        data, losses = dump_pretix(plan)
        _list(losses)
        _write(output, data)

    return _run(work)


@app.command(help=t("plan.cli.render"))
def render(
    file: File,
    /,
    *,
    output: Picture,
    theme: ThemeName = "light",
    title: Title = "",
    width: Width = 1600,
) -> int:
    def work() -> None:
        # Pillow is slow to import and no other command needs it.
        from renderers.palette import THEMES
        from renderers.seatmap import PictureSizeError, png, svg

        kind = output.suffix.lower()
        if kind not in (".svg", ".png"):
            raise _Failure(t("plan.cli.which_picture", file=output))
        plan, _ = _read(file)
        look, lang = THEMES[theme], t.language
        if kind == ".svg":
            _write(output, svg(plan, theme=look, title=title, lang=lang).encode())
            return
        try:
            data = png(plan, theme=look, title=title, width_px=width, lang=lang)
        except PictureSizeError as error:
            least, most = error.least_px, error.most_px
            raise _Failure(t("plan.cli.picture_size", least=least, most=most)) from None
        _write(output, data)

    return _run(work)


def _run(work: Callable[[], None]) -> int:
    """The exit code of a command's work."""
    try:
        work()
    except _Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _read(file: Path, name: str = "") -> tuple[Plan, tuple[Problem, ...]]:
    """The plan in a file and its warnings, all of them listed; a bad plan ends the command."""
    try:
        with file.open("rb") as opened:  # one byte more than allowed is enough to see it
            data = opened.read(MAX_PLAN_BYTES + 1)
    except OSError as error:
        raise _Failure(t("plan.cli.unreadable", file=file, reason=error.strerror)) from None
    plan, problems = check_plan(data, name or file.stem)
    _list(problems)
    if plan is None:
        count = sum(1 for problem in problems if problem.severity is Severity.ERROR)
        raise _Failure(t.plural("plan.cli.refused", count, file=file))
    return plan, problems


def _list(problems: Iterable[Problem]) -> None:
    for problem in problems:
        print(problem_line(problem, t), file=sys.stderr)


def _say(key: str, **values: object) -> None:
    print(t(f"plan.cli.{key}", **values))


def _write(output: Path, data: bytes) -> None:
    """Put a whole file in its place, or leave what is there."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{output.name}-", dir=output.parent)
        try:
            with open(descriptor, "wb") as part:
                part.write(data)
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, output)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise _Failure(t("plan.cli.unwritable", file=output, reason=error.strerror)) from None
    _say("written", file=output)


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    app()
