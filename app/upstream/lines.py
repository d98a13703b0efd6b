"""Newline-delimited JSON without end, in bounded pieces."""

from collections.abc import AsyncIterator

import httpx

MAX_LINE_BYTES = 1024 * 1024


class TooLong:
    """Stands for a line over the limit; its bytes were let go."""


TOO_LONG = TooLong()


async def lines_of(response: httpx.Response, *, longest: int = MAX_LINE_BYTES) -> AsyncIterator[bytes | TooLong]:
    """The lines, split on the newline byte alone: other line separators may stand inside JSON text."""
    held = bytearray()
    overflown = False
    async for piece in response.aiter_bytes():
        *whole, rest = piece.split(b"\n")
        for end in whole:
            yield TOO_LONG if overflown or len(held) + len(end) > longest else bytes(held + end)
            held.clear()
            overflown = False
        held += rest
        if len(held) > longest:
            overflown = True
            held.clear()
