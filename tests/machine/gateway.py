"""The gateway's own services on a real database: put together, taken apart in the middle of things, and together again."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID

from msgspec.structs import replace

from app.domain.access import Caller
from app.domain.attempts import asked_for
from app.domain.errors import GatewayError
from app.domain.events import Event
from app.domain.jobs import Job, NewJob
from app.domain.ports import Router
from app.services.contact import Contact
from app.services.hub import Hub
from app.services.jobs import Jobs
from app.services.observe import Observer
from app.services.once import Attempt, Done, Once
from app.services.reconcile import Reconciler
from app.services.record import Record
from app.store.memory import Memory, open_memory
from tests.machine.router import RouterModel
from tests.support.news import NEW_JOB, NOON

LOST_AFTER = timedelta(minutes=1)


class Gateway:
    """One process of the gateway, as far as its services go; nothing runs in it but what is asked for."""

    def __init__(self, router: RouterModel, database: Path) -> None:
        self.router = router
        self.now: datetime = NOON
        self._database = database
        self._open = AsyncExitStack()
        self._under_way: set[asyncio.Task[Done]] = set()

    async def start(self) -> None:
        """On what is in the database."""
        url = f"sqlite:///{self._database}"
        self.memory: Memory = await self._open.enter_async_context(
            open_memory(url, tell=lambda _: None, now=lambda: self.now)
        )
        router = cast("Router", self.router)
        contact = Contact(router, now=lambda: self.now)
        history, actions = self.memory.history, self.memory.actions
        self.observer = Observer(history, actions=actions, contact=contact, now=lambda: self.now, lost_after=LOST_AFTER)
        self.reconciler = Reconciler(router, history=history, observer=self.observer, contact=contact, every_s=3600)
        self.once = Once(self.memory.attempts)
        self.jobs = Jobs(
            router,
            history=history,
            record=Record(actions),
            observer=self.observer,
            hub=Hub(),
            contact=contact,
            confirm_within_s=0,
        )

    async def die(self) -> None:
        """In the middle of whatever is under way; what is written is written."""
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._under_way.clear()
        await self._open.aclose()

    async def create(self, key: str | None, *, by: Caller, asks: bool) -> UUID | GatewayError | None:
        """A create, with a key or without. None: its answer is held back."""
        new: NewJob = replace(NEW_JOB, job_name="asks" if asks else "is free")
        asked = asked_for(key, by=by, route="create", body=[new, False])
        return await self._called(self.once.do(asked, lambda attempt: self.jobs.create(new, by=by, attempt=attempt)))

    async def ask(self, verb: str, job_id: UUID, key: str | None, *, by: Caller) -> UUID | GatewayError | None:
        """A submit, cancel or kill."""
        asked = asked_for(key, by=by, route=f"{verb} {job_id}", body=None)

        def deed(attempt: Attempt) -> Awaitable[Job]:
            if verb == "submit":
                return self.jobs.submit(job_id, by=by, attempt=attempt)
            if verb == "kill":
                return self.jobs.kill(job_id, by=by, reason="enough")
            return self.jobs.cancel(job_id, by=by, reason="enough", attempt=attempt)

        return await self._called(self.once.do(asked, deed, whatever_is_remembered=verb == "kill"))

    async def held_answers_came(self) -> None:
        """See every call to its end whose answer was held back."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        for task in self._under_way:
            _outcome(task)
        self._under_way.clear()

    async def hear_next_change(self) -> bool:
        """What the reader of the changes does with the next one. False: there is none."""
        position = await self.memory.history.position()
        known = position.sequence if position is not None and position.epoch == self.router.epoch else 0
        if known >= len(self.router.changes):
            return False
        change = self.router.changes[known]
        assert change.report is not None
        await self.observer.hear_changes([change.report], position=change.mark)
        return True

    async def hear_change_again(self, back: int) -> None:
        """One that was heard before comes again."""
        position = await self.memory.history.position()
        if position is None or position.epoch != self.router.epoch:
            return
        change = self.router.changes[max(0, position.sequence - 1 - back)]
        assert change.report is not None
        await self.observer.hear_changes([change.report], position=change.mark)

    async def hear_next_line(self, job_id: UUID) -> bool:
        """What a follower does with the next line. False: it has none to hear."""
        job = await self.memory.history.job(job_id)
        if job is None or job.submitted is None or job.stream_ended:
            return False
        for line in self.router.streams[job_id].lines:
            if job.stream is None or job.stream.precedes(line.mark):
                await self.observer.hear_lines(job_id, [line])
                return True
        return False

    async def job(self, job_id: UUID) -> Job | None:
        """As the history has it."""
        return await self.memory.history.job(job_id)

    async def events(self, job_id: UUID) -> Sequence[Event]:
        """All of the job's, late ones too."""
        return await self.memory.history.events(job_id, after=0, limit=100_000, late_too=True)

    async def _called(self, doing: Awaitable[Done]) -> UUID | GatewayError | None:
        self.router.holds.clear()
        self.router.sent = 0
        task: asyncio.Task[Done] = asyncio.ensure_future(doing)
        held = asyncio.create_task(self.router.holds.wait())
        await asyncio.wait({task, held}, return_when=asyncio.FIRST_COMPLETED)
        held.cancel()
        if task.done():
            return _outcome(task)
        self._under_way.add(task)
        return None


def _outcome(task: asyncio.Task[Done]) -> UUID | GatewayError | None:
    if task.cancelled():
        return None
    error = task.exception()
    if error is None:
        return task.result().job.id
    if not isinstance(error, GatewayError):
        raise error
    return error
