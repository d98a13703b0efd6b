"""A bell: readers wait for it instead of asking again and again."""

import asyncio


class Bell:
    """Wakes everybody who listens; after `close` nobody waits any more."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self.closed = False

    def ring(self) -> None:
        """Wake all who wait now."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()

    def close(self) -> None:
        """Wake all, for the last time: whoever reads a stream ends it."""
        self.closed = True
        self.ring()

    async def heard(self, *, within_s: float) -> bool:
        """Wait for the next ring; False when it stayed silent for so long."""
        if self.closed:
            return True
        # The event is taken before the first await, so that a ring after the reader's last look is not missed.
        event = self._next
        try:
            async with asyncio.timeout(within_s):
                await event.wait()
        except TimeoutError:
            return False
        return True
