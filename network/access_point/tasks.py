"""From a start order to what the job's process is told; everything it may touch is named here."""

import sqlite3
from typing import Any

from pydantic import BaseModel, ConfigDict

from network.access_point import assets, failures, grants
from network.access_point.failures import Failure


class Peer(BaseModel):
    """Another Access Point of the job, and the token that lets this one write to it."""

    team: str
    url: str
    send_token: str
    receive_sha256: str = ""


class Held(BaseModel):
    """An asset of the job that is here."""

    path: str
    roles: dict[str, str]


class Task(BaseModel):
    """All that the job's process learns, on its standard input."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    me: str
    initiator: str
    module: str
    params: dict[str, Any]
    dataset: list[str]
    preprocessor: list[dict[str, Any]] | None
    model: str | None
    owners: dict[str, str]
    held: dict[str, Held]
    peers: list[Peer]
    mailbox: str
    mailbox_token: str
    folder: str


def refusal(db: sqlite3.Connection, order: dict[str, Any], *, team: str) -> Failure | None:
    """Why this Access Point will not start the job; None when it will.

    Judged by what is recorded here: the order says whose an asset is, but not what its owner accepted.
    """
    terms = order["terms"]
    for asset_id, owner in order["owners"].items():
        here = assets.held(db, asset_id) is not None
        if owner == team and not here:
            return failures.not_held(team, asset_id)
        if here and terms["team"] != team and not grants.covers(db, asset_id, terms=terms):
            why = grants.why_refused(db, asset_id, job_id=terms["job_id"])
            return failures.not_accepted(team, asset_id, why=why)
    return None


def held_by_job(db: sqlite3.Connection, order: dict[str, Any], *, folder: str) -> dict[str, Held]:
    """The job's assets that are here."""
    found = [asset for asset_id in order["owners"] if (asset := assets.held(db, asset_id)) is not None]
    return {asset["id"]: Held(path=f"{folder}/{asset['file']}", roles=_roles(asset)) for asset in found}


def _roles(asset: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["role"] for column in asset["columns"]}
