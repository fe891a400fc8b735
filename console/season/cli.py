"""`strapontin programme`: apply a season file, write one of the house, list what is on.

Owns arguments, files, what is asked and exit codes: 0 done, or nothing to do; 1 the file or the
server refused; 2 could not begin; 3 there is a difference, and it was not applied.
"""

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter

from console.cli import DEFAULT_SERVER, Login, Server, t
from console.client import Client
from console.client import Problem as Refusal
from console.operating import ASKER, REFUSED, Asker, Failure, Token, operator, print_json, run
from console.season import asking, words
from console.season.problems import Problem, Problems, SeasonError
from console.season.reading import House, PlanSource, Season, parse, plan_sources, read_season
from console.season.terms import PlanNames
from console.season.writing import write_season
from engine.limits import MAX_PLAN_BYTES
from engine.plan import Plan
from engine.plan_io import check_plan
from engine.season import Act, Difference, ProductionFound, compare
from renderers.plan_text import problem_line

DIFFERS: Final = 3
CHANGED_MEANWHILE: Final = "programme_changed"

app = App(name="programme", help=t("cli.programme.help"), help_format="plaintext")

File = Annotated[Path, Parameter(help=t("season.cli.file"))]
Target = Annotated[Path | None, Parameter(help=t("season.cli.target"))]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help=t("season.cli.yes"))]
DryRun = Annotated[bool, Parameter(negative=(), help=t("season.cli.dry_run"))]


@app.command(help=t("season.cli.apply"))
def apply(
    file: File,
    /,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    who: Asker = ASKER,
) -> int:
    async def work() -> int:
        data = _read(file)
        client = await operator(who, asking.TIMEOUT_S)
        return await _Applying(client, await _house(client), file, who.json).run(data, yes, dry_run)

    return run(work)


@app.command(help=t("season.cli.export"))
def export(
    file: Target = None, /, *, server: Server = DEFAULT_SERVER, login: Login = "", token: Token = ""
) -> int:
    async def work() -> int:
        client = await operator(Asker(server, login, token))
        found = (await asking.coming(client)).productions
        hashes = [one.plan for each in found for one in each.performances]
        plans = await asking.plan_names(client, hashes)
        text = write_season(found, plans, await _house(client))
        if file is None:
            sys.stdout.write(text)
            return 0
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failure(f"{file}: {error.strerror}") from None
        print(t("season.cli.written", file=file))
        return 0

    return run(work)


@app.command(name="list", help=t("season.cli.list"))
def list_(*, who: Asker = ASKER) -> int:
    async def work() -> int:
        client = await operator(who)
        found = (await asking.coming(client)).productions
        if who.json:
            print_json([_summary(one) for one in found])
            return 0
        for line in words.listed(found, await _house(client), t):
            print(line)
        return 0

    return run(work)


class _Applying:
    """One file on its way into one house."""

    def __init__(self, client: Client, house: House, file: Path, as_json: bool) -> None:
        self._client = client
        self._house = house
        self._file = file
        self._as_json = as_json
        self._plans: dict[str, Plan] = {}
        """Those of the file's own plan files, by content hash."""

    async def run(self, data: bytes, yes: bool, dry_run: bool) -> int:
        try:
            top = parse(data)
            problems = Problems()
            names = await self._names(plan_sources(top, problems), problems)
            season = read_season(top, names, self._house, problems)
        except SeasonError as error:
            return self._refuse(error.problems)
        known = {one.hash: one for one in names.values() if one is not None}
        keys = [one.key for one in season.programme.productions]
        while True:
            state = await asking.named(self._client, keys)
            difference = compare(season.programme, state.productions, state.now_ms)
            if difference.faults:
                for fault in difference.faults:
                    print(words.fault_words(fault, season.places, t), file=sys.stderr)
                self._say_refused(len(difference.faults))
                return REFUSED
            await self._learn(difference, known)
            self._show(difference, known)
            if difference.is_empty:
                return 0
            if dry_run or not (yes or self._agreed()):
                return DIFFERS
            try:
                await self._apply(season, difference, state.fingerprint)
            except Refusal as refusal:
                if refusal.code != CHANGED_MEANWHILE or yes:
                    raise
                print(t("refusal.programme_changed"), file=sys.stderr)
                continue
            return 0

    # The file -----------------------------------------------------------------------

    async def _names(
        self, sources: Mapping[str, PlanSource], problems: Problems
    ) -> dict[str, PlanNames | None]:
        """The plans of the file by their names in it; None for one that is no good."""
        return {
            name: await self._of_house(source, problems)
            if source.hash
            else self._of_file(source, problems)
            for name, source in sources.items()
        }

    async def _of_house(self, source: PlanSource, problems: Problems) -> PlanNames | None:
        try:
            return (await asking.plan_names(self._client, [source.hash]))[source.hash]
        except Refusal as refusal:
            if refusal.status != 404:
                raise
            problems.add(f"{source.path}.hash", "no_plan_in_house", hash=source.hash)
            return None

    def _of_file(self, source: PlanSource, problems: Problems) -> PlanNames | None:
        """The plan of a file beside the season's; all that is wrong with it is told."""
        path, place = self._file.parent / source.file, f"{source.path}.file"
        try:
            with path.open("rb") as opened:
                data = opened.read(MAX_PLAN_BYTES + 1)
        except OSError as error:
            problems.add(place, "bad_plan", file=source.file, why=error.strerror)
            return None
        plan, found = check_plan(data, path.stem)
        if plan is None:
            for one in found:
                problems.add(place, "bad_plan", file=source.file, why=problem_line(one, t))
            return None
        names = asking.names_of(plan)
        self._plans[names.hash] = plan
        return names

    def _refuse(self, problems: tuple[Problem, ...]) -> int:
        for problem in problems:
            self._complain(problem.words(t))
        self._say_refused(len(problems))
        return REFUSED

    def _complain(self, text: str) -> None:
        print(f"{self._file}: {text}", file=sys.stderr)

    def _say_refused(self, count: int) -> None:
        print(t.plural("season.cli.refused", count), file=sys.stderr)

    # The house ----------------------------------------------------------------------

    async def _learn(self, difference: Difference, known: dict[str, PlanNames]) -> None:
        """The names in the plans of what is there already."""
        hashes = [
            one.before.plan
            for each in difference.productions
            for one in each.performances
            if one.before is not None and one.before.plan not in known
        ]
        known |= await asking.plan_names(self._client, hashes)

    def _show(self, difference: Difference, known: Mapping[str, PlanNames]) -> None:
        said = words.explain(difference, known, self._house)
        if self._as_json:
            print_json(words.as_json(said))
            return
        for line in words.lines(said, self._house, t):
            print(line)
        print(_sum(difference))

    def _agreed(self) -> bool:
        if not sys.stdin.isatty():
            raise Failure(t("season.cli.not_asked"))
        try:
            answer = input(t("season.cli.ask") + " ")
        except EOFError:
            return False
        return answer.strip().casefold() in t("season.cli.yes_words").split()

    async def _apply(self, season: Season, difference: Difference, fingerprint: str) -> None:
        used = {
            one.after.plan
            for each in difference.productions
            for one in each.performances
            if one.after is not None
        }
        for hash, plan in self._plans.items():
            # A plan that nothing shows yet changes nothing: this may end in the middle.
            if hash in used and await asking.add_plan(self._client, plan) != hash:
                raise Failure(t("season.cli.other_plan", plan=plan.name))
        done = await asking.apply(
            self._client, secrets.token_hex(16), fingerprint, season.programme
        )
        if not self._as_json:
            print(t("season.cli.applied", **msgspec.structs.asdict(done)))


def _sum(difference: Difference) -> str:
    if difference.is_empty:
        return t("season.cli.no_difference")
    acts = [one.act for each in difference.productions for one in each.performances]
    return t(
        "season.cli.sum",
        added=acts.count(Act.ADD) + acts.count(Act.REPLACE),
        changed=acts.count(Act.CHANGE),
        withdrawn=acts.count(Act.WITHDRAW) + acts.count(Act.REPLACE),
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from None


async def _house(client: Client) -> House:
    house = await client.house()
    return House(house.time_zone, house.languages)


def _summary(one: ProductionFound) -> dict[str, Any]:
    """A production in a list for programs."""
    return {
        "id": one.id,
        "key": one.key,
        "titles": one.titles,
        "currency": one.currency,
        "performances": [
            {
                "id": each.id,
                "key": each.key,
                "starts_ms": each.starts_ms,
                "status": each.settings.status,
                "sold": each.sold,
                "places": each.places,
                "plan": each.plan,
            }
            for each in one.performances
        ],
    }
