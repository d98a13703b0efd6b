"""Keeping a new job, once for each `client_ref` of a token."""

import hashlib
import sqlite3
from typing import Any
from uuid import uuid4

import msgspec

from network import wire
from network.clock import now
from network.refusals import Refusal
from network.router import actors, drafts, jobs
from network.router.actors import Actor
from network.router.drafts import CreateJob, Draft
from network.settings import User


def create(db: sqlite3.Connection, user: User, *, body: dict[str, Any]) -> tuple[sqlite3.Row, bool]:
    """The job, and whether it is new."""
    wanted = wire.checked(CreateJob, body)
    digest = hashlib.sha256(wire.canonical(body)).hexdigest()
    earlier = by_client_ref(db, user, client_ref=wanted.client_ref)
    if earlier is not None:
        return _same(earlier, digest), False
    draft = drafts.draft(db, wanted, team=user.team)
    job_id = _insert(db, user, draft=draft, client_ref=wanted.client_ref, digest=digest)
    teams = {user.team, *draft.others(user.team)}
    db.executemany("INSERT INTO viewers (team, job_id) VALUES (?, ?)", [(team, job_id) for team in teams])
    parties = [(job_id, team) for team in sorted(teams)]
    db.executemany("INSERT INTO parties (job_id, team, state) VALUES (?, ?, 'waiting')", parties)
    readers = [(job_id, team) for team in dict.fromkeys(wanted.stream_to)]
    db.executemany("INSERT INTO stream_readers (job_id, team) VALUES (?, ?)", readers)
    actors.note(db, job_id, Actor.of(user, client_ref=wanted.client_ref))
    jobs.note(db, job_id)
    return jobs.find(db, job_id), True


def by_client_ref(db: sqlite3.Connection, user: User, *, client_ref: str) -> sqlite3.Row | None:
    """The job this token made with it; None when there is none."""
    sql = "SELECT * FROM jobs WHERE caller = ? AND client_ref = ?"
    row: sqlite3.Row | None = db.execute(sql, (user.token_sha256, client_ref)).fetchone()
    return row


def _same(earlier: sqlite3.Row, digest: str) -> sqlite3.Row:
    if earlier["body_digest"] != digest:
        detail = "This client_ref made another job; choose a new one for a new job."
        facts = {"job_id": earlier["id"], "market_status": earlier["market_status"]}
        raise Refusal(409, "client-ref-reused", detail, **facts)
    return earlier


def _insert(db: sqlite3.Connection, user: User, *, draft: Draft, client_ref: str, digest: str) -> str:
    columns = {
        "id": str(uuid4()),
        "client_ref": client_ref,
        "caller": user.token_sha256,
        "body_digest": digest,
        "user": user.user,
        "team": user.team,
        "job_name": draft.body.job_name,
        "operation": draft.operation,
        "program": draft.program.name,
        "model": draft.model and draft.model["id"],
        "dataset": _json([asset["id"] for asset in draft.datasets]),
        "preprocessor": _json(draft.body.preprocessor),
        "params": _json(draft.params),
        "labels": _json(draft.body.labels),
        "market_status": "created",
        "created": now(),
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608  # our names
    return str(columns["id"])


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()
