"""Looks at the Router's jobs again and again, where it does not tell of their changes."""

import asyncio
import logging
from contextlib import suppress
from uuid import UUID

from app.domain.errors import GatewayError, JobNotKnown, JobPruned
from app.domain.jobs import Mark
from app.domain.ports import Listing, Router
from app.domain.reports import JobReport
from app.services.backoff import Backoff
from app.services.contact import Contact
from app.services.observe import Observer

log = logging.getLogger(__name__)


class Polling:
    """One reader of the Router's jobs: of all of them when it starts, and then of those that are not over.

    A job that somebody else makes, and that is over before the next look, is met at the next start.
    """

    def __init__(
        self,
        router: Router,
        listing: Listing,
        *,
        observer: Observer,
        contact: Contact,
        backoff: Backoff,
        every_s: float,
    ) -> None:
        self._router = router
        self._listing = listing
        self._observer = observer
        self._contact = contact
        self._backoff = backoff
        self._every_s = every_s
        self._heard: dict[UUID, Mark] = {}
        self._has_seen_all = False
        self._failures = 0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            pause_s = self._every_s
            if await self._has_looked():
                self._failures = 0
                self._contact.heard()
            else:
                self._contact.lost()
                self._failures += 1
                pause_s = max(pause_s, self._backoff.pause_s(self._failures))
            await asyncio.sleep(pause_s)

    async def _has_looked(self) -> bool:
        try:
            await self._look()
        except GatewayError as error:
            self._note(error)
        except Exception:
            # Whatever one job is like must not end the looking for good.
            log.exception("jobs not looked at")
        else:
            return True
        return False

    def _note(self, error: GatewayError) -> None:
        """The first failure in a row is news; that it goes on is not."""
        level = logging.INFO if self._failures else logging.WARNING
        log.log(level, "router out of touch", extra={"why": f"{type(error).__name__}: {error}"})

    async def _look(self) -> None:
        await self._contact.me()
        reports = {report.id: report for report in await self._listing.jobs(over=not self._has_seen_all)}
        for report in reports.values():
            if self._heard.get(report.id) != report.mark:
                await self._hear(report)
        for job_id in [*self._heard]:
            if job_id not in reports:
                await self._hear_of_end(job_id)
        self._heard = {report.id: report.mark for report in reports.values()}
        self._has_seen_all = True

    async def _hear_of_end(self, job_id: UUID) -> None:
        """It was amongst those that are not over, and is so no more."""
        try:
            report = await self._router.job(job_id)
        except JobNotKnown:
            await self._observer.forgotten(job_id)
        else:
            await self._hear(report)

    async def _hear(self, report: JobReport) -> None:
        with suppress(JobPruned):
            await self._observer.hear_router(report)
