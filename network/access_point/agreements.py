"""The standing agreements of this team, as this Access Point recorded them, and the runs it let through by each."""

import sqlite3
from typing import Any

from network.clock import now
from network.protocols.preprocessor import only_chooses_columns

_TERMS = ("id", "to_team", "asset_id", "protocol", "algorithm", "algorithm_security", "expiration", "run_limit")


def record(db: sqlite3.Connection, agreement: dict[str, Any]) -> None:
    """The team made this agreement. What is on record is never rewritten."""
    names, marks = ", ".join(_TERMS), ", ".join("?" * len(_TERMS))
    values = tuple(agreement[name] for name in _TERMS)
    db.execute(f"INSERT OR IGNORE INTO agreements ({names}) VALUES ({marks})", values)  # noqa: S608  # our names


def end(db: sqlite3.Connection, agreement_id: str) -> None:
    """The team ended it: it allows nothing from here on."""
    db.execute("UPDATE agreements SET ended = ? WHERE id = ? AND ended IS NULL", (now(), agreement_id))


def objection(db: sqlite3.Connection, agreement_id: str, *, asset_id: str, terms: dict[str, Any]) -> str | None:
    """Why by this record, and by this clock, the agreement does not allow the job the asset; None when it does."""
    agreement = db.execute("SELECT * FROM agreements WHERE id = ?", (agreement_id,)).fetchone()
    if agreement is None:
        return f"agreement {agreement_id} is not on its record"
    ended, expiration, run_limit = agreement["ended"], agreement["expiration"], agreement["run_limit"]
    objections = (
        (ended is not None, f"was ended on {ended}"),
        (expiration is not None and expiration <= now(), f"expired on {expiration}"),
        (not _is_about(agreement, asset_id=asset_id, terms=terms), "is about something else"),
        (not only_chooses_columns(terms["preprocessor"]), "covers no preprocessor that does more than choose columns"),
        (
            run_limit is not None and _other_runs(db, agreement_id, terms["job_id"]) >= run_limit,
            f"has no run left of {run_limit}",
        ),
    )
    return next((f"agreement {agreement_id} {why}" for is_met, why in objections if is_met), None)


def count_run(db: sqlite3.Connection, agreement_id: str, *, job_id: str) -> None:
    """The job is one of the agreement's runs, however many assets it uses by it."""
    db.execute("INSERT OR IGNORE INTO agreement_runs VALUES (?, ?)", (agreement_id, job_id))


def _is_about(agreement: sqlite3.Row, *, asset_id: str, terms: dict[str, Any]) -> bool:
    if agreement["to_team"] != terms["team"] or agreement["asset_id"] not in {None, asset_id}:
        return False
    if agreement["protocol"] is not None:
        return bool(agreement["protocol"] == terms["program"])
    runs = (agreement["algorithm"], agreement["algorithm_security"]) == (
        terms["model"],
        terms["params"].get("security"),
    )
    return runs and asset_id in terms["dataset"]


def _other_runs(db: sqlite3.Connection, agreement_id: str, job_id: str) -> int:
    sql = "SELECT count(*) FROM agreement_runs WHERE agreement_id = ? AND job_id != ?"
    return int(db.execute(sql, (agreement_id, job_id)).fetchone()[0])
