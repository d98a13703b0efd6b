"""Counts of what a database holds, made by counting."""

import sqlite3
from collections import Counter
from itertools import groupby
from pathlib import Path

from app.store.numbers import COUNTED, from_us
from app.store.pruning import stays_of
from app.store.stays import bucket

Rollups = tuple[dict[tuple[int, str, int], int], dict[tuple[int, int], int]]


def kept(path: Path) -> Rollups:
    """As they stand in the tables."""
    with sqlite3.connect(path) as db:
        counts = {(kind, value, phase): n for kind, value, phase, n in db.execute("SELECT * FROM job_count WHERE jobs")}
        stays = {(phase, place): n for phase, place, n in db.execute("SELECT * FROM stay WHERE stays")}
    db.close()
    return counts, stays


def recounted(path: Path) -> Rollups:
    """As the jobs and their phase events say."""
    counts: Counter[tuple[int, str, int]] = Counter()
    stays: Counter[tuple[int, int]] = Counter()
    with sqlite3.connect(path) as db:
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
    db.close()
    return dict(counts), dict(stays)
