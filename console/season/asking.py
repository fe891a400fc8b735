"""What season files ask of the server: the plans, the house as it is, and its change."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from console.client import Client
from console.season.seats import RowNames
from console.season.terms import PlanNames
from engine.plan import Plan
from engine.plan_io import dump_plan
from engine.season import ProductionFound, Programme

TIMEOUT_S: Final = 600.0
"""A change of hundreds of performances may have to start an actor for each."""


class SeasonState(msgspec.Struct, frozen=True):
    """The house as it is; `fingerprint` stands for it when a change is asked for."""

    fingerprint: str
    now_ms: int
    productions: list[ProductionFound]


class Applied(msgspec.Struct, frozen=True):
    """Performances that came of a change."""

    added: int
    changed: int
    withdrawn: int


class AddedPlan(msgspec.Struct, frozen=True):
    hash: str


async def coming(client: Client) -> SeasonState:
    """What is on, and what was in the last month."""
    return await client.ask(SeasonState, "GET", "/api/programme")


async def named(client: Client, keys: Sequence[str]) -> SeasonState:
    """The productions of these keys, whole."""
    return await client.ask(SeasonState, "POST", "/api/programme/named", {"keys": list(keys)})


async def apply(client: Client, id: str, fingerprint: str, programme: Programme) -> Applied:
    """Sent again with the same id after no answer, it counts once."""
    body = {"id": id, "fingerprint": fingerprint, "programme": msgspec.to_builtins(programme)}
    return await client.ask(Applied, "POST", "/api/programme", body)


async def add_plan(client: Client, plan: Plan) -> str:
    """Keep a plan; the hash that the house knows it by."""
    body = json.loads(dump_plan(plan))
    return (await client.ask(AddedPlan, "POST", "/api/plans", body)).hash


async def plan_names(client: Client, hashes: Iterable[str]) -> dict[str, PlanNames]:
    """What plans of the house call their parts, by content hash."""
    found: dict[str, PlanNames] = {}
    for hash in dict.fromkeys(hashes):
        plan = await client.plan(hash)
        found[hash] = PlanNames(
            hash,
            plan.name,
            [one.name for one in plan.categories],
            [one.name for one in plan.sections],
            [one.name for one in plan.areas],
            [
                RowNames(
                    plan.sections[row.section].name,
                    row.label,
                    row.first,
                    plan.label[row.first : row.first + row.count],
                )
                for row in plan.rows
            ],
        )
    return found


def names_of(plan: Plan) -> PlanNames:
    """The same of a plan at hand."""
    return PlanNames(
        plan.content_hash(),
        plan.name,
        [one.name for one in plan.categories],
        [one.name for one in plan.sections],
        [one.name for one in plan.areas],
        [
            RowNames(
                plan.sections[row.section].name,
                row.label,
                row.first,
                tuple([seat.label for seat in plan.seats[row.first : row.first + row.count]]),
            )
            for row in plan.rows
        ],
    )
