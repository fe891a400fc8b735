"""Reading and writing plans: the way in for the rest of the product.

Owns the recognition of a file's format and the promise that a file is read whole
or not at all. The formats are in `engine.plan_own`, `engine.plan_pretix` and
`engine.plan_csv`, the rules that hold for all of them in `engine.plan_draft`.
"""

from engine.limits import MAX_PLAN_BYTES
from engine.plan import Plan
from engine.plan_check import PlanError, Problem, Problems
from engine.plan_csv import looks_like_csv, read_csv
from engine.plan_json import Node, parse
from engine.plan_own import dump_plan, read_own
from engine.plan_pretix import dump_pretix, read_pretix

__all__ = ["check_plan", "dump_plan", "dump_pretix", "load_plan"]


def load_plan(data: bytes, name: str = "") -> Plan:
    """The plan in a file: own format, pretix JSON or CSV, told apart by what is in it.

    Args:
        data: The file, whole.
        name: What to call a plan whose format has no place for a name (CSV).

    Raises:
        PlanError: something was wrong with the file; it lists every problem found.
    """
    return _load(data, name, Problems())


def check_plan(data: bytes, name: str = "") -> tuple[Plan | None, tuple[Problem, ...]]:
    """The plan in a file, None if it cannot be read, and every problem, warnings included."""
    problems = Problems()
    try:
        return _load(data, name, problems), problems.found()
    except PlanError as error:
        return None, error.problems


def _load(data: bytes, name: str, problems: Problems) -> Plan:
    if len(data) > MAX_PLAN_BYTES:
        problems.error("too-large", (), found=len(data), most=MAX_PLAN_BYTES)
        raise PlanError(problems.found())
    text = _decoded(data, problems)
    if text.lstrip()[:1] in ("{", "["):
        top = Node(problems, parse(text, problems), ())
        if top.has("format") or top.has("sections"):
            return read_own(top, problems)
        if top.has("zones") or top.has("categories"):
            return read_pretix(top, problems)
    elif looks_like_csv(text):
        return read_csv(text, name, problems)
    if not problems.errors:
        problems.error("unknown-format", ())
    raise PlanError(problems.found())


def _decoded(data: bytes, problems: Problems) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - before.rfind(b"\n")
        problems.error_at("not-utf8", before.count(b"\n") + 1, column)
        raise PlanError(problems.found()) from None
