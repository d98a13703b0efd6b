"""Sees to it that every job with a stream to read has one follower."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from app.domain.events import Event, Kind
from app.domain.jobs import Job
from app.domain.ports import History
from app.services.follow import Follower

log = logging.getLogger(__name__)


class Followers:
    """Starts a follower when the log speaks of a job that wants one, and for those that wanted one when we stopped."""

    def __init__(self, history: History, *, follower: Callable[[UUID], Follower], tasks: asyncio.TaskGroup) -> None:
        self._history = history
        self._follower = follower
        self._tasks = tasks
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._again: set[UUID] = set()
        self._closed = False

    async def resume(self) -> None:
        """Take up every job that is not over."""
        for job_id in await self._history.unfinished():
            self._ensure(job_id)

    def notice(self, events: Sequence[Event]) -> None:
        """A change of phase may be the moment from which a job has a stream."""
        for event in events:
            if event.kind is Kind.PHASE:
                self._ensure(event.job_id)

    def close(self) -> None:
        """End every follower; the next start takes them up again."""
        self._closed = True
        for task in self._running.values():
            task.cancel()

    def _ensure(self, job_id: UUID) -> None:
        if self._closed:
            return  # what was being written still comes in; a follower begun now would have nobody to end it
        if job_id in self._running:
            self._again.add(job_id)
            return
        self._running[job_id] = self._tasks.create_task(self._follow(job_id), name=f"follow {job_id}")

    async def _follow(self, job_id: UUID) -> None:
        try:
            await self._follow_while_wanted(job_id)
        except Exception:
            # One job's follower must not end the others'; the job is taken up again at its next change of phase.
            log.exception("follower failed", extra={"job": str(job_id)})
        finally:
            del self._running[job_id]

    async def _follow_while_wanted(self, job_id: UUID) -> None:
        while True:
            self._again.discard(job_id)
            job = await self._history.job(job_id)
            if job is not None and _has_stream_to_read(job):
                await self._follower(job_id).run(job)
            if job_id not in self._again:
                return


@asynccontextmanager
async def open_followers(history: History, *, follower: Callable[[UUID], Follower]) -> AsyncIterator[Followers]:
    """Followers that all end with the block."""
    async with asyncio.TaskGroup() as tasks:
        followers = Followers(history, follower=follower, tasks=tasks)
        try:
            yield followers
        finally:
            followers.close()


def _has_stream_to_read(job: Job) -> bool:
    return job.streamed and job.submitted is not None and not job.stream_ended and not job.is_over
