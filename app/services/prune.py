"""Keeps the history as long as is wanted, and no longer."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from app.domain.errors import StoreAway
from app.domain.ports import Retention

log = logging.getLogger(__name__)

_EVERY_S = 3_600.0


class Pruner:
    """Removes the jobs that have been over for longer than `keep`, now and then, a little at a time."""

    def __init__(self, retention: Retention, *, keep: timedelta, now: Callable[[], datetime]) -> None:
        self._retention = retention
        self._keep = keep
        self._now = now

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            try:
                await self.prune()
            except StoreAway as error:
                log.warning("pruning broken off", extra={"why": str(error)})
            except Exception:
                # Whatever it was, it is tried again.
                log.exception("pruning failed")
            await asyncio.sleep(_EVERY_S)

    async def prune(self) -> int:
        """Remove all that is too old by now; how many jobs."""
        before, jobs = self._now() - self._keep, 0
        while (removed := await self._retention.remove_some(before)) is not None:
            jobs += removed
        if jobs:
            log.info("pruned", extra={"jobs": jobs, "over_before": before.isoformat()})
        return jobs
