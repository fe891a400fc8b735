"""Problems of a plan file in words.

Owns the sentences of `engine.plan_check` problems, through the catalogues. Knows
neither files nor terminals.
"""

from engine.plan_check import Problem, Severity
from renderers.i18n import Translator

# Values that are words of ours rather than of the file: they are translated too.
_OWN_WORDS = {"expected": "kind", "what": "what"}


def problem_text(problem: Problem, t: Translator) -> str:
    """What is wrong and what to do about it, without the place."""
    values: dict[str, object] = dict(problem.values)
    for name, group in _OWN_WORDS.items():
        key = f"plan.{group}.{values.get(name)}"
        if key in t:
            values[name] = t(key)
    if problem.code == "bad-type":
        values["found"] = t(f"plan.kind.{values['found']}")
    return t(f"plan.problem.{problem.code}", **values)


def problem_place(problem: Problem, t: Translator) -> str:
    """Where it is: a JSON path, a line, a line and a column."""
    if problem.column:
        return t("plan.place.column", line=problem.line, column=problem.column)
    if problem.line:
        return t("plan.place.line", line=problem.line)
    return t("plan.place.file") if problem.path in ("", "$") else problem.path


def problem_line(problem: Problem, t: Translator) -> str:
    """One line for a list: severity, place, text."""
    severity = t(f"plan.severity.{Severity(problem.severity).value}")
    place = problem_place(problem, t)
    return t("plan.problem_line", severity=severity, place=place, text=problem_text(problem, t))
