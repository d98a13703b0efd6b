"""What a caller can do with jobs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from uuid import UUID

from app.domain import course
from app.domain.access import Caller
from app.domain.actions import Verb
from app.domain.errors import (
    Ambiguous,
    Garbled,
    GatewayError,
    JobFinished,
    JobNotKnown,
    JobPruned,
    StoreAway,
    Unanswered,
    Upstream,
)
from app.domain.jobs import Job, NewJob
from app.domain.phases import OF_MARKET_STATUS, Phase
from app.domain.ports import History, JobFilter, Page, Router
from app.domain.reports import JobReport
from app.services.contact import Contact
from app.services.hub import Hub, Visit
from app.services.observe import Observer
from app.services.once import Attempt
from app.services.record import Record

log = logging.getLogger(__name__)

_AT_A_TIME = 500
_NAMED_AT_MOST = 20
_STAYS_UNKNOWN = (
    "Whether the first try made a job is unknown, and this Router cannot be asked. Look for the job by its name; if there "
    "is none, create it with a new key."
)


class Jobs:
    """Asks the Router to do it, notes what it answered, and shows what is known."""

    def __init__(
        self,
        router: Router,
        *,
        history: History,
        record: Record,
        observer: Observer,
        hub: Hub,
        contact: Contact,
        confirm_within_s: float,
    ) -> None:
        self._router = router
        self._history = history
        self._record = record
        self._observer = observer
        self._hub = hub
        self._contact = contact
        self._confirm_within_s = confirm_within_s

    async def create(self, new: NewJob, *, by: Caller, attempt: Attempt) -> Job:
        """Create a job. When the Router's answer is lost the job is looked up before anything is said to be unknown."""
        await self._contact.me()  # known before anything is sent, so that noting the answer needs nobody any more
        async with self._record.of(Verb.CREATE, by, client_ref=attempt.client_ref) as entry:
            report = await self._created(new, attempt, router=self._router.acting_as(by.router_token))
            entry.job_id = report.id
            await attempt.has_made(report.id)
            try:
                return await self._observer.hear_router(report)
            except StoreAway as away:
                # It exists at the Router: whoever repeats the create must know.
                away.facts["job_id"] = str(report.id)
                raise

    async def create_and_submit(self, new: NewJob, *, by: Caller, attempt: Attempt) -> Job:
        """Both; when only the submit fails, its error carries `job_id`, and a repetition goes on from there."""
        job_id = attempt.job_id or (await self.create(new, by=by, attempt=attempt)).id
        try:
            return await self.submit(job_id, by=by, attempt=attempt)
        except GatewayError as error:
            error.facts["job_id"] = str(job_id)
            raise

    async def submit(self, job_id: UUID, *, by: Caller, attempt: Attempt) -> Job:
        """Begin execution."""
        await self._contact.me()
        await self._refuse_removed(job_id)
        router = self._router.acting_as(by.router_token)
        async with self._record.of(Verb.SUBMIT, by, job_id=job_id) as entry:
            report = await self._done_before(job_id, attempt, _is_submitted)
            report = report or await router.submit(job_id, client_ref=entry.client_ref)
            return await self._observer.hear_router(report)

    async def cancel(self, job_id: UUID, *, by: Caller, reason: str | None, attempt: Attempt) -> Job:
        """Cancel a pending job. Raises NotNow, naming kill, when it has begun calculation."""
        await self._contact.me()
        await self._refuse_removed(job_id)
        router = self._router.acting_as(by.router_token)
        async with self._record.of(Verb.CANCEL, by, job_id=job_id, reason=reason) as entry:
            report = await self._done_before(job_id, attempt, _is_cancelled)
            report = report or await router.cancel(job_id, reason=reason, client_ref=entry.client_ref)
            job = await self._observer.hear_router(report)
        return await self._until_over(job)

    async def kill(self, job_id: UUID, *, by: Caller, reason: str | None) -> Job:
        """Terminate a job; `killed` once every Access Point has confirmed, `stopping` while that is awaited.

        Passed on even when our own history cannot be written, and as often as it is asked for: a second kill changes
        nothing at the Router, so there is nothing to look for first. Raises JobFinished when the job came to its end
        before.
        """
        await self._contact.me()
        await self._refuse_removed(job_id)
        router = self._router.acting_as(by.router_token)
        async with self._record.of(Verb.KILL, by, job_id=job_id, reason=reason) as entry:
            report = await router.kill(job_id, reason=reason, client_ref=entry.client_ref)
            try:
                job = await self._until_over(await self._observer.hear_router(report))
            except StoreAway:
                log.exception("kill passed on, but not noted", extra={"job": str(job_id)})
                return course.first_heard(report, streamed=False).job
            if job.is_over and job.phase is not Phase.KILLED:
                raise JobFinished(f"The job had ended before it could be killed: {job.phase}.", phase=job.phase)
            return job

    async def job(self, job_id: UUID) -> Job:
        """What is known of a job; asks the Router about one never heard of. Raises JobPruned."""
        job = await self._history.job(job_id)
        if job is None:
            await self._refuse_removed(job_id)
        return job or await self._observer.hear_router(await self._router.job(job_id))

    async def wait(self, job_id: UUID, *, within_s: float, wait_for_permission: bool, visit: Visit) -> tuple[Job, bool]:
        """The job once it is over, or at once when it lacks permission and that is not waited for; False: not yet.

        It ends early, as it stands, when the hub closes or the visit does.
        """
        job = await self.job(job_id)
        last = asyncio.get_running_loop().time() + within_s
        with self._hub.listen(job.id, visit.bell) as bell:
            while True:
                bell.quieten()
                job = await self._observer.known(job.id)
                if job.is_over or (job.phase is Phase.WAITING_ON_PERMISSION and not wait_for_permission):
                    return job, True
                left_s = last - asyncio.get_running_loop().time()
                if self._hub.closing or visit.over or left_s <= 0:
                    return job, False
                await bell.rings(within_s=left_s)

    async def find(self, wanted: JobFilter) -> Job:
        """The one job that fits. Raises JobNotKnown for none, Ambiguous with the ids for several."""
        jobs = await self._history.found(wanted, limit=_NAMED_AT_MOST + 1)
        if not jobs:
            raise JobNotKnown("No job fits.")
        if len(jobs) > 1:
            ids = [str(job.id) for job in jobs[:_NAMED_AT_MOST]]
            raise Ambiguous("More than one job fits; ask with an id.", job_ids=ids, more=len(jobs) > _NAMED_AT_MOST)
        return jobs[0]

    async def page(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> Page:
        """Jobs, newest first."""
        return await self._history.page(wanted, limit=limit, cursor=cursor)

    async def pages(self, wanted: JobFilter) -> AsyncIterator[Page]:
        """All jobs that fit, newest first, page by page; those that come meanwhile are not in it."""
        cursor: str | None = None
        while True:
            page = await self._history.page(wanted, limit=_AT_A_TIME, cursor=cursor)
            yield page
            if page.next is None:
                return
            cursor = page.next

    async def latest_statuses(self, job_id: UUID | None, *, limit: int, cursor: str | None) -> Page:
        """The latest JobStatus of each job, newest job first, or that of one."""
        if job_id is not None:
            await self.job(job_id)
        return await self._history.latest_statuses(job_id, limit=limit, cursor=cursor)

    async def _refuse_removed(self, job_id: UUID) -> None:
        """While the history is out of reach nothing is refused: a kill must go through."""
        with suppress(StoreAway):
            if await self._history.is_pruned(job_id):
                raise JobPruned("The job was over for so long that it was removed from the history.")

    async def _done_before(
        self, job_id: UUID, attempt: Attempt, is_done: Callable[[JobReport], bool]
    ) -> JobReport | None:
        """What an earlier try has done after all. None: nothing, so that it is to be done now."""
        if not attempt.in_doubt:
            return None
        report = await self._router.job(job_id)
        return report if is_done(report) else None

    async def _created(self, new: NewJob, attempt: Attempt, *, router: Router) -> JobReport:
        if attempt.in_doubt:
            made = await self._made_before(attempt.client_ref, router=router)
            if made is not None:
                return made
        try:
            return await router.create(new, client_ref=attempt.client_ref)
        except (Unanswered, Garbled) as unknown:
            return await self._looked_up(attempt.client_ref, unknown, router=router)

    async def _made_before(self, client_ref: str, *, router: Router) -> JobReport | None:
        """What an earlier try has made. Raises Unanswered where that cannot be known: nothing is made twice."""
        if router.lookup is None:
            raise Unanswered(_STAYS_UNKNOWN, client_ref=client_ref)
        return await router.lookup.made_with(client_ref)

    async def _looked_up(self, client_ref: str, unknown: Upstream, *, router: Router) -> JobReport:
        try:
            report = await router.lookup.made_with(client_ref) if router.lookup is not None else None
        except Upstream:
            report = None
        if report is None:
            unknown.facts["client_ref"] = client_ref
            raise unknown
        return report

    async def _until_over(self, job: Job) -> Job:
        """The job once it is over, or as it is when that is not confirmed in time."""
        with self._hub.listen(job.id) as bell:
            try:
                async with asyncio.timeout(self._confirm_within_s):
                    while not job.is_over:
                        bell.quieten()
                        job = await self._observer.known(job.id)
                        if not job.is_over:
                            await bell.rings(within_s=self._confirm_within_s)
            except TimeoutError:
                return job
        return job


def _is_submitted(report: JobReport) -> bool:
    return report.submitted is not None


def _is_cancelled(report: JobReport) -> bool:
    return OF_MARKET_STATUS.get(report.market_status) is Phase.CANCELLED
