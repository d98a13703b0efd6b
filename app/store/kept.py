"""What a batch of news makes of the tables of jobs: rows, states, words and rollups, written together."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select, union_all, update
from sqlalchemy.dialects.sqlite import insert

from app.domain.events import NewEvent
from app.domain.jobs import Job
from app.domain.phases import Phase
from app.store import texts
from app.store.numbers import KEYS_EACH, PHASES, least_key, to_us
from app.store.prepared import Prepared
from app.store.rollups import Tally, kinds, phase_in
from app.store.rows import job_values, over_us, state_values
from app.store.tables import JOBS, LABELS, PRUNED, STATES

_REMEMBERED = 10_000

_KNOWN = Prepared(
    select(JOBS.c.key, JOBS.c.phase, JOBS.c.since_us).where(JOBS.c.job_id == bindparam("job_id")),
)
_TAKEN = Prepared(
    union_all(
        *(
            select(func.max(key)).where(key >= bindparam("least"), key < bindparam("beyond"))
            for key in (JOBS.c.key, PRUNED.c.job_key)
        )
    )
)
_REMOVED = Prepared(select(PRUNED.c.job_id).where(PRUNED.c.job_id == bindparam("job_id")))
_NEW_JOB = Prepared(insert(JOBS), *JOBS.columns)
_MOVED_JOB = Prepared(
    update(JOBS).where(JOBS.c.key == bindparam("known")), JOBS.c.phase, JOBS.c.since_us, JOBS.c.over_us
)
_NEW_LABEL = Prepared(insert(LABELS), *LABELS.columns)
_NEW_STATE = insert(STATES)
_STATE = Prepared(
    _NEW_STATE.on_conflict_do_update(
        index_elements=["key"],
        set_={name: _NEW_STATE.excluded[name] for name in ("shown", "unseen", "shape", "digest")},
    ),
    *STATES.columns,
)


@dataclass(slots=True)
class Kept:
    """A job of the batch: its row as it is in the table (`was` is the number of its phase there; None: not yet)."""

    key: int
    job: Job
    was: int | None
    phase: int
    since_us: int


class Known:
    """Rows as they were written last, of jobs that are not over: nobody else changes those."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, int, int]] = {}

    def find(self, job_id: str, connection: sqlite3.Connection) -> tuple[int, int, int] | None:
        """The key, the phase, and since when. None: there is no such job."""
        row = self._rows.get(job_id)
        if row is None:
            row = next(iter(_KNOWN.done(connection, {"job_id": job_id})), None)
        return row

    def remember(self, job_id: str, kept: Kept) -> None:
        """What was written."""
        self._rows.pop(job_id, None)
        if not kept.job.is_over:
            self._rows[job_id] = kept.key, kept.phase, kept.since_us
        if len(self._rows) > _REMEMBERED:
            del self._rows[next(iter(self._rows))]


class Batch:
    """Jobs that are changed together. Nothing is kept of it where its transaction is taken back."""

    def __init__(self, connection: sqlite3.Connection, *, received: datetime, known: Known) -> None:
        self._connection = connection
        self._received = received
        self._known = known
        self._jobs: dict[str, Kept] = {}
        self._free_from: dict[int, int] = {}
        self._tally = Tally()

    def job(self, job: Job) -> Kept | None:
        """The job's new state; its row as it stands now. None: it was removed, and nothing brings it back."""
        job_id = str(job.id)
        kept = self._jobs.get(job_id)
        if kept is None:
            kept = self._found(job_id, job)
            if kept is None:
                return None
            self._jobs[job_id] = kept
        kept.job = job
        return kept

    def moved(self, kept: Kept, event: NewEvent) -> None:
        """Count a stay that ends with this event, which tells of a phase."""
        phase, when_us = phase_in(event.data), to_us(event.when)
        if phase != kept.phase:
            self._tally.stay(kept.phase, when_us - kept.since_us, 1)
            kept.phase, kept.since_us = phase, when_us

    def write(self) -> None:
        """Write all of it."""
        connection = self._connection
        for kept in self._jobs.values():
            self._settle(kept)
            if kept.was is None:
                self._add(kept)
            else:
                self._change(kept, kept.was)
        _STATE.done_for_each(connection, (state_values(kept.job, key=kept.key) for kept in self._jobs.values()))
        self._tally.write(connection)

    def remember(self) -> None:
        """It is durable."""
        for job_id, kept in self._jobs.items():
            self._known.remember(job_id, kept)

    def _found(self, job_id: str, job: Job) -> Kept | None:
        known = self._known.find(job_id, self._connection)
        if known is not None:
            key, phase, since_us = known
            return Kept(key=key, job=job, was=phase, phase=phase, since_us=since_us)
        if _REMOVED.done(self._connection, {"job_id": job_id}):
            return None
        created_us = to_us(job.created)
        return Kept(key=self._free(least_key(created_us)), job=job, was=None, phase=_FIRST, since_us=created_us)

    def _free(self, least: int) -> int:
        """A number of this moment that no job has; of the next moment that has one, where so many are of this."""
        while True:
            beyond = least + KEYS_EACH
            rows = _TAKEN.done(self._connection, {"least": least, "beyond": beyond})
            free: int = max([self._free_from.get(least, least), *(row[0] + 1 for row in rows if row[0] is not None)])
            if free < beyond:
                self._free_from[least] = free + 1
                return free
            least = beyond

    def _settle(self, kept: Kept) -> None:
        """Where a job moved and no event says so, it moved now."""
        phase = PHASES[kept.job.phase]
        if kept.phase != phase:
            kept.phase, kept.since_us = phase, to_us(self._received)

    def _add(self, kept: Kept) -> None:
        job, connection = kept.job, self._connection
        values = job_values(job, key=kept.key, received=self._received) | {"since_us": kept.since_us}
        _NEW_JOB.done(connection, values)
        facts = {"job_key": kept.key, "operation": job.operation, "owner": job.owner.user}
        labels = ({**facts, "name": name, "value": value} for name, value in job.labels.items())
        _NEW_LABEL.done_for_each(connection, labels)
        texts.add(connection, kept.key, job)
        self._tally.count(kinds(job.operation, job.owner.user, to_us(job.created)), kept.phase, 1)

    def _change(self, kept: Kept, was: int) -> None:
        job, connection = kept.job, self._connection
        if job.error:
            texts.change(connection, kept.key, job)
        if kept.phase == was:
            return
        over = over_us(job, received=self._received)
        values = {"known": kept.key, "phase": kept.phase, "since_us": kept.since_us, "over_us": over}
        _MOVED_JOB.done(connection, values)
        self._tally.count(kinds(job.operation, job.owner.user, to_us(job.created)), was, -1)
        self._tally.count(kinds(job.operation, job.owner.user, to_us(job.created)), kept.phase, 1)


_FIRST = PHASES[Phase.CREATED]
