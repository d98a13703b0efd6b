"""Listens to the Router's changes, so that jobs which others started are known here too."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from app.domain.errors import GatewayError, JobPruned
from app.domain.jobs import Mark
from app.domain.ports import History, Router
from app.domain.reports import Change, JobReport
from app.services.backoff import Backoff
from app.services.contact import Contact
from app.services.observe import Observer

log = logging.getLogger(__name__)

_TOGETHER = 100


class _Reading:
    """How far one reading of the changes has come. Before it has caught up, what is known here may be old."""

    def __init__(self) -> None:
        self._begun = False
        self._head: int | None = None
        self._caught_up = False

    def has_caught_up(self, change: Change) -> bool:
        """Whether all that had changed when the reading began has been told, now that this was.

        A Router that does not say how far that is gives a sign of life when it has nothing more to tell.
        """
        is_first, self._begun = not self._begun, True
        if is_first:
            self._head = change.head
        told_all = self._head is not None and change.mark.sequence >= self._head
        self._caught_up = self._caught_up or told_all or (change.report is None and not is_first)
        return self._caught_up


class Changes:
    """One reader of the changes feed, resuming where the history says it stopped."""

    def __init__(
        self, router: Router, *, history: History, observer: Observer, contact: Contact, backoff: Backoff
    ) -> None:
        self._router = router
        self._history = history
        self._observer = observer
        self._contact = contact
        self._backoff = backoff
        self._failures = 0

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                await self._listen()
            except GatewayError as error:
                self._note(error)
            except Exception:
                # A line that breaks a rule nobody foresaw must not end the listening for good.
                log.exception("changes failed")
            self._contact.lost()
            self._failures += 1
            await asyncio.sleep(self._backoff.pause_s(self._failures))

    def _note(self, error: GatewayError) -> None:
        """The first failure in a row is news; that it goes on is not."""
        level = logging.INFO if self._failures else logging.WARNING
        log.log(level, "router out of touch", extra={"why": f"{type(error).__name__}: {error}"})

    async def _listen(self) -> None:
        await self._contact.me()
        position = await self._history.position()
        reading = _Reading()
        async with self._router.changes(position) as changes, _ahead(changes) as coming:
            while together := await coming.next():
                self._failures = 0
                await self._hear(together, position)
                position = together[-1].mark
                if [reading.has_caught_up(change) for change in together][-1]:
                    self._contact.heard()

    async def _hear(self, together: Sequence[Change], position: Mark | None) -> None:
        """Those of one job in their order, those of several at the same time; how far, once all are kept."""
        last = together[-1]
        if len(together) == 1 and last.report is not None:
            with suppress(JobPruned):
                await self._observer.hear_router(last.report, listed=True, position=last.mark)
            return
        try:
            async with asyncio.TaskGroup() as hearing:
                for change in together:
                    if change.report is not None:
                        hearing.create_task(self._hear_one(change.report), name="change")
        except* GatewayError as failed:
            raise failed.exceptions[0] from failed
        has_news = any(change.report is not None for change in together)
        if has_news or (position or together[0].mark).precedes(last.mark):
            await self._history.keep_position(last.mark)

    async def _hear_one(self, report: JobReport) -> None:
        with suppress(JobPruned):
            await self._observer.hear_router(report, listed=True)


class _Coming:
    """Changes as they are read: as many at a time as there are."""

    def __init__(self) -> None:
        self._read: asyncio.Queue[Change | None] = asyncio.Queue(_TOGETHER)
        self._failure: Exception | None = None

    async def read(self, changes: AsyncIterator[Change]) -> None:
        """Up to their end, or a failure."""
        try:
            async for change in changes:
                await self._read.put(change)
        except Exception as failure:  # noqa: BLE001  (raised again where the changes are taken)
            self._failure = failure
        await self._read.put(None)

    async def next(self) -> list[Change]:
        """Empty at their end. Raises what reading them raised, once those before it were taken."""
        together: list[Change] = []
        change = await self._read.get()
        while change is not None:
            together.append(change)
            if self._read.empty():
                return together
            change = self._read.get_nowait()
        if together:
            self._read.put_nowait(None)
        elif self._failure is not None:
            raise self._failure
        return together


@asynccontextmanager
async def _ahead(changes: AsyncIterator[Change]) -> AsyncIterator[_Coming]:
    coming = _Coming()
    reading = asyncio.create_task(coming.read(changes), name="reading changes")
    try:
        yield coming
    finally:
        reading.cancel()
        await asyncio.wait([reading])
