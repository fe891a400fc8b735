"""What a soak came to: a table for people, and JSON.

Owns the figures by fault and the verdict.
"""

from collections import Counter, defaultdict
from typing import Any, Final

from tests.soak.ledger import SALE, Done
from tests.soak.play import Outcome
from tests.soak.schedule import EVERY_S

QUANTILES: Final = (0.5, 0.9, 0.99, 1.0)


def passed(outcome: Outcome) -> bool:
    """Everything held, and it was broken as often as it should have been."""
    return all(one.passed for one in outcome.findings) and not _too_few(outcome)


def _too_few(outcome: Outcome) -> bool:
    """Faults that found nothing to hit are few, and so are those that came too late to hit it."""
    struck, of = in_the_middle(outcome), len(_struck(outcome))
    return len(outcome.ledger.faults) < 0.9 * outcome.run.seconds / EVERY_S or 2 * struck < of


def in_the_middle(outcome: Outcome) -> int:
    """Faults that hit an order over two performances between its payment and its tickets."""
    return sum(bool(one.paying) for one in _struck(outcome))


def _struck(outcome: Outcome) -> list[Done]:
    return [one for one in outcome.ledger.faults if one.paying is not None]


def evenings(outcome: Outcome) -> dict[str, int]:
    """The orders over two performances, by their last state that was told."""
    states = [one.told["state"] if one.told else "unanswered" for one in outcome.visits]
    return dict(Counter(states).most_common())


def by_kind(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """For each kind of fault: how many, and recovery in milliseconds at QUANTILES."""
    groups: dict[str, list[Done]] = defaultdict(list)
    for fault in outcome.ledger.faults:
        groups[fault.kind.value].append(fault)
    return {
        kind: {
            "count": len(faults),
            "recovery_ms": _quantiles([one.recovery_ms() for one in faults]),
            "sale_recovery_ms": _quantiles([one.recovery_ms(SALE) for one in faults]),
            "refused": sum(one.refused is True for one in faults),
        }
        for kind, faults in sorted(groups.items())
    }


def _quantiles(values: list[float | None]) -> dict[str, float]:
    known = sorted(one for one in values if one is not None)
    if not known:
        return {}
    last = len(known) - 1
    return {
        ("max" if at == 1 else f"p{at * 100:g}"): round(known[min(last, int(len(known) * at))], 1)
        for at in QUANTILES
    }


def overlapping(outcome: Outcome) -> int:
    """Faults that came before the one before was recovered from."""
    faults = sorted(outcome.ledger.faults, key=lambda one: one.at_s)
    count, good_s = 0, 0.0
    for fault in faults:
        count += fault.at_s < good_s
        good_s = max(good_s, fault.over_s, *fault.good_s.values())
    return count


def as_json(outcome: Outcome) -> dict[str, Any]:
    ledger = outcome.ledger
    return {
        "passed": passed(outcome),
        "seed": outcome.run.seed,
        "without": outcome.run.without,
        "seconds": round(outcome.seconds, 1),
        "faults": len(ledger.faults),
        "overlapping": overlapping(outcome),
        "absent": ledger.absent,
        "skipped": outcome.skipped,
        "sales": len(ledger.sales),
        "tickets": sum(len(sale.tickets) for sale in ledger.sales),
        "evenings": evenings(outcome),
        "exchanges": sum(one.exchanges for one in outcome.visits),
        "struck": in_the_middle(outcome),
        "admitted": len(ledger.admissions),
        "answers": len(ledger.answers),
        "repeats": ledger.repeats,
        "zombies_refused": sum(one.refused is True for one in ledger.faults),
        "findings": [
            {"key": one.key, "count": one.count, "examples": one.examples}
            for one in outcome.findings
        ],
        "by_fault": by_kind(outcome),
        "ends": {f"{kind} {end}": many for (kind, end), many in sorted(ledger.ends.items())},
        "failures": dict(ledger.failures.most_common(20)),
        "sheds": dict(ledger.sheds),
        "refusals": dict(ledger.refusals),
        "schedule": [
            {
                "at_s": round(one.at_s, 2),
                "fault": one.kind.value,
                "note": one.note,
                "recovery_ms": {
                    sort: round(1_000 * (good_s - one.over_s))
                    for sort, good_s in one.good_s.items()
                },
            }
            for one in ledger.faults
        ],
    }


def as_text(outcome: Outcome) -> str:
    told = as_json(outcome)
    heads = ("count", "p50 ms", "p90 ms", "max ms", "sales p90")
    lines = ["fault".ljust(24) + "".join(head.rjust(11) for head in heads)]
    for kind, figures in told["by_fault"].items():
        at, sales = figures["recovery_ms"], figures["sale_recovery_ms"]
        shown = [at.get(key) for key in ("p50", "p90", "max")] + [sales.get("p90")]
        columns = ["-" if one is None else f"{one:.0f}" for one in shown]
        cells = [str(figures["count"]), *columns]
        lines.append(kind.ljust(24) + "".join(cell.rjust(11) for cell in cells))
    lines += ["", f"{told['faults']} faults, {told['overlapping']} of them on top of another."]
    lines.append(
        f"{told['sales']} sales of {told['tickets']} tickets, {told['admitted']} admitted,"
        f" {told['answers']} answers compared; {told['zombies_refused']} woken writers refused."
    )
    states = ", ".join(f"{many} {state}" for state, many in told["evenings"].items())
    lines.append(
        f"{len(outcome.visits)} orders over two performances ({states}), {told['exchanges']} of"
        f" them to be exchanged; {told['struck']} faults in the middle of one."
    )
    if told["skipped"]:
        lines.append(f"No full disk here: {told['skipped']}")
    for one in outcome.findings:
        lines.append(f"{'ok    ' if one.passed else 'FAILED'}  {one.key}: {one.count}")
        lines += [f"          {example}" for example in one.examples if not one.passed]
    if _too_few(outcome):
        lines.append(
            f"FAILED  too few faults: {told['absent']} found nothing to hit,"
            f" {told['struck']} of {len(_struck(outcome))} came in the middle of an order"
        )
    lines.append("Everything held." if told["passed"] else "NOT everything held.")
    return "\n".join(lines)
