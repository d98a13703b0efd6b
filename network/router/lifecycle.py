"""What users do to a job: submit, cancel, kill, accept, deny. Each is one compare-and-set with its consequences."""

import sqlite3
from typing import Any

import msgspec

from network.clock import now
from network.refusals import Refusal
from network.router import jobs, orders, requests
from network.router.jobs import CALCULATING, WAITING
from network.settings import User


def submit(db: sqlite3.Connection, job: sqlite3.Row) -> None:
    """Ask for what is missing, or go straight to the queue."""
    foreign = [asset for asset in _used(db, job) if asset["team"] != job["team"]]
    after = "perm" if foreign else "queue"
    at = now()
    requests.ask(db, job["id"], assets=foreign if job["market_status"] == "created" else [])
    queued = None if foreign else at
    if not jobs.move(db, job["id"], before={"created"}, after=after, submitted=at, queued=queued):
        if job["submitted"] is None:
            raise _finished(job)
        detail = "This job was submitted before; read it to see where it stands."
        raise Refusal(409, "job-already-submitted", detail, market_status=job["market_status"])
    orders.give(db, job["team"], kind="submit", job_id=job["id"], missing=bool(foreign))


def cancel(db: sqlite3.Connection, job: sqlite3.Row, *, by: User, reason: str | None) -> None:
    """End a job that waits; calculating or finished ones refuse."""
    if job["market_status"] == "cancelled":
        return
    if _end_waiting(db, job, outcome="cancelled", reason=_said(by.user, reason)):
        return
    if job["market_status"] in CALCULATING:
        detail = "The job calculates already; kill it to stop it."
        raise Refusal(409, "job-not-pending", detail, market_status=job["market_status"])
    raise _finished(job)


def kill(db: sqlite3.Connection, job: sqlite3.Row, *, by: User, reason: str | None) -> None:
    """End a waiting job now; stop a calculating one at every Access Point."""
    if job["market_status"] in {"killed", "stopping"}:
        return
    said = _said(by.user, reason)
    if _end_waiting(db, job, outcome="killed", reason=said):
        return
    if not jobs.move(db, job["id"], before={"starting", "running"}, after="stopping", reason=said):
        raise _finished(job)
    stop_parties(db, job["id"])


def stop_parties(db: sqlite3.Connection, job_id: str) -> None:
    """Order every party that still runs to end its processes."""
    sql = "SELECT team FROM parties WHERE job_id = ? AND state IN ('ordered', 'running')"
    for party in db.execute(sql, (job_id,)).fetchall():
        orders.give(db, party["team"], kind="kill", job_id=job_id)


def accept(db: sqlite3.Connection, request: sqlite3.Row, *, by: User, reason: str | None) -> None:
    """The owner allows this use; its Access Point records it, and the last one missing frees the job."""
    if not requests.decide(db, request, state="accepted", by=by.user, reason=reason):
        return
    job = jobs.find(db, request["job_id"])
    facts = {"asset_id": request["asset_id"], "terms": terms(job)}
    orders.give(db, request["owner_team"], kind="grant", job_id=job["id"], **facts)
    if requests.pending(db, job["id"]):
        jobs.note(db, job["id"])
        return
    jobs.move(db, job["id"], before={"perm"}, after="queue", queued=now())


def deny(db: sqlite3.Connection, request: sqlite3.Row, *, by: User, reason: str | None) -> None:
    """The owner refuses this use, which ends the job."""
    if not requests.decide(db, request, state="denied", by=by.user, reason=reason):
        return
    said = _said(f"{by.user} denied {request['asset']}", reason)
    _end_waiting(db, jobs.find(db, request["job_id"]), outcome="denied", reason=said)


def terms(job: sqlite3.Row) -> dict[str, Any]:
    """What an owner agrees to, and what its Access Point compares before it starts anything."""
    stored = ("dataset", "preprocessor", "params")
    return {
        "job_id": job["id"],
        "team": job["team"],
        "user": job["user"],
        "program": job["program"],
        "model": job["model"],
        **{name: msgspec.json.decode(job[name]) for name in stored},
    }


def _said(who: str, reason: str | None) -> str:
    return f"{who}: {reason}" if reason else who


def _end_waiting(db: sqlite3.Connection, job: sqlite3.Row, *, outcome: str, reason: str) -> bool:
    requests.withdraw(db, job["id"])
    if not jobs.move(db, job["id"], before=WAITING, after=outcome, finished=now(), reason=reason):
        return False
    if job["submitted"] is not None:
        orders.give(db, job["team"], kind="end", job_id=job["id"], outcome=outcome)
    return True


def _used(db: sqlite3.Connection, job: sqlite3.Row) -> list[sqlite3.Row]:
    ids = [*msgspec.json.decode(job["dataset"]), *([job["model"]] if job["model"] else [])]
    unique = list(dict.fromkeys(ids))
    return [db.execute("SELECT * FROM assets WHERE id = ?", (asset_id,)).fetchone() for asset_id in unique]


def _finished(job: sqlite3.Row) -> Refusal:
    detail = f"The job is {job['market_status']}; nothing more can be done with it."
    return Refusal(409, "job-finished", detail, market_status=job["market_status"])
