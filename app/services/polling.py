"""Looks at the Router's jobs again and again, where it does not tell of their changes."""

import asyncio
import logging
from contextlib import suppress
from uuid import UUID

from app.domain.errors import GatewayError, JobNotKnown, JobPruned, Upstream
from app.domain.jobs import Mark
from app.domain.ports import History, Listing, Router
from app.domain.reports import JobReport
from app.services.backoff import Backoff
from app.services.contact import Contact
from app.services.observe import Observer

log = logging.getLogger(__name__)

_AT_A_TIME = 200


class Polling:
    """One reader of the Router's jobs: of those that are not over again and again, and of all of them once.

    A job that somebody else makes, and that is over before the next look, is met at the next start.
    """

    def __init__(
        self,
        router: Router,
        listing: Listing,
        *,
        history: History,
        observer: Observer,
        contact: Contact,
        backoff: Backoff,
        every_s: float,
    ) -> None:
        self._router = router
        self._listing = listing
        self._history = history
        self._observer = observer
        self._contact = contact
        self._backoff = backoff
        self._every_s = every_s
        self._heard: dict[UUID, Mark] = {}
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

    async def meet_all(self) -> None:
        """Look at all jobs once: those that came and went while this gateway was away are met then."""
        failures = 0
        while True:
            await self._contact.in_touch()
            try:
                return await self._look_at_all()
            except GatewayError as error:
                log.info("not all jobs looked at", extra={"why": f"{type(error).__name__}: {error}"})
            except Exception:
                log.exception("not all jobs looked at")
            failures += 1
            await asyncio.sleep(self._backoff.pause_s(failures))

    async def _look_at_all(self) -> None:
        reports = await self._listing.jobs(over=True)
        for begin in range(0, len(reports), _AT_A_TIME):
            some = reports[begin : begin + _AT_A_TIME]
            known = await self._history.known({report.id for report in some})
            for report in some:
                job = known.get(report.id)
                if job is None or not job.is_over:
                    await self._hear(report)

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
        reports = {report.id: report for report in await self._listing.jobs(over=False)}
        for report in reports.values():
            if self._heard.get(report.id) != report.mark:
                await self._hear(report)
        for job_id in [*self._heard]:
            if job_id not in reports:
                await self._hear_of_end(job_id)
        self._heard = {report.id: report.mark for report in reports.values()}

    async def _hear_of_end(self, job_id: UUID) -> None:
        """It was amongst those that are not over, and is so no more. What cannot be seen now, the comparison looks at."""
        try:
            report = await self._router.job(job_id)
        except JobNotKnown:
            await self._observer.forgotten(job_id)
        except Upstream as error:
            log.info("job not looked at", extra={"job": str(job_id), "why": str(error)})
        else:
            await self._hear(report)

    async def _hear(self, report: JobReport) -> None:
        with suppress(JobPruned):
            await self._observer.hear_router(report)
