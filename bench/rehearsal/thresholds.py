"""How well it went: figures of a rehearsal, and the thresholds of its scenario.

Pure: from the book alone. A threshold whose figure could not be measured is missed,
because a rehearsal that saw nothing has shown nothing.
"""

from collections.abc import Sequence
from typing import Final

from bench.figures import QUANTILES, quantiles_ms
from bench.rehearsal.bots import End
from bench.rehearsal.history import Book, Timing, Turn
from bench.rehearsal.invariants import Finding
from bench.rehearsal.memory import growth
from bench.rehearsal.scenario import AT_LEAST, Thresholds

SLACK_S: Final = 1.0
"""Two who are let in within this time are let in together: a tick of the room and its way."""


def figures(book: Book, explained: frozenset[str]) -> dict[str, float | None]:
    """Every figure that a threshold may name. `explained` are the codes that people get words for.

    None where nothing was measured.
    """
    refused = sum(book.refusals.values())
    unexplained = sum(many for code, many in book.refusals.items() if code not in explained)
    visits = sum(book.ends.values())
    unfinished = sum(many for (_, end), many in book.ends.items() if end == End.UNFINISHED)
    present = [turn for turn in book.turns if turn.present and turn.place >= 0]
    return {
        "hold_p50_ms": quantile_ms(book.holds, 0.5),
        "hold_p99_ms": quantile_ms(book.holds, 0.99),
        "order_p50_ms": quantile_ms(book.orders, 0.5),
        "order_p99_ms": quantile_ms(book.orders, 0.99),
        "scan_p99_ms": quantile_ms(book.scans, 0.99),
        "unexplained_refusals": unexplained / refused if refused else 0.0,
        "shed_share": sum(book.sheds.values()) / book.asked if book.asked else None,
        "unfinished_share": unfinished / visits if visits else None,
        "honest_success": book.served / book.wanted if book.wanted else None,
        "fairness": fairness(present),
        "overtaken": float(overtaken(present)) if present else None,
        "recovery_s": recovery_s(book),
        "memory_growth": growth(book),
    }


def judge(thresholds: Thresholds, measured: dict[str, float | None]) -> list[Finding]:
    """A finding for each threshold that the scenario sets, in the order of the format."""
    found = []
    for key in thresholds.__struct_fields__:
        limit = getattr(thresholds, key)
        if limit is None:
            continue
        value, at_least = measured[key], key in AT_LEAST
        passed = value is not None and (value >= limit if at_least else value <= limit)
        found.append(Finding(key, value, limit, passed, at_least=at_least))
    return found


def quantile_ms(timing: Timing, quantile: float) -> float | None:
    if not timing.answers:
        return None
    return quantiles_ms(took for _, took in timing.answers)[QUANTILES.index(quantile)]


def recovery_s(book: Book) -> float | None:
    """The longest time from a kill to the next hold or sale; None when nothing was killed.

    A kill after which nothing succeeded any more counts up to the end.
    """
    ends_s = book.now_s
    taken = [
        (kill.good_s if kill.good_s >= 0 else ends_s) - kill.at_s
        for kill in book.kills
        if kill.pids
    ]
    if not book.kills or len(taken) < len(book.kills):
        return None  # what was to be killed was not there: nothing is shown
    return max(taken)


# Fairness ----------------------------------------------------------------------------


def fairness(turns: Sequence[Turn]) -> float | None:
    """Spearman's rank correlation of place in the line and moment of admission.

    Among those who are let in together no order is better than another: they count in the
    order of their places. None for less than two admissions.
    """
    admitted = [turn for turn in turns if turn.admitted_s >= 0]
    if len(admitted) < 2:
        return None
    moments = _together([turn.admitted_s for turn in admitted])
    by_moment = sorted(zip(moments, [turn.place for turn in admitted], strict=True))
    return _rank_correlation([place for _, place in by_moment])


def overtaken(turns: Sequence[Turn]) -> int:
    """Those who stood before somebody who was let in clearly earlier, and were there all along."""
    earliest = float("inf")
    many = 0
    for turn in sorted(turns, key=lambda one: one.place, reverse=True):
        at_s = turn.admitted_s if turn.admitted_s >= 0 else float("inf")
        if earliest + SLACK_S < at_s:
            many += 1
        earliest = min(earliest, at_s)
    return many


def _together(moments: Sequence[float]) -> list[float]:
    """Each moment as that of the first of those who were let in with it."""
    firsts: dict[float, float] = {}
    first = float("-inf")
    for at in sorted(moments):
        if at - first > SLACK_S / 2:
            first = at
        firsts[at] = first
    return [firsts[at] for at in moments]


def _rank_correlation(values: Sequence[int]) -> float:
    """Of different values with the order in which they stand."""
    rank = {value: number for number, value in enumerate(sorted(values))}
    apart = sum((rank[value] - number) ** 2 for number, value in enumerate(values))
    return 1 - 6 * apart / (len(values) * (len(values) ** 2 - 1))
