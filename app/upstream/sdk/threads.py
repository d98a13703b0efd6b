"""Calls that block, each in a thread of its own: so many at a time, and none waited for longer than it may take."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class NotBegun(Exception):
    """No thread became free in time: surely nothing was done."""


class NotDone(Exception):
    """It was begun, and takes too long: whether it is done is unknown. Its thread is not free before it returns."""


class Threads:
    """The threads die with the process: a call that hangs for ever holds up nobody's end."""

    def __init__(self, *, at_most: int, within_s: float) -> None:
        self._free = asyncio.Semaphore(at_most)
        self._within_s = within_s

    async def call(self, work: Callable[[], T], *, within_s: float | None = None) -> T:
        """What it returns, or raises. Raises NotBegun and NotDone."""
        within_s = within_s or self._within_s
        try:
            async with asyncio.timeout(self._within_s):
                await self._free.acquire()
        except TimeoutError:
            raise NotBegun from None
        done = self._begun(work)
        try:
            async with asyncio.timeout(within_s):
                return await done
        except TimeoutError:
            if done.done() and not done.cancelled():
                return done.result()
            raise NotDone from None

    def _begun(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def tell(say: Callable[[], None]) -> None:
            self._free.release()
            if not done.done():
                say()

        def run() -> None:
            say: Callable[[], None]
            try:
                say = partial(done.set_result, work())
            except StopIteration as error:  # cannot stand in a future
                say = partial(done.set_exception, RuntimeError(repr(error)))
            except BaseException as error:  # noqa: BLE001  (whoever waits is told, whatever it is)
                say = partial(done.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, say)

        Thread(target=run, name="sdk", daemon=True).start()
        return done
