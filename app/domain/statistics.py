"""What is counted of many jobs, and how long they stay where they wait and run."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from app.domain.phases import Phase


class Counted(StrEnum):
    """Jobs are counted together, and by each of these. A day is that of the job's creation, in UTC."""

    ALL = "all"
    OPERATION = "operation"
    OWNER = "owner"
    DAY = "day"


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs with this value, in all and in each phase that any of them is in."""

    value: str
    jobs: int
    phases: Mapping[Phase, int]


class Stays(msgspec.Struct, frozen=True, kw_only=True):
    """How long stays in a phase took, in seconds, those that have ended; None where there were none.

    Lengths are counted in buckets: a quantile is within 2.2 % of the true one, or within half a millisecond.
    """

    stays: int
    p50_s: float | None
    p90_s: float | None


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of every job in the history. Operations and owners stand with the most jobs first, days newest first."""

    jobs: int
    phases: Mapping[Phase, int]
    operations: tuple[Count, ...]
    owners: tuple[Count, ...]
    days: tuple[Count, ...]
    waiting_on_permission: Stays
    waiting_on_queue: Stays
    running: Stays
    as_of: int
