"""A look at the Router for whoever does not want to wait for its news, at most one a second for each job."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from app.domain.errors import JobNotKnown, Upstream
from app.domain.jobs import Job
from app.domain.ports import History, Router
from app.services.observe import Observer

_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """The job, whether the newest look brought news of it, and when that was; None: it came to nothing."""

    job: Job
    changed: bool
    observed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    ended_s: float
    changed: bool
    observed_at: datetime | None


class Refresher:
    """Callers who ask for the same job at the same time share one look, and what it brought."""

    def __init__(
        self,
        router: Router,
        *,
        history: History,
        observer: Observer,
        now: Callable[[], datetime],
        now_s: Callable[[], float],
        every_s: float = 1.0,
    ) -> None:
        self._router = router
        self._history = history
        self._observer = observer
        self._now = now
        self._now_s = now_s
        self._every_s = every_s
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._looks: dict[UUID, _Look] = {}

    async def job(self, job_id: UUID) -> Refreshed:
        """Look at the Router, unless that was done just now. While it is away: as the job is known, and no news.

        Raises JobNotKnown, and what the Router raises where the job was never heard of.
        """
        async with self._turn(job_id):
            known = await self._history.job(job_id)
            last = self._looks.get(job_id)
            if known is not None and last is not None and self._is_recent(last):
                return Refreshed(job=known, changed=last.changed, observed_at=last.observed_at)
            refreshed = await self._looked(job_id, known)
            self._remember(job_id, refreshed)
            return refreshed

    async def _looked(self, job_id: UUID, known: Job | None) -> Refreshed:
        try:
            report = await self._router.job(job_id)
        except Upstream:
            if known is None:
                raise
            newest = await self._observer.known(job_id)  # its stream may have told more while the Router was asked
            return Refreshed(job=newest, changed=False, observed_at=None)
        except JobNotKnown:
            if known is None:
                raise
            observed_at = self._now()
            job = await self._observer.forgotten(job_id)
            return Refreshed(job=job, changed=job.phase is not known.phase, observed_at=observed_at)
        observed_at = self._now()
        job = await self._observer.hear_router(report)
        return Refreshed(job=job, changed=job != known, observed_at=observed_at)

    def _remember(self, job_id: UUID, refreshed: Refreshed) -> None:
        self._looks.pop(job_id, None)  # so that the newest stands last
        # From its end on: whoever waited for a long one is not made to wait for another.
        self._looks[job_id] = _Look(ended_s=self._now_s(), changed=refreshed.changed, observed_at=refreshed.observed_at)
        if len(self._looks) > _REMEMBERED:
            del self._looks[next(iter(self._looks))]

    def _is_recent(self, look: _Look) -> bool:
        return self._now_s() - look.ended_s < self._every_s

    def _turn(self, job_id: UUID) -> AbstractAsyncContextManager[None]:
        return self._turns.setdefault(job_id, asyncio.Lock())
