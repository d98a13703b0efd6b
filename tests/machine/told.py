"""What viewers were told, held against the rules as each event comes."""

import json
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from app.domain.events import Event, Kind, Source
from app.domain.jobs import Job

_FINAL = {"complete", "error", "cancelled", "killed", "denied"}
_ORDER = ["created", "waiting_on_permission", "waiting_on_queue", "starting", "in_progress", "stopping"]
# Which phases nobody comes to but by somebody's word, and which have a reason.
_DECIDED = {"created", "waiting_on_permission", "stopping", "cancelled", "killed", "denied"}
_REASONED = {"cancelled", "killed", "denied", "stopping", "error", "lost"}


class Told:
    """The log so far, and where each job stands by it."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.phase: dict[UUID, str | None] = defaultdict(lambda: None)
        self.ended: set[UUID] = set()

    def hear(self, events: Sequence[Event], *, lied_about: set[UUID]) -> None:
        """The next events. Raises AssertionError where a viewer would be misled."""
        for event in events:
            assert not self.log or event.id > self.log[-1].id, "numbers go up"
            self.log.append(event)
            if event.late:
                assert event.source in (Source.ROUTER, Source.ACCESS_POINT)
                continue
            assert event.job_id not in self.ended, f"{event} after the end"
            if event.kind is Kind.PHASE:
                self._move(event, is_true=event.job_id not in lied_about)
            elif event.kind is Kind.END:
                assert self.phase[event.job_id] in _FINAL, "an end without a final phase"
                self.ended.add(event.job_id)

    def of(self, job_id: UUID) -> list[Event]:
        """What was told of a job, late news too."""
        return [event for event in self.log if event.job_id == job_id]

    def agrees(self, job: Job) -> bool:
        """Whether the job stands where its events say."""
        return self.phase[job.id] == job.phase and (job.id in self.ended) == job.is_over

    def _move(self, event: Event, *, is_true: bool) -> None:
        data = json.loads(event.data)
        was, now = self.phase[event.job_id], data["phase"]
        assert data["previous"] == was, f"{event.job_id} was {was}: {data}"
        assert was not in _FINAL, f"a final phase was left: {data}"
        assert _is_allowed(was, now), f"{was} to {now}"
        assert data["when"]
        assert event.received
        if is_true and was not in (now, "lost"):
            put_back = now == "waiting_on_queue" and was in ("starting", "in_progress")
            assert (data["actor"] is not None) == (now in _DECIDED or (now == "waiting_on_queue" and not put_back)), (
                data
            )
            assert (data["reason"] is not None) == (now in _REASONED or put_back), data
        self.phase[event.job_id] = now


def _is_allowed(was: str | None, now: str) -> bool:
    if was is None:
        return now == "created"
    if "lost" in (was, now) or now in _FINAL:
        return True
    if now == was:
        return was in ("waiting_on_permission", "waiting_on_queue")
    put_back = now == "waiting_on_queue" and was in ("starting", "in_progress")
    return put_back or _ORDER.index(now) > _ORDER.index(was)
