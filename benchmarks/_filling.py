"""A database with a long past, made once through the real schema and kept for later runs."""

import sqlite3
import time
from collections.abc import Sequence
from datetime import timedelta
from hashlib import blake2b
from itertools import islice, pairwise
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy.dialects.sqlite import insert

from app.domain.events import Source
from app.domain.shown import SHAPE
from app.store import texts
from app.store.numbers import PHASES, SOURCES, least_key, to_us
from app.store.prepared import Prepared
from app.store.rollups import Tally, kinds
from app.store.rows import event_values, job_values, state_values
from app.store.schema import migrate, migrations
from app.store.tables import EVENTS, JOBS, LABELS, POSITIONS, STATES
from benchmarks import _cast, _past
from benchmarks._past import EPOCH, TOLD, Life, lives

_TOGETHER = 5_000
_RECEIVED_AFTER = timedelta(milliseconds=40)
_JOB = Prepared(insert(JOBS), *JOBS.columns)
_LABEL = Prepared(insert(LABELS), *LABELS.columns)
_STATE = Prepared(insert(STATES), *STATES.columns)
_EVENT = Prepared(insert(EVENTS), *EVENTS.columns)
_POSITION = Prepared(insert(POSITIONS), *POSITIONS.columns)
# Who fills it is alone with it, and begins anew where it was broken off.
_IN_HASTE = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000", "locking_mode = EXCLUSIVE")


def filled(folder: Path, jobs: int) -> Path:
    """The database with so many jobs; one of another schema or another past is removed and made anew."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"history-{_revision()}-{_recipe()}-{jobs}.db"
    if not file.exists():
        for old in folder.glob(f"history-*-{jobs}.db*"):
            old.unlink()
        _fill(file, jobs)
    print(f"{jobs} jobs, {_events(file)} events, {file.stat().st_size / 1e9:.2f} GB")
    return file


def _revision() -> str:
    return ScriptDirectory.from_config(migrations("")).get_current_head() or ""


def _recipe() -> str:
    """Changes with what the past is made of, and with how it is shown."""
    sources = [Path(one).read_bytes() for one in (_cast.__file__, _past.__file__, __file__)]
    return blake2b(b"".join(sources) + str(SHAPE).encode(), digest_size=4).hexdigest()


def _fill(file: Path, jobs: int) -> None:
    began, new = time.monotonic(), file.with_suffix(".new")
    new.unlink(missing_ok=True)
    migrate(f"sqlite:///{new}")
    connection = sqlite3.connect(new, isolation_level=None)
    for pragma in _IN_HASTE:
        connection.execute(f"PRAGMA {pragma}")
    _write(connection, jobs)
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    new.rename(file)
    print(f"filled in {time.monotonic() - began:.0f} s")


def _write(connection: sqlite3.Connection, jobs: int) -> None:
    tally, number = Tally(), 0
    past = lives(jobs)
    while some := list(islice(past, _TOGETHER)):
        connection.execute("BEGIN")
        keyed = [(least_key(to_us(life.job.created)), life) for life in some]
        _write_jobs(connection, keyed, tally)
        number = _write_events(connection, keyed, number)
        connection.execute("COMMIT")
    connection.execute("BEGIN")
    tally.write(connection)
    _POSITION.done(connection, {"source": SOURCES[Source.ROUTER], "epoch": EPOCH, "sequence": TOLD})
    connection.execute("COMMIT")


def _write_jobs(connection: sqlite3.Connection, keyed: Sequence[tuple[int, Life]], tally: Tally) -> None:
    _JOB.done_for_each(connection, (_job(key, life) for key, life in keyed))
    _STATE.done_for_each(connection, (state_values(life.job, key=key) for key, life in keyed))
    _LABEL.done_for_each(
        connection,
        (
            {
                "job_key": key,
                "name": name,
                "value": value,
                "operation": life.job.operation,
                "owner": life.job.owner.user,
            }
            for key, life in keyed
            for name, value in life.job.labels.items()
        ),
    )
    for key, life in keyed:
        texts.add(connection, key, life.job)
        tally.count(kinds(life.job.operation, life.job.owner.user, to_us(life.job.created)), PHASES[life.job.phase], 1)
        for (phase, begun), (_, ended) in pairwise(life.steps):
            tally.stay(PHASES[phase], to_us(ended) - to_us(begun), 1)


def _job(key: int, life: Life) -> dict[str, object]:
    since = life.steps[-1][1]
    return job_values(life.job, key=key, received=since + _RECEIVED_AFTER) | {"since_us": to_us(since)}


def _write_events(connection: sqlite3.Connection, keyed: Sequence[tuple[int, Life]], number: int) -> int:
    """In the order in which they came, whichever job's they are; the last number."""
    told = [(event.when, key, event) for key, life in keyed for event in life.events]
    told.sort(key=lambda one: one[0])
    _EVENT.done_for_tuples(
        connection,
        (
            event_values(event, number=at, job_key=key, received_us=to_us(when + _RECEIVED_AFTER))
            for at, (when, key, event) in enumerate(told, number + 1)
        ),
    )
    return number + len(told)


def _events(file: Path) -> int:
    connection = sqlite3.connect(file)
    ((number,),) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchall()
    connection.close()
    return int(number)
