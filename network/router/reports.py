"""What Access Points report, each taken once: parties that start and end, and assets whose bytes have arrived."""

import sqlite3
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict

from network.clock import now
from network.router import assets, jobs, lifecycle, orders, stops
from network.router.jobs import CALCULATING


class Made(BaseModel):
    """Which asset is the job's result; None where it made none. What the result says stays at the Access Point."""

    model_config = ConfigDict(extra="forbid")

    asset_id: str | None


class Report(BaseModel):
    """One report; `epoch` and `number` make a repeated one harmless."""

    model_config = ConfigDict(extra="forbid")

    epoch: str
    number: int
    kind: Literal["started", "stopping", "done", "failed", "gone", "asset"]
    job_id: str | None = None
    error: str = ""
    error_code: int | None = None
    communications: int = 0
    result: Made | None = None
    made: list[dict[str, Any]] = []
    asset: dict[str, Any] | None = None


def take(db: sqlite3.Connection, team: str, *, report: Report) -> None:
    """Apply a report unless it was taken before."""
    sql = """INSERT INTO heard (team, epoch, number) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET number = excluded.number WHERE excluded.number > heard.number"""
    if db.execute(sql, (team, report.epoch, report.number)).rowcount != 1:
        return
    if report.kind == "asset" and report.asset is not None:
        assets.arrived(db, team, asset=report.asset)
    elif report.kind == "started":
        _started(db, team, report)
    elif report.kind == "stopping":
        _stopping(db, team, report)
    elif report.job_id is not None:
        _ended(db, team, report)


def _started(db: sqlite3.Connection, team: str, report: Report) -> None:
    sql = "UPDATE parties SET state = 'running' WHERE job_id = ? AND team = ? AND state = 'ordered'"
    db.execute(sql, (report.job_id, team))
    if "ordered" not in _states(db, str(report.job_id)):
        jobs.move(db, str(report.job_id), before={"starting"}, after="running", started=now())


def _stopping(db: sqlite3.Connection, team: str, report: Report) -> None:
    if stops.heard(db, str(report.job_id), team=team, answer="acknowledged"):
        jobs.note(db, str(report.job_id))


def _ended(db: sqlite3.Connection, team: str, report: Report) -> None:
    sql = """UPDATE parties SET state = ?, communications = ? WHERE job_id = ? AND team = ?
             AND state IN ('ordered', 'running')"""
    if db.execute(sql, (report.kind, report.communications, report.job_id, team)).rowcount != 1:
        return
    job = jobs.find(db, str(report.job_id))
    if report.result is not None and team == job["team"]:
        _keep_result(db, job, report)
    is_answer = stops.heard(db, job["id"], team=team, answer="done")
    if not _decide(db, jobs.find(db, job["id"]), report) and is_answer:
        jobs.note(db, job["id"])


def _decide(db: sqlite3.Connection, job: sqlite3.Row, report: Report) -> bool:
    """End the job if this report was the last that was needed; False when it goes on, or had ended before."""
    states = _states(db, job["id"])
    if states == {"done"}:
        _complete(db, job)
    elif job["market_status"] == "stopping" and not states & {"ordered", "running"}:
        _finish(db, job, outcome="killed")
    elif job["market_status"] in {"starting", "running"} and report.kind != "done":
        error = report.error or "a party of the job was stopped"
        lifecycle.stop_parties(db, job["id"])
        _finish(db, job, outcome="error", error=error, error_code=report.error_code)
    else:
        return False
    return True


def _complete(db: sqlite3.Connection, job: sqlite3.Row) -> None:
    for asset in msgspec.json.decode(job["made"]):
        assets.register(db, job["team"], asset=asset, job_id=job["id"])
    _finish(db, job, outcome="complete")


def _finish(
    db: sqlite3.Connection, job: sqlite3.Row, *, outcome: str, error: str = "", error_code: int | None = None
) -> None:
    at = now()
    if not jobs.move(db, job["id"], before=CALCULATING, after=outcome, finished=at, error=error, error_code=error_code):
        return
    facts = {"error": error, "error_code": error_code, "communications": _communications(db, job["id"])}
    orders.give(db, job["team"], kind="end", job_id=job["id"], outcome=outcome, **facts)


def _keep_result(db: sqlite3.Connection, job: sqlite3.Row, report: Report) -> None:
    # Shown once the job is complete: until then another party may still fail.
    result = "null" if report.result is None else report.result.model_dump_json()
    made = msgspec.json.encode(report.made).decode()
    db.execute("UPDATE jobs SET result = ?, made = ? WHERE id = ?", (result, made, job["id"]))


def _states(db: sqlite3.Connection, job_id: str) -> set[str]:
    return {row["state"] for row in db.execute("SELECT state FROM parties WHERE job_id = ?", (job_id,))}


def _communications(db: sqlite3.Connection, job_id: str) -> int:
    sql = "SELECT coalesce(sum(communications), 0) FROM parties WHERE job_id = ?"
    return int(db.execute(sql, (job_id,)).fetchone()[0])
