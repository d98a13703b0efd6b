"""The rollups of a database, compared with what counting says."""

import sqlite3
from collections import Counter
from itertools import groupby
from pathlib import Path

from app.store.numbers import COUNTED, from_us
from app.store.pruning import stays_of
from app.store.stays import bucket

Rollups = tuple[dict[tuple[int, str, int], int], dict[tuple[int, int], int]]


def counted(path: Path) -> Rollups:
    """As they stand in the tables. Raises AssertionError where that is not what counting them at this moment says."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("BEGIN")
        counts = {(kind, value, phase): n for kind, value, phase, n in db.execute("SELECT * FROM job_count WHERE jobs")}
        stays = {(phase, place): n for phase, place, n in db.execute("SELECT * FROM stay WHERE stays")}
        assert (counts, stays) == _recounted(db)
    finally:
        db.close()
    return counts, stays


def _recounted(db: sqlite3.Connection) -> Rollups:
    counts: Counter[tuple[int, str, int]] = Counter()
    stays: Counter[tuple[int, int]] = Counter()
    for operation, owner, created_us, phase in db.execute("SELECT operation, owner, created_us, phase FROM job"):
        day = from_us(created_us).date().isoformat()
        for kind, value in zip(COUNTED.values(), ("", operation, owner, day), strict=True):
            counts[kind, value, phase] += 1
    told = db.execute(
        "SELECT job_key, data, when_us FROM event JOIN job ON job.key = job_key "
        "WHERE kind = 3 AND NOT late ORDER BY job_key, id"
    )
    for _, events in groupby(told, lambda row: row[0]):
        for phase, us in stays_of([(data, when_us) for _, data, when_us in events]):
            stays[phase, bucket(us)] += 1
    return dict(counts), dict(stays)
