"""Listens to the Router's changes, so that jobs which others started are known here too."""

import asyncio
import logging
from collections.abc import Sequence

from app.domain.errors import GatewayError
from app.domain.jobs import Mark
from app.domain.ports import Feed, History
from app.domain.reports import Change
from app.services.backoff import Backoff
from app.services.contact import Contact
from app.services.observe import Observer

log = logging.getLogger(__name__)


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

    def __init__(self, feed: Feed, *, history: History, observer: Observer, contact: Contact, backoff: Backoff) -> None:
        self._feed = feed
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
        async with self._feed.changes(position) as changes:
            async for together in changes:
                self._failures = 0
                await self._hear(together, position)
                position = together[-1].mark
                if [reading.has_caught_up(change) for change in together][-1]:
                    self._contact.heard()

    async def _hear(self, together: Sequence[Change], position: Mark | None) -> None:
        reports = [change.report for change in together if change.report is not None]
        if reports:
            await self._observer.hear_changes(reports, position=together[-1].mark)
        elif position is None or position.precedes(together[-1].mark):
            await self._history.keep(position=together[-1].mark)
