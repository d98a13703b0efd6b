"""What is counted of all jobs, as it is shown."""

from datetime import datetime

from pydantic import BaseModel

from app.domain.phases import Phase


class CountView(BaseModel):
    """The jobs of this operation, owner or day, in all and in each phase that any of them is in."""

    value: str
    jobs: int
    phases: dict[Phase, int]


class StaysView(BaseModel):
    """How long it took, in seconds, within 2.2 %: of every stay that has ended. Null where there was none."""

    stays: int
    p50_s: float | None
    p90_s: float | None


class StatisticsView(BaseModel):
    """Of every job in the history. The hundred operations and owners with the most jobs; days newest first, in UTC.

    A day is that of the job's creation. `as_of` is the log position.
    """

    jobs: int
    phases: dict[Phase, int]
    operations: list[CountView]
    owners: list[CountView]
    days: list[CountView]
    waiting_on_permission: StaysView
    waiting_on_queue: StaysView
    running: StaysView
    as_of: int
    observed_at: datetime | None
    stale: bool
