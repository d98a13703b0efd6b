"""Counts and lengths of stays, kept with the jobs themselves so that nobody has to count."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from heapq import nsmallest

import msgspec
from sqlalchemy.dialects.sqlite import insert

from app.domain.phases import Phase
from app.domain.statistics import Count, Counted, Statistics, Stays
from app.store import stays
from app.store.heads import newest
from app.store.numbers import COUNTED, PHASE_OF, PHASES, from_us
from app.store.prepared import Prepared
from app.store.tables import COUNTS, STAYS

_NAMED_AT_MOST = 100

_NEW_COUNT = insert(COUNTS)
_COUNT = Prepared(
    _NEW_COUNT.on_conflict_do_update(
        index_elements=["kind", "value", "phase"], set_={"jobs": COUNTS.c.jobs + _NEW_COUNT.excluded.jobs}
    ),
    *COUNTS.columns,
)
_NEW_STAY = insert(STAYS)
_STAY = Prepared(
    _NEW_STAY.on_conflict_do_update(
        index_elements=["phase", "bucket"], set_={"stays": STAYS.c.stays + _NEW_STAY.excluded.stays}
    ),
    *STAYS.columns,
)

_COUNTED = "SELECT value, phase, jobs FROM job_count WHERE kind = ? AND value >= ? AND jobs > 0"
_STAYED = "SELECT bucket, stays FROM stay WHERE phase = ? AND stays > 0"


class _PhaseTold(msgspec.Struct):
    phase: Phase


class Tally:
    """What is to be added to the rollups, or taken off."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str, int]] = Counter()
        self._stays: Counter[tuple[int, int]] = Counter()

    def count(self, kinds: Iterable[tuple[int, str]], phase: int, jobs: int) -> None:
        """So many more jobs of these kinds are in this phase."""
        for kind, value in kinds:
            self._counts[kind, value, phase] += jobs

    def stay(self, phase: int, us: int, stays_more: int) -> None:
        """So many more stays in this phase were so long."""
        self._stays[phase, stays.bucket(us)] += stays_more

    def write(self, connection: sqlite3.Connection) -> None:
        """Add it."""
        counts = self._counts.items()
        _COUNT.done_for_tuples(connection, [(*place, jobs) for place, jobs in counts if jobs])
        _STAY.done_for_tuples(connection, [(*place, number) for place, number in self._stays.items() if number])


def kinds(operation: str, owner: str, created_us: int) -> Iterator[tuple[int, str]]:
    """What a job is counted under: each kind, and its value of it."""
    yield COUNTED[Counted.ALL], ""
    yield COUNTED[Counted.OPERATION], operation
    yield COUNTED[Counted.OWNER], owner
    yield COUNTED[Counted.DAY], from_us(created_us).date().isoformat()


def phase_in(data: str) -> int:
    """The number of the phase that a phase event tells."""
    return PHASES[msgspec.json.decode(data, type=_PhaseTold).phase]


def statistics(connection: sqlite3.Connection, *, days: int, now_us: int) -> Statistics:
    """Of everything, and day by day of the last so many days."""
    everything = _count("", _counted(connection, Counted.ALL).get("", {}))
    first = (from_us(now_us).date() - timedelta(days=days - 1)).isoformat()
    by_day = _counted(connection, Counted.DAY, first)
    return Statistics(
        jobs=everything.jobs,
        phases=everything.phases,
        operations=_most(_counted(connection, Counted.OPERATION)),
        owners=_most(_counted(connection, Counted.OWNER)),
        days=tuple(_count(day, by_day[day]) for day in sorted(by_day, reverse=True)),
        waiting_on_permission=_stays(connection, Phase.WAITING_ON_PERMISSION),
        waiting_on_queue=_stays(connection, Phase.WAITING_ON_QUEUE),
        running=_stays(connection, Phase.IN_PROGRESS),
        as_of=newest(connection),
    )


_Numbers = dict[int, int]


def _counted(connection: sqlite3.Connection, kind: Counted, least: str = "") -> dict[str, _Numbers]:
    """By value, the jobs in each phase, by its number."""
    found: dict[str, _Numbers] = {}
    for value, phase, jobs in connection.execute(_COUNTED, (COUNTED[kind], least)).fetchall():
        found.setdefault(value, {})[phase] = jobs
    return found


def _count(value: str, numbers: _Numbers) -> Count:
    phases = {PHASE_OF[number]: jobs for number, jobs in numbers.items()}
    return Count(value=value, jobs=sum(numbers.values()), phases=phases)


def _most(counted: Mapping[str, _Numbers]) -> tuple[Count, ...]:
    most = nsmallest(_NAMED_AT_MOST, counted, key=lambda value: (-sum(counted[value].values()), value))
    return tuple(_count(value, counted[value]) for value in most)


def _stays(connection: sqlite3.Connection, phase: Phase) -> Stays:
    lengths: _Numbers = dict(connection.execute(_STAYED, (PHASES[phase],)).fetchall())
    return Stays(stays=sum(lengths.values()), p50_s=stays.quantile(lengths, 0.5), p90_s=stays.quantile(lengths, 0.9))
