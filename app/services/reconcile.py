"""Compares every job that is not over with the Router, so that what no news told is noticed all the same."""

import asyncio
import logging
from uuid import UUID

from app.domain.errors import GatewayError, JobNotKnown, Rejected, StoreAway, Unanswered, Unreachable
from app.domain.ports import History, Router
from app.services.contact import Contact
from app.services.observe import Observer

log = logging.getLogger(__name__)

_AT_ONCE = 4


class Reconciler:
    """Looks at all of them when it starts, and then every so often; while the Router is away it waits."""

    def __init__(
        self, router: Router, *, history: History, observer: Observer, contact: Contact, every_s: float
    ) -> None:
        self._router = router
        self._history = history
        self._observer = observer
        self._contact = contact
        self._every_s = every_s

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await self._contact.in_touch()
            try:
                await self.compare()
            except GatewayError as error:
                log.info("comparison broken off", extra={"why": f"{type(error).__name__}: {error}"})
            except Exception:
                # Whatever one job is like, the others are compared the next time.
                log.exception("comparison failed")
            await asyncio.sleep(self._every_s)

    async def compare(self) -> None:
        """Every job that is not over, once. Raises as soon as the Router or the history cannot be asked."""
        left = list(reversed(await self._history.unfinished()))
        try:
            async with asyncio.TaskGroup() as looking:
                for _ in range(_AT_ONCE):
                    looking.create_task(self._compare_each(left), name="reconcile")
        except* GatewayError as failed:
            raise failed.exceptions[0] from failed

    async def _compare_each(self, left: list[UUID]) -> None:
        while left:
            await self._compare(left.pop())

    async def _compare(self, job_id: UUID) -> None:
        try:
            await self._look_at(job_id)
        except (Unreachable, Unanswered, Rejected, StoreAway):
            raise
        except Exception:
            # Whatever one job is like, the others are compared.
            log.exception("job not compared", extra={"job": str(job_id)})

    async def _look_at(self, job_id: UUID) -> None:
        try:
            report = await self._router.job(job_id)
        except JobNotKnown:
            await self._observer.forgotten(job_id)
        else:
            await self._observer.hear_router(report)
