"""`/v1/jobs`: create, read, submit, cancel, kill."""

import sqlite3
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import passes, queries, refusals, wire
from network.router import creation, drafts, jobs, lifecycle, plans
from network.router.actors import Actor
from network.router.agreements import status
from network.router.drafts import ProposedJob
from network.router.house import House, house_of
from network.settings import User


class Act(BaseModel):
    """The body of what changes a job: why, if one wants to say, and the client's own name for it, if it has one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(max_length=1000)] | None = None
    client_ref: Annotated[str, Field(min_length=1, max_length=200)] | None = None


async def create(request: Request) -> Response:
    """201 for a new job, 200 for one that this client_ref made before."""
    house = house_of(request)
    user = house.user(request)
    body = await wire.json_body(request)
    with house.change() as db:
        job, is_new = creation.create(db, user, body=body)
    return wire.reply(_shown(house, job, user), 201 if is_new else 200)


async def preflight(request: Request) -> Response:
    """What a submit of this job would ask for, and from whom; nothing is kept."""
    house = house_of(request)
    user = house.user(request)
    proposed = wire.checked(ProposedJob, await wire.json_body(request))
    db = house.ledger.db
    draft = drafts.draft(db, proposed, team=user.team)
    needed = plans.needed(db, plans.of_draft(draft, team=user.team))
    return wire.reply({"status": status(needed), "approvals": [approval.shown() for approval in needed]})


async def read(request: Request) -> Response:
    """One job, with a fresh pass for its stream."""
    house = house_of(request)
    user = house.user(request)
    job = jobs.visible(house.ledger.db, wire.path_id(request, "job"), team=user.team)
    return wire.reply(_shown(house, job, user))


async def find(request: Request) -> Response:
    """The team's jobs, newest first, or the one made with a client_ref."""
    house = house_of(request)
    user = house.user(request)
    most = queries.limit(request)
    client_ref = request.query_params.get("client_ref")
    if client_ref is None:
        found = _newest(house, user, most)
    else:
        job = creation.by_client_ref(house.ledger.db, user, client_ref=client_ref)
        found = [] if job is None else [job]
    return wire.reply({"items": [_shown(house, job, user) for job in found]})


async def submit(request: Request) -> Response:
    """`perm` or `queue`, or later already."""
    house = house_of(request)
    user = house.user(request)
    by = Actor.of(user, client_ref=wire.checked(Act, await wire.json_body(request)).client_ref)

    def act(db: sqlite3.Connection, job: sqlite3.Row) -> None:
        lifecycle.submit(db, job, by=by)

    job = _change(house, user, wire.path_id(request, "job"), act)
    return wire.reply(_shown(house, job, user))


async def cancel(request: Request) -> Response:
    """End a job that waits."""
    house = house_of(request)
    user = house.user(request)
    asked = wire.checked(Act, await wire.json_body(request))
    by = Actor.of(user, client_ref=asked.client_ref)

    def act(db: sqlite3.Connection, job: sqlite3.Row) -> None:
        lifecycle.cancel(db, job, by=by, reason=asked.reason)

    job = _change(house, user, wire.path_id(request, "job"), act)
    return wire.reply({"cancelled": True, "job": _shown(house, job, user)})


async def kill(request: Request) -> Response:
    """End a job that waits, stop one that runs."""
    house = house_of(request)
    user = house.user(request)
    asked = wire.checked(Act, await wire.json_body(request))
    by = Actor.of(user, client_ref=asked.client_ref)

    def act(db: sqlite3.Connection, job: sqlite3.Row) -> None:
        lifecycle.kill(db, job, by=by, reason=asked.reason)

    job = _change(house, user, wire.path_id(request, "job"), act)
    return wire.reply({"job": _shown(house, job, user)})


ROUTES = [
    Route("/v1/jobs", create, methods=["POST"]),
    Route("/v1/jobs", find, methods=["GET"]),
    Route("/v1/jobs/preflight", preflight, methods=["POST"]),
    Route("/v1/jobs/{id}", read, methods=["GET"]),
    Route("/v1/jobs/{id}/submit", submit, methods=["POST"]),
    Route("/v1/jobs/{id}/cancel", cancel, methods=["POST"]),
    Route("/v1/jobs/{id}/kill", kill, methods=["POST"]),
]


def _newest(house: House, user: User, most: int) -> list[sqlite3.Row]:
    sql = """SELECT j.* FROM jobs j JOIN viewers v ON v.job_id = j.id WHERE v.team = ?
             ORDER BY j.number DESC LIMIT ?"""
    return house.ledger.rows(sql, user.team, most)


def _change(
    house: House, user: User, job_id: str, act: Callable[[sqlite3.Connection, sqlite3.Row], None]
) -> sqlite3.Row:
    with house.change() as db:
        job = jobs.visible(db, job_id, team=user.team)
        if job["team"] != user.team:
            raise refusals.forbidden(f"This job is {job['team']}'s; ask there.", team=job["team"])
        act(db, job)
    return jobs.find(house.ledger.db, job_id)


def _shown(house: House, job: sqlite3.Row, user: User) -> dict[str, Any]:
    document = jobs.shown_to(user.team, jobs.document(house.ledger.db, job))
    purpose = passes.STREAM if job["team"] == user.team else passes.SHARED_STREAM
    if job["submitted"] is not None and user.team in {job["team"], *document["stream_to"]}:
        point = house.points[job["team"]]
        token = passes.issue(point.pass_key, purpose=purpose, subject=job["id"])
        document["stream"] = {"url": f"{point.public_url}/v1/jobs/{job['id']}/stream", "token": token}
    return document
