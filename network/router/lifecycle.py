"""What users do to a job: submit, cancel, kill, accept, deny. Each is one compare-and-set with its consequences."""

import sqlite3
from dataclasses import replace
from typing import Any

import msgspec

from network.clock import now
from network.refusals import Refusal
from network.router import jobs, orders, plans, requests, standing, stops, temporary
from network.router.actors import Actor
from network.router.agreements import Approval
from network.router.jobs import CALCULATING, WAITING
from network.router.stops import Wanted


def submit(db: sqlite3.Connection, job: sqlite3.Row, *, by: Actor) -> None:
    """Ask for what no agreement allows, or go straight to the queue."""
    _refuse_again(job)
    needed = [_counted(db, job, approval) for approval in plans.needed(db, plans.of_job(db, job))]
    requests.ask(db, job["id"], needed=needed)
    temporary.used(db, job["id"], asset_ids=msgspec.json.decode(job["dataset"]))
    missing, at = any(approval.agreement_id is None for approval in needed), now()
    after, queued = ("perm", None) if missing else ("queue", at)
    jobs.move(db, job["id"], before={"created"}, after=after, by=by, submitted=at, queued=queued)
    for approval in needed:
        if approval.agreement_id is not None:
            _grant(db, job, approval.use.asset_id, owner=approval.use.team, agreement_id=approval.agreement_id)
    orders.give(db, job["team"], kind="submit", job_id=job["id"], missing=missing)


def cancel(db: sqlite3.Connection, job: sqlite3.Row, *, by: Actor, reason: str | None) -> None:
    """End a job that waits; calculating or finished ones refuse."""
    if job["market_status"] == "cancelled":
        return
    if _end_waiting(db, job, outcome="cancelled", by=by, wanted="cancel", reason=_said(by.user, reason)):
        return
    if job["market_status"] in CALCULATING:
        detail = "The job calculates already; kill it to stop it."
        facts = {"market_status": job["market_status"], "answers": stops.refused(db, job["id"])}
        raise Refusal(409, "job-not-pending", detail, **facts)
    raise _finished(job)


def kill(db: sqlite3.Connection, job: sqlite3.Row, *, by: Actor, reason: str | None) -> None:
    """End a waiting job now; stop a calculating one at every Access Point."""
    if job["market_status"] in {"killed", "stopping"}:
        return
    said = _said(by.user, reason)
    if _end_waiting(db, job, outcome="killed", by=by, wanted="kill", reason=said):
        return
    before = {"starting", "running"}
    if not jobs.move(db, job["id"], before=before, after="stopping", by=by, wanted="kill", reason=said):
        raise _finished(job)
    stop_parties(db, job["id"])


def stop_parties(db: sqlite3.Connection, job_id: str) -> None:
    """Order every party that still runs to end its processes."""
    sql = "SELECT team FROM parties WHERE job_id = ? AND state IN ('ordered', 'running')"
    for party in db.execute(sql, (job_id,)).fetchall():
        orders.give(db, party["team"], kind="kill", job_id=job_id)


def accept(db: sqlite3.Connection, request: sqlite3.Row, *, by: Actor, reason: str | None) -> None:
    """The owner allows this use; its Access Point records it, and the last one missing frees the job."""
    if not requests.decide(db, request, state="accepted", by=by.user, reason=reason):
        return
    job = jobs.find(db, request["job_id"])
    _grant(db, job, request["asset_id"], owner=request["owner_team"], agreement_id=None)
    if requests.pending(db, job["id"]):
        jobs.note(db, job["id"])
        return
    jobs.move(db, job["id"], before={"perm"}, after="queue", by=by, queued=now())


def deny(db: sqlite3.Connection, request: sqlite3.Row, *, by: Actor, reason: str | None) -> None:
    """The owner refuses this use, which ends the job."""
    if not requests.decide(db, request, state="denied", by=by.user, reason=reason):
        return
    said = _said(f"{by.user} denied {request['asset']}", reason)
    _end_waiting(db, jobs.find(db, request["job_id"]), outcome="denied", by=by, wanted=None, reason=said)


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


def _refuse_again(job: sqlite3.Row) -> None:
    if job["market_status"] == "created":
        return
    if job["submitted"] is None:
        raise _finished(job)
    detail = "This job was submitted before; read it to see where it stands."
    raise Refusal(409, "job-already-submitted", detail, market_status=job["market_status"])


def _counted(db: sqlite3.Connection, job: sqlite3.Row, approval: Approval) -> Approval:
    agreement_id = approval.agreement_id
    if agreement_id is None or standing.count_run(db, agreement_id, job_id=job["id"]):
        return approval
    return replace(approval, agreement_id=None)


def _grant(db: sqlite3.Connection, job: sqlite3.Row, asset_id: str, *, owner: str, agreement_id: str | None) -> None:
    facts = {"asset_id": asset_id, "terms": terms(job), "agreement_id": agreement_id}
    orders.give(db, owner, kind="grant", job_id=job["id"], **facts)


def _said(who: str, reason: str | None) -> str:
    return f"{who}: {reason}" if reason else who


def _end_waiting(
    db: sqlite3.Connection, job: sqlite3.Row, *, outcome: str, by: Actor, wanted: Wanted | None, reason: str
) -> bool:
    requests.withdraw(db, job["id"])
    facts = {"finished": now(), "reason": reason}
    if not jobs.move(db, job["id"], before=WAITING, after=outcome, by=by, wanted=wanted, **facts):
        return False
    if job["submitted"] is not None:
        orders.give(db, job["team"], kind="end", job_id=job["id"], outcome=outcome)
    return True


def _finished(job: sqlite3.Row) -> Refusal:
    detail = f"The job is {job['market_status']}; nothing more can be done with it."
    return Refusal(409, "job-finished", detail, market_status=job["market_status"])
