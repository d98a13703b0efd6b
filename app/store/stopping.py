"""Long work on databases, which a Ctrl-C may break off."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The work was broken off as it was asked for."""


class Stop:
    """How the work is told to leave off."""

    def __init__(self) -> None:
        self._asked = False
        self._at_work: list[sqlite3.Connection] = []

    def ask(self) -> None:
        """From another thread."""
        self._asked = True
        for connection in tuple(self._at_work):
            connection.interrupt()

    def check(self) -> None:
        """Raises Stopped."""
        if self._asked:
            raise Stopped

    @contextmanager
    def may_interrupt(self, connection: sqlite3.Connection) -> Iterator[None]:
        """What this connection is asked meanwhile may be broken off. Raises Stopped."""
        self._at_work.append(connection)
        try:
            yield
        except sqlite3.OperationalError:
            self.check()
            raise
        finally:
            self._at_work.remove(connection)
        self.check()


def stoppable(work: Callable[[Stop], T]) -> T:
    """The work, in a thread of its own, since SQLite does not look up while it works. Raises KeyboardInterrupt."""
    stop = Stop()
    with ThreadPoolExecutor(1) as thread:
        try:
            done = thread.submit(work, stop)
            while True:
                try:
                    return done.result()
                except KeyboardInterrupt:
                    stop.ask()
        except Stopped:
            raise KeyboardInterrupt from None
        except KeyboardInterrupt:  # between two lines of the above: the work has begun all the same
            stop.ask()
            raise
