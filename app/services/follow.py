"""Reads one job's status stream, however many watch it here."""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from app.domain.errors import GatewayError, StoreAway, Unreachable
from app.domain.jobs import Job
from app.domain.ports import AccessPoints, Router
from app.domain.reports import StreamAddress, StreamLine
from app.services.backoff import Backoff
from app.services.observe import Observer

log = logging.getLogger(__name__)


class Follower:
    """Reads one job's status stream to its end marker, dialling again for as long as the job is not over."""

    def __init__(
        self,
        job_id: UUID,
        *,
        observer: Observer,
        router: Router,
        access_points: AccessPoints,
        backoff: Backoff,
        end_within_s: float,
        asking: asyncio.Semaphore | None = None,
    ) -> None:
        """`asking` is shared by all: so many ask the Router for their stream at a time, so that after a start each is answered.

        An Access Point that hangs must not hold up the streams of others.
        """
        self._job_id = job_id
        self._observer = observer
        self._router = router
        self._access_points = access_points
        self._backoff = backoff
        self._asking = asking or asyncio.Semaphore()
        self._end_within_s = end_within_s
        self._address: StreamAddress | None = None
        self._failures = 0
        self._held_at: float | None = None

    async def run(self, job: Job) -> None:
        """Return when nothing more is to be read."""
        while not (job.stream_ended or job.is_over):
            try:
                job = await self._read(job)
            except GatewayError as error:
                log.info("stream interrupted", extra={"job": str(self._job_id), "why": type(error).__name__})
                job = await self._after_failure(job)
            except Exception:
                # A line that breaks a rule nobody foresaw must not leave the job without an end.
                log.exception("stream failed", extra={"job": str(self._job_id)})
                job = await self._after_failure(job)

    async def _read(self, job: Job) -> Job:
        async with self._asking:
            address = await self._where()
        async with self._access_points.lines(self._job_id, address, after=job.stream) as lines:
            async for together in lines:
                job = await self._hear(await self._in_touch(job), together)
                if job.stream_ended or job.is_over:
                    return job
        raise Unreachable("The status stream stopped before its end.")

    async def _in_touch(self, job: Job) -> Job:
        """A stream is back with its first line; one that opens and breaks off says nothing."""
        self._failures = 0
        return job if job.upstream_lost_since is None else await self._observer.upstream_back(self._job_id)

    async def _hear(self, job: Job, lines: Sequence[StreamLine]) -> Job:
        if lines:
            return await self._observer.hear_lines(self._job_id, lines)
        return await self._without_news(job)

    async def _where(self) -> StreamAddress:
        """The Router's newest address; while it is away, the one that served last."""
        try:
            report = await self._router.job(self._job_id)
        except Unreachable:
            if self._address is None:
                raise
            return self._address
        await self._observer.hear_router(report)
        if report.stream is None:
            raise Unreachable("The Router names no status stream for this job.")
        self._address = report.stream
        return report.stream

    async def _after_failure(self, job: Job) -> Job:
        self._failures += 1
        try:
            if self._failures >= self._backoff.tries:
                job = await self._observer.upstream_lost(self._job_id)
            job = await self._without_news(job)
        except StoreAway as error:
            log.warning("history out of reach", extra={"job": str(self._job_id), "why": str(error)})
        if not job.is_over:
            await asyncio.sleep(self._backoff.pause_s(self._failures))
        return job

    async def _without_news(self, job: Job) -> Job:
        """Once the Router has called it over, the Access Point's end marker is waited for, but not for ever."""
        if job.held is None:
            return await self._observer.known(self._job_id)
        now = asyncio.get_running_loop().time()
        self._held_at = self._held_at or now
        if now - self._held_at < self._end_within_s:
            return job
        log.warning("end marker did not come", extra={"job": str(self._job_id)})
        return await self._observer.stop_waiting(self._job_id)
