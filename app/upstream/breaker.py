"""Keeps calls from setting out to a Router that does not answer, and finds out when it does again."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import ceil

from app.domain.errors import GatewayError, Unanswered, Unreachable

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0

Probe = Callable[[], Awaitable[bool]]


class Breaker:
    """One for all calls to the Router, whoever's token they carry.

    It opens when so many calls in a row were not answered; a refusal is an answer, and so is nonsense. While it is open
    nothing is sent but, after a pause, a probe, so that no caller's request is the one to find out. Any answer closes it.
    """

    def __init__(self, *, now_s: Callable[[], float], failures: int = 5) -> None:
        self._now_s = now_s
        self._failures = failures
        self._in_a_row = 0
        self._pause_s: float | None = None
        self._due_s = 0.0
        self._probing = False
        self._closings = 0

    @asynccontextmanager
    async def careful(self, probe: Probe) -> AsyncIterator[None]:
        """For a call that sets out if the Router is believed to answer. Raises Unreachable, with nothing sent."""
        await self._admit(probe)
        async with self.regardless():
            yield

    @asynccontextmanager
    async def regardless(self) -> AsyncIterator[None]:
        """For a call that sets out whatever is believed; what comes of it counts like any other."""
        closings = self._closings
        try:
            yield
        except (Unreachable, Unanswered):
            # One that set out before the Router was found to answer again says nothing of now.
            if closings == self._closings:
                self._unanswered()
            raise
        except GatewayError:
            self._answered()
            raise
        self._answered()

    def look_again(self) -> None:
        """There is a sign that the Router is back: the next caller probes, whatever is left of the pause."""
        self._due_s = self._now_s()

    async def _admit(self, probe: Probe) -> None:
        if self._pause_s is None:
            return
        if self._probing or self._now_s() < self._due_s:
            raise self._away()
        self._probing = True
        try:
            answered = await probe()
        finally:
            self._probing = False
        if answered:
            self._answered()
        elif self._pause_s is not None:
            self._open(min(2 * self._pause_s, _LONGEST_PAUSE_S))
            raise self._away()

    def _unanswered(self) -> None:
        self._in_a_row += 1
        if self._pause_s is None and self._in_a_row >= self._failures:
            log.warning("router does not answer; calls are held back", extra={"failures": self._in_a_row})
            self._open(_FIRST_PAUSE_S)

    def _answered(self) -> None:
        self._in_a_row = 0
        if self._pause_s is not None:
            log.warning("router answers again")
            self._pause_s = None
            self._closings += 1

    def _open(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._due_s = self._now_s() + pause_s

    def _away(self) -> Unreachable:
        left_s = max(1, ceil(self._due_s - self._now_s()))
        detail = (
            f"The Router did not answer the last calls and is being probed; nothing was sent. Try again in {left_s} s."
        )
        return Unreachable(detail, retry_after_s=left_s)
