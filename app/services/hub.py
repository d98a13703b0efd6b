"""Who listens to what, and the bells that wake them. What is told here is in the log already."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from app.domain.events import Event

log = logging.getLogger(__name__)


class Bell:
    """Rings when there is something new. It stays rung until somebody looks."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is something new."""
        self._rung.set()

    def quieten(self) -> None:
        """To be called before looking, so that what comes while one looks rings again."""
        self._rung.clear()

    async def rings(self, *, within_s: float) -> bool:
        """Whether it rang in time."""
        try:
            async with asyncio.timeout(within_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True


class Visit:
    """A viewer's stay, which whoever let it in may end."""

    def __init__(self, leave: Callable[[], None] | None = None) -> None:
        self.bell = Bell()
        self.over = False
        self._leave = leave

    def end(self) -> None:
        """Send this viewer home."""
        self.over = True
        self.bell.ring()
        if self._leave is not None:
            self._leave()


class Hub:
    """One bell for each listener: to one job, or (None) to all."""

    def __init__(self) -> None:
        self._bells: dict[UUID | None, set[Bell]] = {}
        self._others: list[Callable[[Sequence[Event]], None]] = []
        self._noting: list[Callable[[], None]] = []
        self._leaving: list[Callable[[], None]] = []
        self._closing = False

    @property
    def closing(self) -> bool:
        """Whether listeners are to leave."""
        return self._closing

    def tell(self, events: Sequence[Event]) -> None:
        """Something was written down: wake everybody whom these events concern."""
        for note in self._noting:
            note()
        if not events:
            return
        for channel in {None, *(event.job_id for event in events)}:
            self._ring(channel)
        for other in self._others:
            try:
                other(events)
            except Exception:
                # What is told is written already: whoever cannot hear it must not end the writing.
                log.exception("a listener failed")

    def also_tell(self, other: Callable[[Sequence[Event]], None]) -> None:
        """Hand every event to somebody who needs no bell."""
        self._others.append(other)

    def also_note(self, note: Callable[[], None]) -> None:
        """What is to be done when anything was written down, whether or not an event tells of it."""
        self._noting.append(note)

    def also_close(self, leave: Callable[[], None]) -> None:
        """What is to be done when viewers are to leave."""
        self._leaving.append(leave)

    def close(self) -> None:
        """Send every listener home, and every viewer."""
        self._closing = True
        for channel in list(self._bells):
            self._ring(channel)
        for leave in self._leaving:
            leave()

    @contextmanager
    def listen(self, channel: UUID | None, bell: Bell | None = None) -> Iterator[Bell]:
        """A bell for as long as one listens: one's own, or a new one."""
        bell = bell or Bell()
        listeners = self._bells.setdefault(channel, set())
        listeners.add(bell)
        try:
            yield bell
        finally:
            listeners.discard(bell)
            if not listeners and self._bells.get(channel) is listeners:
                del self._bells[channel]

    def _ring(self, channel: UUID | None) -> None:
        for bell in self._bells.get(channel, ()):
            bell.ring()
