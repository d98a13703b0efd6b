"""What a job would use of other teams: the same plan from a create's body, from a job that was kept, or from assets alone."""

import sqlite3
from collections.abc import Sequence

import msgspec

from network import refusals
from network.protocols.catalogue import OPERATIONS
from network.protocols.preprocessor import only_chooses_columns
from network.router import assets, standing
from network.router.agreements import Approval, Plan, Use, approvals
from network.router.drafts import EXECUTE, Draft


def needed(db: sqlite3.Connection, plan: Plan) -> list[Approval]:
    """The approvals the plan needs by the agreements in force now."""
    return approvals(plan, standing.in_force(db, to_team=plan.team))


def of_draft(draft: Draft, *, team: str) -> Plan:
    """The plan of a job that was not kept."""
    return Plan(
        team=team,
        program=draft.program.name,
        model=None if draft.model is None else draft.model["id"],
        security=draft.params.get("security"),
        uses=_uses(team, datasets=draft.datasets, model=draft.model),
        as_it_is=only_chooses_columns(draft.body.preprocessor),
    )


def of_job(db: sqlite3.Connection, job: sqlite3.Row) -> Plan:
    """The plan of a job as it was kept; a refusal when one of its assets is gone since."""
    datasets = [
        _still_there(db, asset_id, field=f"dataset.{place}")
        for place, asset_id in enumerate(msgspec.json.decode(job["dataset"]))
    ]
    model = None if job["model"] is None else _still_there(db, job["model"], field="operation")
    return Plan(
        team=job["team"],
        program=job["program"],
        model=job["model"],
        security=msgspec.json.decode(job["params"]).get("security"),
        uses=_uses(job["team"], datasets=datasets, model=model),
        as_it_is=only_chooses_columns(msgspec.json.decode(job["preprocessor"])),
    )


def of_assets(db: sqlite3.Connection, team: str, *, algorithm: str | None, datasets: Sequence[str]) -> Plan:
    """The plan of running the algorithm on the datasets; without one, what will run is not known yet."""
    model = None if algorithm is None else assets.find(db, algorithm)
    if model is not None and model["kind"] != "model":
        raise refusals.invalid("algorithm", f"{algorithm} is a {model['kind']}, not an algorithm.")
    uses = _uses(team, datasets=[assets.find(db, reference) for reference in datasets], model=model)
    if model is None:
        return Plan(team=team, program=None, model=None, security=None, uses=uses)
    security = OPERATIONS[EXECUTE].params().model_dump()["security"]
    return Plan(team=team, program=EXECUTE, model=model["id"], security=security, uses=uses)


def _uses(team: str, *, datasets: Sequence[sqlite3.Row], model: sqlite3.Row | None) -> tuple[Use, ...]:
    found = [*((asset, "data") for asset in datasets), *([] if model is None else [(model, "alg")])]
    foreign = {asset["id"]: _use(asset, use) for asset, use in found if asset["team"] != team}
    return tuple(foreign.values())


def _use(asset: sqlite3.Row, use: str) -> Use:
    return Use(asset_id=asset["id"], asset=f"{asset['team']}/{asset['name']}", team=asset["team"], use=use)


def _still_there(db: sqlite3.Connection, asset_id: str, *, field: str) -> sqlite3.Row:
    asset = assets.resolve(db, asset_id)
    if asset is None:
        alias = assets.alias(db, asset_id)
        raise refusals.invalid(
            field, f"{alias} was temporary and is gone; put its bytes again and create the job anew."
        )
    return asset
