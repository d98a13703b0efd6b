"""What viewers were told, held against the rules as each event comes."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.domain.events import Event, Kind, Source
from app.domain.jobs import Job
from app.domain.phases import OF_MARKET_STATUS

_FINAL = {"complete", "error", "cancelled", "killed", "denied"}
_ORDER = ["created", "waiting_on_permission", "waiting_on_queue", "starting", "in_progress", "stopping"]
# Which phases nobody comes to but by somebody's word, and which have a reason.
_DECIDED = {"created", "waiting_on_permission", "stopping", "cancelled", "killed", "denied"}
_REASONED = {"cancelled", "killed", "denied", "stopping", "error", "lost"}
_WORDS = {phase.value: word for word, phase in OF_MARKET_STATUS.items()}


class Told:
    """The log so far, and where each job stands by it."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.phase: dict[UUID, str | None] = defaultdict(lambda: None)
        self.ended: set[UUID] = set()

    def hear(self, events: Sequence[Event], *, lied_about: set[UUID], brought: Mapping[tuple[UUID, str], str]) -> None:
        """The next events. Raises AssertionError where a viewer would be misled."""
        for event in events:
            assert not self.log or event.id > self.log[-1].id, "numbers go up"
            self.log.append(event)
            if event.late:
                assert event.source in (Source.ROUTER, Source.ACCESS_POINT)
                continue
            assert event.job_id not in self.ended, f"{event} after the end"
            if event.kind is Kind.PHASE:
                self._move(event, brought=None if event.job_id in lied_about else brought)
            elif event.kind is Kind.END:
                assert self.phase[event.job_id] in _FINAL, "an end without a final phase"
                self.ended.add(event.job_id)

    def of(self, job_id: UUID) -> list[Event]:
        """What was told of a job, late news too."""
        return [event for event in self.log if event.job_id == job_id]

    def agrees(self, job: Job) -> bool:
        """Whether the job stands where its events say."""
        return self.phase[job.id] == job.phase and (job.id in self.ended) == job.is_over

    def _move(self, event: Event, *, brought: Mapping[tuple[UUID, str], str] | None) -> None:
        data = json.loads(event.data)
        was, now = self.phase[event.job_id], data["phase"]
        assert data["previous"] == was, f"{event.job_id} was {was}: {data}"
        assert was not in _FINAL, f"a final phase was left: {data}"
        assert _is_allowed(was, now), f"{was} to {now}"
        assert data["when"]
        assert event.received
        if brought is not None and now != was:
            _check_why(data, was, brought)
        self.phase[event.job_id] = now


def _check_why(data: dict[str, Any], was: str | None, brought: Mapping[tuple[UUID, str], str]) -> None:
    """Somebody is named where somebody decided, and it is who did; a reason is there where one is owed."""
    now, actor = data["phase"], data["actor"]
    put_back = now == "waiting_on_queue" and was in ("starting", "in_progress")
    if was == "lost":
        assert data["reason"] is not None, data
    else:
        assert (actor is not None) == (now in _DECIDED or (now == "waiting_on_queue" and not put_back)), data
        assert (data["reason"] is not None) == (now in _REASONED or put_back), data
    if actor is not None:
        by = brought.get((UUID(data["job_id"]), _WORDS[now])) if actor["team"] == "globex" else None
        assert actor["user"] == by, f"{by} did it: {data}"


def _is_allowed(was: str | None, now: str) -> bool:
    if was is None:
        return now == "created"
    if "lost" in (was, now) or now in _FINAL:
        return True
    if now == was:
        return was in ("waiting_on_permission", "waiting_on_queue")
    put_back = now == "waiting_on_queue" and was in ("starting", "in_progress")
    return put_back or _ORDER.index(now) > _ORDER.index(was)
