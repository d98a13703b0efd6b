"""How far a request has come, which says what its failure means; and the time for all of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx


class Passage:
    """Whether a request needed a connection of its own (`dialled`), may have been `sent`, and brought anything `back`.

    `when_sent` is called once all of it is.
    """

    __slots__ = ("back", "dialled", "sent", "when_sent")

    def __init__(self) -> None:
        self.dialled = False
        self.sent = False
        self.back = False
        self.when_sent: Callable[[], None] | None = None

    @property
    def found_nobody(self) -> bool:
        """Whether it set out on a connection from before and nothing came back by it."""
        return not (self.dialled or self.back)


@asynccontextmanager
async def in_time(within_s: float | None, passage: Passage) -> AsyncIterator[asyncio.Timeout]:
    """Everything inside, together. Raises what httpx raises when one step of it takes too long.

    httpx limits each step alone, and whoever sends a byte at a time is never late.
    """
    try:
        async with asyncio.timeout(within_s) as limit:
            yield limit
    except TimeoutError as error:
        if not limit.expired():
            raise
        late = httpx.ReadTimeout if passage.sent else httpx.ConnectTimeout
        raise late("The whole of it took too long.") from error
