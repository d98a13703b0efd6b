"""A cable that breaks at a byte: a relay that carries an answer up to a place, and breaks the connection off there."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.relay import Relay, Way, laid

_ID_LINE = re.compile(rb"\nid: [0-9]+\n")
_ENDS_WITH_ID_LINE = re.compile(rb"\nid: [0-9]+\n\Z")
_HEAD = b"HTTP/1.1 "
_END_OF_HEAD = b"\r\n\r\n"
_LONGEST_ID_LINE = 30
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where to break off: so many bytes on, or behind the next id's line from there, before the blank line."""

    after: int
    behind_an_id: bool = False


class CuttingRelay(Relay):
    """Breaks off as often as it was told to; `carried` is all that came back, `cuts` the last bytes before each cut.

    One that spares ids does not part an id's line from the blank line after it: it breaks off a byte earlier. One that
    spares heads breaks off behind the head of an answer where it would have done so within it.
    """

    def __init__(self, target: str, *, spares_ids: bool, spares_heads: bool) -> None:
        super().__init__(target)
        self.carried = bytearray()
        self.cuts: list[bytes] = []
        self._spares_ids = spares_ids
        self._spares_heads = spares_heads
        self._wanted: deque[Cut] = deque()
        self._since = 0

    def cut(self, *wanted: Cut) -> None:
        """The first is counted from what was carried up to now, each other from the cut before, over all connections."""
        self._wanted.extend(wanted)
        self._since = len(self.carried)

    def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, way: Way) -> asyncio.Task[None]:
        if way is Way.THERE:
            return super()._pump(reader, writer, way=way)

        async def pump() -> None:
            while piece := await reader.read(_PIECE):
                cut = self._cut_within(piece)
                writer.write(piece[:cut])
                await writer.drain()
                if cut is not None:
                    return

        return asyncio.create_task(pump(), name="a relay's pump that breaks off")

    def _cut_within(self, piece: bytes) -> int | None:
        """How much of the piece is still carried. None: all, and what comes after it."""
        before = len(self.carried)
        self.carried += piece
        if (place := self._place()) is None:
            return None
        place = max(place, before)
        del self.carried[place:]
        self.cuts.append(bytes(self.carried[-80:]))
        self._wanted.popleft()
        self._since = place
        return place - before

    def _place(self) -> int | None:
        """The place of the next cut, once it has come by."""
        if not self._wanted:
            return None
        place = self._since + self._wanted[0].after
        if self._wanted[0].behind_an_id:
            found = _ID_LINE.search(self.carried, place)
            return found and found.end()
        if self._spares_heads:
            place = self._behind_a_head(place)
        if self._spares_ids and self._is_behind_an_id(place):
            place -= 1
        return place if place <= len(self.carried) else None

    def _behind_a_head(self, place: int) -> int:
        """The place itself, where it is in no head; beyond what has come, where the head has not."""
        head = self.carried.rfind(_HEAD, 0, place + len(_HEAD))
        end = self.carried.find(_END_OF_HEAD, head)
        if head < 0:
            return place
        return max(place, end + len(_END_OF_HEAD) if end >= 0 else len(self.carried) + 1)

    def _is_behind_an_id(self, place: int) -> bool:
        return _ENDS_WITH_ID_LINE.search(self.carried, max(0, place - _LONGEST_ID_LINE), place) is not None


@asynccontextmanager
async def cutting(target: str, *, spares_ids: bool = False, spares_heads: bool = False) -> AsyncIterator[CuttingRelay]:
    """One to this address, for as long as the block lasts."""
    async with laid(CuttingRelay(target, spares_ids=spares_ids, spares_heads=spares_heads)) as between:
        yield between
