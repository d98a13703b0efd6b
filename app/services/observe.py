"""The one way news enters: the Router's word and the Access Points' lines, applied to a job and kept."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

from app.domain import course, stream
from app.domain.actions import asked_by
from app.domain.errors import JobPruned
from app.domain.events import NewEvent, Told
from app.domain.jobs import Job, Mark
from app.domain.phases import OF_MARKET_STATUS
from app.domain.ports import Actions, History
from app.domain.reports import JobReport, Me, StreamLine
from app.services.contact import Contact

_LATEST = 1_000


class Observer:
    """News of one job is applied one piece at a time, each on what the one before it left in the history.

    Of the jobs that there was news of last it is remembered what that was: lines come often.
    """

    def __init__(
        self,
        history: History,
        *,
        actions: Actions,
        contact: Contact,
        now: Callable[[], datetime],
        lost_after: timedelta = timedelta(minutes=1),
    ) -> None:
        self._history = history
        self._actions = actions
        self._contact = contact
        self._now = now
        self._lost_after = lost_after
        self._latest: dict[UUID, Job] = {}
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def hear_router(self, report: JobReport) -> Job:
        """Apply the Router's word of one job. Raises JobPruned."""
        me = await self._contact.me()
        async with self._turn(report.id):
            job = await self._history.job(report.id)
            told = await self._heard(job, report, me, listed=False)
            if told is not None:
                await self._keep(told)
                return told.job
            assert job is not None  # noqa: S101  (of one that was not known there is news)
            return job

    async def hear_changes(self, reports: Sequence[JobReport], *, position: Mark) -> None:
        """Apply the Router's changes in their order; they are kept together, and how far they have been heard last."""
        me = await self._contact.me()
        async with AsyncExitStack() as turns:
            for job_id in {report.id for report in reports}:
                await turns.enter_async_context(self._turn(job_id))
            jobs = dict(await self._history.known({report.id for report in reports}))
            news: list[Told] = []
            heard_to = None
            try:
                for report in reports:
                    with suppress(JobPruned):
                        told = await self._heard(jobs.get(report.id), report, me, listed=True)
                        if told is not None:
                            jobs[report.id] = told.job
                            news.append(told)
                heard_to = position
            finally:
                # Whatever is wrong with one of them, those before it are kept.
                await self._keep(*news, position=heard_to)

    async def forgotten(self, job_id: UUID) -> Job:
        """The Router says that there is no such job."""
        return await self._apply(
            job_id, lambda job: course.forgotten(job, now=self._now(), lost_after=self._lost_after)
        )

    async def known(self, job_id: UUID) -> Job:
        """The job as it is now. Only for one that was heard of."""
        job = await self._history.job(job_id)
        assert job is not None  # noqa: S101  (only a job that was heard of is followed)
        return job

    async def hear_lines(self, job_id: UUID, lines: Sequence[StreamLine]) -> Job:
        """Apply lines of the job's status stream, up to its end; they are kept together."""
        async with self._turn(job_id):
            before = job = self._latest.get(job_id) or await self.known(job_id)
            events: list[NewEvent] = []
            try:
                for line in lines:
                    told = stream.hear_line(job, line)
                    if told is not None:
                        job = told.job
                        events += told.events
                    if job.stream_ended or job.is_over:
                        break
            finally:
                # Whatever is wrong with a line, those before it are kept.
                if events or job is not before:
                    await self._keep(Told(job=job, events=tuple(events)))
            return job

    async def stop_waiting(self, job_id: UUID) -> Job:
        """The stream's end marker stayed away past its deadline."""
        return await self._apply(job_id, course.stop_waiting)

    async def upstream_lost(self, job_id: UUID) -> Job:
        """The status stream cannot be read."""
        return await self._apply(job_id, lambda job: course.upstream_lost(job, now=self._now()))

    async def upstream_back(self, job_id: UUID) -> Job:
        """The status stream is read again."""
        return await self._apply(job_id, lambda job: course.upstream_back(job, now=self._now()))

    async def _heard(self, job: Job | None, report: JobReport, me: Me, *, listed: bool) -> Told | None:
        if job is not None:
            has_moved = OF_MARKET_STATUS.get(report.market_status) is not job.phase
            by = await self._asked_by(report) if has_moved else None
            return course.hear_router(job, report, now=self._now(), by=by, listed=listed)
        if await self._history.is_pruned(report.id):
            raise JobPruned("The job was removed from the history, and is not taken up again.")
        return await self._introduced(report, me, listed=listed)

    async def _introduced(self, report: JobReport, me: Me, *, listed: bool) -> Told:
        created_by = await self._creator(report) if report.owner.team == me.team else None
        by = await self._asked_by(report)
        streamed = report.is_streamed_to(me.team)
        return course.first_heard(report, streamed=streamed, created_by=created_by, by=by, listed=listed)

    async def _asked_by(self, report: JobReport) -> str | None:
        """Who asked this gateway for what moved the job. None: nobody here."""
        if report.actor is None or report.actor.client_ref is None:
            return None
        return asked_by(await self._actions.of_job(report.id), report.actor)

    async def _creator(self, report: JobReport) -> str | None:
        """Who asked for it, however its create was answered: the reference was kept before it was sent.

        The first job that comes with a reference has it: others of the team can see it, and could say it again.
        """
        if report.client_ref is None:
            return None
        await self._actions.made(report.client_ref, job_id=report.id)
        return await self._actions.creator(report.id)

    async def _keep(self, *news: Told, position: Mark | None = None) -> None:
        for told in news:
            self._latest.pop(told.job.id, None)  # whether it was kept is not known before the end
        await self._history.keep(*news, position=position)
        self._latest |= {told.job.id: told.job for told in news}
        for told in news:
            if told.job.is_over:
                self._latest.pop(told.job.id, None)
        while len(self._latest) > _LATEST:
            del self._latest[next(iter(self._latest))]

    async def _apply(self, job_id: UUID, rule: Callable[[Job], Told | None]) -> Job:
        async with self._turn(job_id):
            job = await self.known(job_id)
            told = rule(job)
            if told is None:
                return job
            await self._keep(told)
            return told.job

    def _turn(self, job_id: UUID) -> AbstractAsyncContextManager[None]:
        return self._turns.setdefault(job_id, asyncio.Lock())
