"""What the supervisor's panels say: figures in words, row by row, in one language.

Owns names, order and wording. Knows no panel and no screen, and asks nobody.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from console.programme import Performance
from console.supervisor import Pulse, Reign, Status
from console.widgets.figures import Row, spark
from engine.commands import ScanOutcome
from engine.status import EngineStatus
from engine.tally import OTHER, Figures, Holds, Minute, Share
from renderers.i18n import Translator
from renderers.money import format_money, format_number, format_percent, format_time

_NOT_A_FIGURE: Final = re.compile(r"[^\d.,’'\s-]")


class SupervisorRows:
    """Of one performance, in the language of `t`; times are those of `zone`."""

    def __init__(self, performance: Performance, t: Translator, zone: str) -> None:
        self.performance = performance
        self.t = t
        self._zone = zone

    def number(self, count: int) -> str:
        return format_number(count, self.t.language)

    def percent(self, share: float) -> str:
        return format_percent(100 * round(100 * share), self.t.language)

    def short_money(self, minor: int) -> str:
        """An amount without its currency, for a table of them."""
        told = format_money(minor, self.performance.currency, self.t.language)
        return _NOT_A_FIGURE.sub("", told).strip()

    def muted(self, key: str) -> list[Row]:
        """Words in place of figures."""
        return [Row(self.t(key), "", style="$muted")]

    def nothing(self) -> list[Row]:
        return self.muted("console.watch.none_yet")

    # The sale ------------------------------------------------------------------------

    def totals(self, total: Share, before: Minute, now: Minute) -> list[Row]:
        t, number = self.t, self.number
        rows = [
            Row(t("console.watch.sold"), number(total.sold)),
            Row(t("console.watch.money"), self.short_money(total.amount)),
            Row(t("console.watch.this_minute"), number(now.sold)),
            Row(t("console.watch.minute_before"), number(before.sold)),
        ]
        if total.refunded:
            refunded = self.short_money(total.refunded_amount)
            rows.append(Row(t("console.watch.refunded"), number(total.refunded)))
            rows.append(Row(t("console.watch.refunded_money"), refunded))
        return rows

    def price_types(self, shares: Mapping[str, Share]) -> list[Row]:
        names = {kind: self.performance.price_name(kind, self.t.language) for kind in shares}
        return self._shares(shares, names | {OTHER: self.t("console.watch.others")})

    def channels(self, shares: Mapping[str, Share]) -> list[Row]:
        return self._shares(shares, {name: self.t(f"console.channel.{name}") for name in shares})

    def _shares(self, shares: Mapping[str, Share], names: Mapping[str, str]) -> list[Row]:
        most = max((share.sold for share in shares.values()), default=0)
        ranked = sorted(shares.items(), key=lambda item: (-item[1].sold, item[0]))
        money = [self.short_money(share.amount) for _, share in ranked]
        counts = [self.number(share.sold) for _, share in ranked]
        width = max((len(text) for text in money), default=0)
        digits = max((len(count) for count in counts), default=0)
        rows = [
            Row(
                names[name],
                f"{count:>{digits}}  {text:>{width}}",
                share.sold / most if most else 0.0,
            )
            for (name, share), count, text in zip(ranked, counts, money, strict=True)
        ]
        return rows or self.nothing()

    def holds(self, holds: Holds) -> list[Row]:
        t, number = self.t, self.number
        return [
            Row(t("console.watch.alive"), number(holds.alive)),
            Row(t("console.watch.in_payment"), number(holds.in_payment)),
            Row(t("console.watch.expired"), number(holds.expired)),
            Row(t("console.watch.released"), number(holds.released)),
            Row(t("console.watch.became_sales"), number(holds.sold)),
            Row(t("console.watch.opened"), number(holds.opened)),
        ]

    def refusals(self, refusals: Mapping[str, int]) -> list[Row]:
        ranked = sorted(refusals.items(), key=lambda item: (-item[1], item[0]))
        most = ranked[0][1] if ranked else 0
        rows = [
            Row(self._known_as(f"console.watch.why.{code}", code), self.number(count), count / most)
            for code, count in ranked
        ]
        return rows or self.nothing()

    def _known_as(self, key: str, code: str) -> str:
        """In two or three words; a code that is newer than this console as it is."""
        return self.t(key) if key in self.t else code.replace("_", " ")

    # The doors -----------------------------------------------------------------------

    def doors(self, figures: Figures) -> list[Row]:
        t, number = self.t, self.number
        names = {gate.id: gate.name for gate in self.performance.gates}
        names |= {OTHER: t("console.watch.others"), "": t("console.watch.no_gate")}
        rows = []
        for gate, outcomes in sorted(figures.gates.items(), key=lambda item: item[0]):
            admitted = outcomes.get(ScanOutcome.ADMITTED.value, 0)
            refused = sum(outcomes.values()) - admitted - outcomes.get(ScanOutcome.EXITED.value, 0)
            rows.append(Row(names.get(gate, gate), f"{number(admitted)} ✓ {number(refused):>4} ×"))
        turned: dict[str, int] = {}
        for outcomes in figures.gates.values():
            for outcome, count in outcomes.items():
                if outcome not in (ScanOutcome.ADMITTED, ScanOutcome.EXITED):
                    turned[outcome] = turned.get(outcome, 0) + count
        rows += [
            Row(f"× {t(f'outcome.scan.{outcome}').capitalize()}", number(count), style="$error")
            for outcome, count in sorted(turned.items(), key=lambda item: -item[1])
        ]
        return rows or self.nothing()

    # How the engine is ---------------------------------------------------------------

    def latency(self, pulse: Pulse, width: int) -> list[Row]:
        """`width` columns for the curve."""
        p50, p95, p99 = (_ms(pulse.percentile_ms(share)) for share in (0.5, 0.95, 0.99))
        return [
            Row("p50", p50),
            Row("p95", p95),
            Row("p99", p99),
            Row(spark(pulse.p95_ms, width), "", style="$brass-text"),
            Row(self.t("console.watch.per_s"), self.number(round(pulse.per_s))),
        ]

    def edge(self, status: Status, pulse: Pulse) -> list[Row]:
        rows = [*self._room(status), *self._people(status)]
        rows.append(Row(self.t("console.watch.retries"), self.number(status.batch_retries)))
        rows += [
            Row(
                f"× {self._known_as(f'console.watch.shed.{code}', code)}",
                self.number(count),
                style="$error",
            )
            for code, count in pulse.turned_back.most_common()
        ]
        return rows

    def brief(self, status: Status) -> list[Row]:
        """What matters most of `edge`, where there is room for a few lines."""
        return self._room(status) if status.room else self._people(status)

    def _people(self, status: Status) -> list[Row]:
        now = {name: round(value) for name, value in status.now.items()}
        return [
            Row(self.t(f"console.watch.{name}"), self.number(now.get(name, 0)))
            for name in ("sockets", "watchers", "commands_waiting")
        ]

    def _room(self, status: Status) -> list[Row]:
        t, room, number = self.t, status.room, self.number
        if room is None:
            return self.muted("console.watch.no_room")
        key = f"console.watch.phase.{room.phase}"
        phase = t(key) if key in t else room.phase
        return [
            Row(t("console.watch.room"), phase),
            Row(t("console.watch.in_line"), number(max(room.arrived - room.front, 0))),
            Row(t("console.watch.admitted_per_min"), number(room.per_min)),
            Row(t("console.watch.arrived"), number(room.arrived)),
        ]

    def reigns(self, reigns: Iterable[Reign]) -> list[Row]:
        """The latest first."""
        t, language = self.t, self.t.language
        rows = [
            Row(
                t("console.watch.epoch", epoch=reign.epoch),
                t("console.watch.since", time=format_time(reign.at_ms, self._zone, language)),
            )
            for reign in reigns
        ]
        return rows[::-1] or self.nothing()

    def actors(self, engine: EngineStatus | None) -> list[Row]:
        """Whoever is silent comes first: a small screen has no room for all."""
        t, number = self.t, self.number
        if engine is None:
            return [Row(t("console.watch.silent"), "", style="$warning")]
        rows = [
            Row(name, f"× {t('console.watch.down')}", style="$error")
            for name, up in engine.up.items()
            if not up
        ]
        told = engine.directory.performances if engine.directory else ()
        ours = [one for one in told if one.performance == self.performance.id]
        for one in ours:
            rows += [
                Row(
                    t("console.watch.epoch", epoch=one.epoch),
                    t.plural("console.watch.events", one.seq, count=number(one.seq)),
                ),
                Row(t("console.watch.uncommitted"), number(one.uncommitted)),
                Row(t("console.watch.commits"), number(one.commits)),
                Row(t("console.watch.recoveries"), number(one.recoveries)),
            ]
            if not one.ready:
                rows.append(Row(f"▲ {t('console.watch.recovering')}", "", style="bold $warning"))
        if not ours:
            rows += self.muted("console.watch.asleep")
        rows += [Row(name, "✓") for name, up in engine.up.items() if up]
        if engine.directory:
            rows.append(Row(t("console.watch.active"), number(engine.directory.active)))
        return rows


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
