"""Row by row: what the gateway told against what the Router and the Access Points have on record. Pure."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from operator import itemgetter

from tests.soak import one_job
from tests.soak.differences import Difference
from tests.soak.jobs import Begun
from tests.soak.one_job import Row
from tests.soak.records import JobRecord
from tests.soak.router import Json
from tests.soak.viewers import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One line of the table: what was compared, how many rows, and every difference."""

    what: str
    rows: int
    differences: tuple[Difference, ...]


def compare(records: Sequence[JobRecord], begun: Sequence[Begun], watched: Sequence[Watched]) -> list[Compared]:
    """All of it."""
    rows_of_feed = sorted((_as_heard(row, job) for job in records for row in job.told), key=itemgetter(0))
    by_job = {job.id: job for job in records}
    of_jobs = [one for one in watched if one.job_id is not None]
    of_feed = [one for one in watched if one.job_id is None]
    moves = one_job.moves
    return [
        _compared("jobs asked for, jobs at the Router and at the gateway", len(begun), _jobs(records, begun)),
        _compared(
            "definitive answers, and what became of the job",
            *_over(records, one_job.answers, lambda job: len(job.answers)),
        ),
        _compared("lines of the Access Points' streams", *_over(records, one_job.stream, lambda job: len(job.lines))),
        _compared(
            "changes of market status at the Router", *_over(records, one_job.phases, lambda job: len(moves(job)))
        ),
        _compared(
            "who brought the job there, when and why", *_over(records, one_job.origins, lambda job: len(moves(job)))
        ),
        _compared("ends", *_over(records, one_job.ends, lambda _: 1)),
        _compared("jobs as they are shown", *_over(records, one_job.shown, lambda _: 1)),
        _compared(
            "answers to what ended a job early",
            *_over(records, one_job.stops, lambda job: len(one_job.told_stops(job))),
        ),
        _compared("events that viewers of jobs heard", *_heard(of_jobs, lambda one: _log_of(by_job, one))),
        _compared("events that viewers of the feed heard", *_heard(of_feed, lambda _: rows_of_feed)),
    ]


def _jobs(records: Sequence[JobRecord], begun: Sequence[Begun]) -> Iterator[Difference]:
    at_the_router = Counter(job.documents[0]["job_name"] for job in records if job.documents)
    at_the_gateway = Counter(job.shown["job_name"] for job in records)
    wanted = Counter(job.name for job in begun)
    if at_the_router != wanted:
        yield Difference(what="jobs at the Router", ours=dict(wanted), theirs=dict(at_the_router))
    if at_the_gateway != wanted:
        yield Difference(what="jobs at the gateway", ours=dict(at_the_gateway), theirs=dict(wanted))
    for job in records:
        yield from one_job.unequal("created_by", job.shown["created_by"], job.created_by, job)


def _heard(watched: Sequence[Watched], log: Callable[[Watched], Sequence[Row]]) -> tuple[int, Iterator[Difference]]:
    found = (difference for one in watched for difference in _as_in_the_log(one, log(one)))
    return sum(len(one.heard) for one in watched), found


def _as_in_the_log(watched: Watched, log: Sequence[Row]) -> Iterator[Difference]:
    """Exactly what was told after its start: nothing missing, nothing twice, nothing else."""
    there = [row for row in log if row[0] > (watched.start or 0)]
    here = [(number, name, json.loads(data)) for number, name, data in watched.heard]
    for number, (ours, theirs) in enumerate(zip_longest(here, there), start=1):
        if ours != theirs:
            what = f"{watched.viewer}, event {number} of {len(here)} heard, of {len(there)} told"
            yield Difference(what=what, ours=ours, theirs=theirs, job_id=watched.job_id)
            return


def _log_of(by_job: dict[str, JobRecord], watched: Watched) -> list[Row]:
    job = by_job[str(watched.job_id)]
    return [(row["id"], row["event"], row["data"]) for row in job.told]


def _as_heard(row: Json, job: JobRecord) -> Row:
    data = {"job_id": job.id, "message": row["data"]} if row["event"] == "message" else row["data"]
    return (row["id"], row["event"], data)


def _over(
    records: Sequence[JobRecord],
    find: Callable[[JobRecord], Iterable[Difference]],
    count: Callable[[JobRecord], int],
) -> tuple[int, Iterator[Difference]]:
    known = [job for job in records if job.documents]  # of another the first comparison speaks
    return sum(count(job) for job in known), (found for job in known for found in find(job))


def _compared(what: str, rows: int, differences: Iterable[Difference]) -> Compared:
    return Compared(what=what, rows=rows, differences=tuple(differences))
