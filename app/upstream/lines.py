"""Newline-delimited JSON without end, in bounded pieces and bounded time."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx

MAX_LINE_BYTES = 1024 * 1024


class TooLong:
    """Stands for a line over the limit; its bytes were let go."""


TOO_LONG = TooLong()


async def lines_of(
    response: httpx.Response, *, within_s: float, longest: int = MAX_LINE_BYTES
) -> AsyncIterator[Sequence[bytes | TooLong]]:
    """The lines, as many at a time as came together: one at least.

    They are split on the newline byte alone: other line separators may stand inside JSON text. Raises httpx.ReadTimeout
    for a line that is waited for longer than that, however many bytes of it have come.
    """
    pieces = response.aiter_raw()
    held = bytearray()
    overflown = False
    due_s = _now_s() + within_s
    while piece := await _next(pieces, due_s=due_s):
        *whole, rest = piece.split(b"\n")
        lines: list[bytes | TooLong] = []
        for end in whole:
            lines.append(TOO_LONG if overflown or len(held) + len(end) > longest else bytes(held + end))
            held.clear()
            overflown = False
        if lines:
            yield lines
            due_s = _now_s() + within_s
        held += rest
        if len(held) > longest:
            overflown = True
            held.clear()


async def pieces_of(response: httpx.Response, *, within_s: float) -> AsyncIterator[bytes]:
    """The bytes as they come. Raises httpx.ReadTimeout where the next are waited for longer than that."""
    pieces = response.aiter_raw()
    while piece := await _next(pieces, due_s=_now_s() + within_s):
        yield piece


async def _next(pieces: AsyncIterator[bytes], *, due_s: float) -> bytes:
    """Empty at the end. httpx bears any silence in which a byte comes now and then, though it may be of no piece."""
    try:
        async with asyncio.timeout_at(due_s):
            return await anext(pieces, b"")
    except TimeoutError as error:
        raise httpx.ReadTimeout("Nothing whole came in time.") from error


def _now_s() -> float:
    return asyncio.get_running_loop().time()
