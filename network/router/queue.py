"""Who starts next: first come, first served at every Access Point, with a bounded number of slots each.

A job starts when every Access Point it needs is in touch and has a free slot. An earlier job that still waits for a slot
keeps the free ones it needs, so that no later job overtakes it for ever; one that waits for an Access Point that is away
keeps none, since nothing could start it now.
"""

import secrets
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from network import passes
from network.protocols.catalogue import OPERATIONS
from network.router import jobs, lifecycle, orders
from network.settings import RouterSettings


def settle(db: sqlite3.Connection, settings: RouterSettings, *, away: Mapping[str, str]) -> None:
    """Start what can start, and tell every job that cannot where it stands. `away` says since when a team is."""
    free = _free_slots(db, settings)
    stuck: list[_Stuck] = []
    for job, teams in _waiting(db):
        blocking = [team for team in teams if team in away or free[team] < 1]
        if not away.keys() & set(teams):
            free.subtract(teams)
        if blocking:
            stuck.append(_Stuck(job=job, teams=teams, blocking=blocking))
        else:
            _start(db, settings, job=job, teams=teams)
    _tell(db, stuck, away=away)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stuck:
    job: sqlite3.Row
    teams: list[str]
    blocking: list[str]


def _waiting(db: sqlite3.Connection) -> list[tuple[sqlite3.Row, list[str]]]:
    queued = db.execute("SELECT * FROM jobs WHERE market_status = 'queue' ORDER BY queued, number").fetchall()
    sql = "SELECT team FROM parties WHERE job_id = ? ORDER BY team"
    return [(job, [row["team"] for row in db.execute(sql, (job["id"],))]) for job in queued]


def _free_slots(db: sqlite3.Connection, settings: RouterSettings) -> Counter[str]:
    free = Counter({point.team: settings.slots for point in settings.access_points})
    sql = "SELECT team, count(*) AS busy FROM parties WHERE state IN ('ordered', 'running') GROUP BY team"
    for row in db.execute(sql):
        free[row["team"]] -= row["busy"]
    return free


def _tell(db: sqlite3.Connection, stuck: list[_Stuck], *, away: Mapping[str, str]) -> None:
    length = Counter(team for waiting in stuck for team in waiting.teams)
    place: Counter[str] = Counter()
    for waiting in stuck:
        place.update(waiting.teams)
        since = waiting.job["queued"]
        places = [
            {"team": team, "place": place[team], "of": length[team], "since": since, "away_since": away.get(team)}
            for team in waiting.blocking
        ]
        _note(db, waiting.job, queue=places)


def _note(db: sqlite3.Connection, job: sqlite3.Row, *, queue: list[dict[str, Any]]) -> None:
    standing = msgspec.json.encode(queue).decode()
    if standing == job["queue"]:
        return
    db.execute("UPDATE jobs SET queue = ? WHERE id = ?", (standing, job["id"]))
    jobs.note(db, job["id"])


def _start(db: sqlite3.Connection, settings: RouterSettings, *, job: sqlite3.Row, teams: list[str]) -> None:
    if not jobs.move(db, job["id"], before={"queue"}, after="starting", queue="[]"):
        return
    db.execute("UPDATE parties SET state = 'ordered' WHERE job_id = ?", (job["id"],))
    # A token for each direction between each two: a party can speak for itself alone.
    tokens = {(sender, taker): secrets.token_urlsafe(24) for sender in teams for taker in teams if sender != taker}
    urls = {point.team: point.url for point in settings.access_points}
    for team in teams:
        peers = [_peer(team, peer, urls[peer], tokens) for peer in teams if peer != team]
        orders.give(db, team, kind="start", job_id=job["id"], **_task(db, job), peers=peers)


def _peer(team: str, peer: str, url: str, tokens: dict[tuple[str, str], str]) -> dict[str, str]:
    return {
        "team": peer,
        "url": url,
        "send_token": tokens[team, peer],
        "receive_sha256": passes.fingerprint(tokens[peer, team]),
    }


def _task(db: sqlite3.Connection, job: sqlite3.Row) -> dict[str, Any]:
    terms = lifecycle.terms(job)
    owner = {asset: _owner(db, asset) for asset in (*terms["dataset"], terms["model"]) if asset is not None}
    return {"terms": terms, "module": OPERATIONS[job["program"]].module, "owners": owner}


def _owner(db: sqlite3.Connection, asset_id: str) -> str:
    return str(db.execute("SELECT team FROM assets WHERE id = ?", (asset_id,)).fetchone()["team"])
