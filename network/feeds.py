"""Endless answers: what is new at once, a sign of life every second, and an end when the part stops."""

import asyncio
from collections.abc import AsyncIterator, Callable

from network.bell import Bell

BEAT_S = 1.0


async def follow(
    bell: Bell, read: Callable[[], list[bytes]], *, beat: Callable[[], bytes], ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield what `read` finds, again after each ring; `read` moves its own cursor and answers [] when up to date."""
    clock = asyncio.get_running_loop().time
    due = clock() + BEAT_S
    while not bell.closed:
        if lines := read():
            yield b"".join(lines)
        elif ended():
            return
        elif clock() >= due or not await bell.heard(within_s=due - clock()):
            yield beat()
            due = clock() + BEAT_S


def never() -> bool:
    """For feeds that have no end of their own."""
    return False


async def begun(first: bytes, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A first line before all others."""
    yield first
    async for line in lines:
        yield line
