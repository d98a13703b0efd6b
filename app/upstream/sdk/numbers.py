"""Numbers for what the SDK says of jobs, which has none: a new one for each change that is seen."""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID, uuid4

from msgspec.structs import replace

from app.domain.reports import JobReport

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Last:
    look: int
    report: JobReport


class Numbers:
    """Counts within an epoch of this process: what was seen before a restart is seen anew."""

    def __init__(self, *, remembered: int = _REMEMBERED) -> None:
        self._epoch = f"sdk-{uuid4().hex}"
        self._remembered = remembered
        self._looks = 0
        self._sequence = 0
        self._last: OrderedDict[UUID, _Last] = OrderedDict()

    @property
    def epoch(self) -> str:
        """Of all that is numbered here."""
        return self._epoch

    def begin(self) -> int:
        """A look begins; what it brings is older than what a look that begins later does."""
        self._looks += 1
        return self._looks

    def knows(self, job_id: UUID) -> bool:
        """Whether it was seen."""
        return job_id in self._last

    def numbered(self, look: int, seen: JobReport) -> JobReport:
        """What was seen of the job, numbered; what was seen before, where that is the same or newer."""
        last = self._last.get(seen.id)
        if last is not None and last.look > look:
            return last.report
        if last is None or not _is_same(last.report, seen):
            self._sequence += 1
            report = replace(seen, epoch=self._epoch, sequence=self._sequence)
        else:
            report = last.report
        self._last[seen.id] = _Last(look=look, report=report)
        self._last.move_to_end(seen.id)
        if len(self._last) > self._remembered:
            self._last.popitem(last=False)
        return report


def _is_same(last: JobReport, seen: JobReport) -> bool:
    return replace(seen, epoch=last.epoch, sequence=last.sequence, changed=last.changed) == last
