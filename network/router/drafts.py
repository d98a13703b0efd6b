"""From the body of a create to a job worth keeping: everything is checked here, nothing is written."""

import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from network import refusals, wire
from network.protocols.catalogue import OPERATIONS, AssetInfo, Column, InvalidJob, Operation
from network.protocols.preprocessing.foresight import foreseen_by
from network.protocols.preprocessor import Preprocessor
from network.refusals import Refusal
from network.router import assets

EXECUTE = "EXECUTE"


def visible(name: str) -> str:
    """The name itself; ValueError for one that nobody could see."""
    # Letters, marks, numbers, punctuation and symbols; not spaces, controls, or what only formats.
    if not any(unicodedata.category(character)[0] in "LMNPS" for character in name):
        raise ValueError("a name needs a character that can be seen")
    return name


class ProposedJob(BaseModel):
    """The body of `POST /v1/jobs/preflight`: a job to think about."""

    model_config = ConfigDict(extra="forbid", strict=True)

    job_name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(visible)]
    operation: Annotated[str, Field(min_length=1, max_length=300)]
    dataset: list[str] = []
    preprocessor: list[dict[str, Any]] | None = None
    params: dict[str, Any] = {}
    labels: dict[str, str] = {}
    stream_to: list[str] = []


class CreateJob(ProposedJob):
    """The body of `POST /v1/jobs`: a job to keep."""

    client_ref: Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job that may be kept: `operation` as it was given, `program` what runs, `model` what it runs through."""

    body: ProposedJob
    operation: str
    program: Operation
    model: sqlite3.Row | None
    datasets: tuple[sqlite3.Row, ...]
    params: dict[str, Any]

    @property
    def used(self) -> list[sqlite3.Row]:
        """Every asset the job uses, each once."""
        models = [] if self.model is None else [self.model]
        return list({asset["id"]: asset for asset in (*self.datasets, *models)}.values())

    def others(self, team: str) -> list[str]:
        """The other teams that take part, sorted."""
        return sorted({asset["team"] for asset in self.used} - {team})


def draft(db: sqlite3.Connection, body: ProposedJob, *, team: str) -> Draft:
    """The body, understood and found allowed; a refusal otherwise."""
    program, model = _program(db, body.operation)
    datasets = tuple(_dataset(db, reference, place, team=team) for place, reference in enumerate(body.dataset))
    _count(program, len(datasets))
    preprocessors = _preprocessors(program, body.preprocessor, len(datasets))
    params = wire.checked(program.params, body.params, under="params")
    _rules(program, team=team, datasets=datasets, preprocessors=preprocessors, params=params)
    effective = params.model_dump(mode="json")
    model = model if program.name != EXECUTE else _model(db, effective, chosen=model)
    if program.why_not is not None:
        detail = f"{program.name} is not offered on this machine: {program.why_not}"
        raise Refusal(501, "operation-unavailable", detail)
    operation = program.name if body.operation in OPERATIONS else str(model and model["id"])
    found = Draft(body=body, operation=operation, program=program, model=model, datasets=datasets, params=effective)
    _check_readers(body.stream_to, allowed=found.others(team))
    return found


def _program(db: sqlite3.Connection, operation: str) -> tuple[Operation, sqlite3.Row | None]:
    if operation in OPERATIONS:
        return OPERATIONS[operation], None
    asset = assets.resolve(db, operation)
    if asset is None or asset["kind"] != "model":
        detail = (
            f"{operation!r} is no operation. Use one of the allowed names, or an algorithm asset (a trained model)."
        )
        raise refusals.invalid("operation", detail, allowed=list(OPERATIONS))
    return OPERATIONS[EXECUTE], asset


def _dataset(db: sqlite3.Connection, reference: str, place: int, *, team: str) -> sqlite3.Row:
    field = f"dataset.{place}"
    asset = assets.resolve(db, reference)
    if asset is None or not (asset["ready"] or asset["team"] == team):
        raise refusals.invalid(field, f"There is no asset {reference!r}; give a UUID or an alias team/name.")
    if not asset["ready"]:
        raise refusals.invalid(field, f"The bytes of {reference!r} have not arrived; put them first.")
    return asset


def _count(program: Operation, given: int) -> None:
    least, most = program.min_datasets, program.max_datasets
    if not least <= given <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise refusals.invalid("dataset", f"{program.name} takes {wanted} datasets, {given} were given.")


def _preprocessors(program: Operation, given: list[dict[str, Any]] | None, datasets: int) -> list[Preprocessor]:
    if given is None:
        return []
    if program.preprocessor is None:
        raise refusals.invalid("preprocessor", f"{program.name} takes no preprocessor; leave it out.")
    if len(given) not in {1, datasets}:
        wanted = "1" if datasets == 1 else f"1 (for all) or {datasets} (one for each dataset)"
        detail = f"{len(given)} preprocessors were given for {datasets} datasets; give {wanted}."
        raise refusals.invalid("preprocessor", detail)
    for place, preprocessor in enumerate(given):
        wire.checked(program.preprocessor, preprocessor, under=f"preprocessor.{place}")
    return [Preprocessor.model_validate(preprocessor) for preprocessor in given]


def _rules(
    program: Operation,
    *,
    team: str,
    datasets: Sequence[sqlite3.Row],
    preprocessors: Sequence[Preprocessor],
    params: BaseModel,
) -> None:
    known = [_info(asset, team=team) for asset in datasets]
    try:
        foreseen = foreseen_by(program, initiator=team, datasets=known, preprocessors=preprocessors)
        program.check(initiator=team, datasets=foreseen, params=params)
    except InvalidJob as exc:
        raise refusals.invalid(exc.field, exc.detail, allowed=exc.allowed) from exc


def _check_readers(teams: Sequence[str], *, allowed: Sequence[str]) -> None:
    for place, team in enumerate(teams):
        if team not in allowed:
            detail = f"{team!r} is no other team that takes part in this job; its stream goes to those alone."
            raise refusals.invalid(f"stream_to.{place}", detail, allowed=allowed)


def _info(asset: sqlite3.Row, *, team: str) -> AssetInfo:
    # A refusal names columns; those that the team may not know are left for the Access Points to check.
    columns = msgspec.json.decode(asset["columns"]) if assets.is_open_to(team, asset) else []
    return AssetInfo(
        asset_id=asset["id"],
        name=f"{asset['team']}/{asset['name']}",
        team=asset["team"],
        kind=asset["kind"],
        columns=tuple(Column(**column) for column in columns),
    )


def _model(db: sqlite3.Connection, params: dict[str, Any], *, chosen: sqlite3.Row | None) -> sqlite3.Row:
    named = params.get("model")
    if named is None and chosen is not None:
        return chosen
    asset = None if named is None else assets.resolve(db, named)
    if asset is None or asset["kind"] != "model":
        raise refusals.invalid("params.model", "EXECUTE needs a trained model: the UUID or alias of a model asset.")
    if chosen is not None and asset["id"] != chosen["id"]:
        raise refusals.invalid("params.model", "The operation names another model; leave params.model out.")
    params["model"] = asset["id"]
    return asset
