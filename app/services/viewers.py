"""A viewer of a stream: a connection, and how far it has been told."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol


class Outlet(Protocol):
    """A viewer's connection. Once it is broken off, whatever is written is taken and goes nowhere."""

    @property
    def is_gone(self) -> bool:
        """Whether nobody is at the other end any more."""

    def give_up_after(self, seconds: float) -> None:
        """Break off by itself when nothing that was sent has arrived for so long."""

    def write(self, chunk: bytes) -> bool:
        """Hand it over. False: there is no room, and nothing was taken."""

    def end(self) -> bool:
        """Nothing follows. False: there is no room to say so."""

    async def room(self) -> None:
        """Wait until there is some."""

    def cut(self) -> None:
        """Break off, whatever has not gone out."""


class Viewer:
    """Somebody who watches a stream, and has everything of it up to the cursor."""

    def __init__(self, outlet: Outlet, *, cursor: int, first: bytes, still_here: Callable[[int | None], bytes]) -> None:
        """`first` goes before all events. `still_here` makes what is sent when nothing comes: given a position, it tells
        that.
        """
        self.write: Callable[[bytes], bool] = outlet.write
        self.room = outlet.room
        self.cursor = cursor
        self.told = cursor
        self.served_s = monotonic()
        self.over = False
        self.catching_up: asyncio.Task[None] | None = None
        self.owed = first
        self.still_here = still_here
        self._outlet = outlet

    @property
    def is_gone(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.over or self._outlet.is_gone

    def give_up_after(self, seconds: float) -> None:
        """Who takes nothing for so long is gone."""
        self._outlet.give_up_after(seconds)

    def give(self, chunk: bytes, *, cursor: int) -> bool:
        """Without waiting: everything up to the cursor. False: nothing was taken."""
        if chunk:
            if not self.write(chunk):
                return False
            self.served_s = monotonic()
            self.told = cursor
        self.cursor = cursor
        return True

    def end(self) -> bool:
        """End the stream cleanly, without waiting. False: there is no room to say so."""
        if not self.over and self._outlet.end():
            self.leave()
        return self.over

    def cut(self) -> None:
        """Break off."""
        self.leave()
        self._outlet.cut()

    def send_home(self) -> None:
        """End the stream; who cannot even be told is cut off."""
        if not self.end():
            self.cut()

    def leave(self) -> None:
        """Whatever is written from now on goes nowhere."""
        self.over = True
        self.write = _into_nothing


def _into_nothing(_chunk: bytes) -> bool:
    return True
