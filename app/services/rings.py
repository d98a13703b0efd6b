"""Frames that are ready to be sent, shared by all who watch the same: the newest, and pieces of the past."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable

_CHUNK_BYTES = 64 * 1024
_PIECE_BYTES = 1024  # what a piece costs by itself


class Ring:
    """The frames of a stream after `since`, up to `upto`: there are no others between the two."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.upto = since
        self.size = 0
        self._numbers: list[int] = []
        self._frames: list[bytes] = []

    def append(self, number: int, frame: bytes) -> None:
        """The next one."""
        self._numbers.append(number)
        self._frames.append(frame)
        self.upto = number
        self.size += len(frame)

    def reach(self, position: int) -> None:
        """There is no other up to there."""
        self.upto = max(self.upto, position)

    def after(self, cursor: int) -> tuple[bytes, int]:
        """The next frames after a cursor that is not before `since`, as one chunk, and the cursor behind them.

        No chunk, and how far that holds, where there are none.
        """
        first = place = bisect_right(self._numbers, cursor)
        size = 0
        while place < len(self._frames) and size < _CHUNK_BYTES:
            size += len(self._frames[place])
            place += 1
        behind = self._numbers[place - 1] if place > first else max(cursor, self.upto)
        return b"".join(self._frames[first:place]), behind

    def drop_older_half(self) -> None:
        """Make room: those who lag so far behind go to the log."""
        half = (len(self._frames) + 1) // 2
        self.since = self._numbers[half - 1]
        self.size -= sum(map(len, self._frames[:half]))
        del self._numbers[:half], self._frames[:half]


class Past:
    """Pieces of the log as frames: each is read once for all who replay it, and kept while there is room."""

    def __init__(self, read: Callable[[int], Awaitable[Ring]], *, grown: Callable[[], None]) -> None:
        """`read` reads the piece after a cursor. Nothing is ever written there any more. `grown`: one more is kept."""
        self.size = 0
        self._grown = grown
        self._read = read
        self._pieces: dict[int, Ring] = {}  # by `since`; those used last are last
        self._under_way: dict[int, asyncio.Task[Ring]] = {}

    async def after(self, cursor: int) -> Ring:
        """A piece that goes on behind the cursor. Raises what reading raises."""
        piece = self._pieces.get(cursor) or self._around(cursor)
        if piece is not None:
            self._pieces[piece.since] = self._pieces.pop(piece.since)
            return piece
        reading = self._under_way.get(cursor)
        if reading is None:
            reading = self._under_way[cursor] = asyncio.create_task(self._fetched(cursor), name="replay")
        return await asyncio.shield(reading)

    def drop_oldest(self) -> None:
        """Make room."""
        since = next(iter(self._pieces))
        self.size -= self._pieces.pop(since).size + _PIECE_BYTES

    def close(self) -> None:
        """Nobody is left to replay."""
        for reading in self._under_way.values():
            reading.cancel()

    def _around(self, cursor: int) -> Ring | None:
        return next((piece for piece in self._pieces.values() if piece.since <= cursor < piece.upto), None)

    async def _fetched(self, cursor: int) -> Ring:
        try:
            piece = await self._read(cursor)
        finally:
            del self._under_way[cursor]
        self._pieces[cursor] = piece
        self.size += piece.size + _PIECE_BYTES
        self._grown()
        return piece
