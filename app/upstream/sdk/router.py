"""The Router through the SDK: the core of the port, and a list of jobs to look at."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from app.domain.errors import (
    AssetNotKnown,
    FeatureLacking,
    GatewayError,
    Invalid,
    JobFinished,
    JobNotKnown,
    JobSubmitted,
    NotNow,
    RouterTokenRefused,
    Unanswered,
)
from app.domain.jobs import NewJob
from app.domain.network import Stored, Usage
from app.domain.phases import OF_MARKET_STATUS
from app.domain.reports import Act, JobReport, Me, StreamAddress
from app.upstream.sdk.calls import Calls
from app.upstream.sdk.numbers import Numbers
from app.upstream.sdk.seen import report_of
from app.upstream.sdk.surface import Opened

log = logging.getLogger(__name__)

_NOT_OVER = ("waiting", "active")
_REMEMBERED = 10_000
_NOWHERE = StreamAddress(url="", token="")


class Creates:
    """What is made here, by our own name for it, which the SDK does not keep.

    While one is under way, what is met for the first time may be just that: only its answer says so.
    """

    def __init__(self) -> None:
        self._now = 0
        self._begun = 0
        self._refs: OrderedDict[UUID, str] = OrderedDict()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """One more, for as long as the block lasts."""
        self._now += 1
        self._begun += 1
        try:
            yield
        finally:
            self._now -= 1

    @property
    def quiet_since(self) -> int | None:
        """How many there were, where none is under way now."""
        return None if self._now else self._begun

    def made(self, job_id: UUID, client_ref: str) -> None:
        """The job is one of ours."""
        self._refs[job_id] = client_ref
        if len(self._refs) > _REMEMBERED:
            self._refs.popitem(last=False)

    def named(self, report: JobReport) -> JobReport:
        """The report with our own name, where it has one."""
        return replace(report, client_ref=self._refs.get(report.id))


class SdkRouter:
    """Fulfils the port Router. Of what one may lack it has a list of jobs alone."""

    feed = None
    lookup = None
    catalogue = None
    requests = None
    standing = None

    def __init__(
        self,
        calls: Calls,
        *,
        numbers: Numbers,
        me: Me | None,
        team: str,
        now: Callable[[], datetime],
        list_within_s: float,
        creates: Creates | None = None,
    ) -> None:
        """`team` is the gateway's; `me` who the token belongs to, where that is known beforehand. All jobs are listed
        within `list_within_s`.
        """
        self._calls = calls
        self._numbers = numbers
        self._me = me
        self._team = team
        self._now = now
        self._list_within_s = list_within_s
        self._creates = creates or Creates()
        self._unreadable: set[str] = set()

    @property
    def listing(self) -> "SdkRouter":
        return self

    def acting_as(self, token: str | None) -> "SdkRouter":
        if token is None:
            return self
        return SdkRouter(
            self._calls.acting_as(token),
            numbers=self._numbers,
            me=None,
            team=self._team,
            now=self._now,
            list_within_s=self._list_within_s,
            creates=self._creates,
        )

    async def me(self) -> Me:
        """Raises RouterTokenRefused where neither the settings nor the SDK say whose token it is."""
        if self._me is not None:
            await self._calls.read(lambda _: None)  # that a Session can be had
            return self._me
        opened = await self._calls.read(lambda opened: opened)
        if opened.user is None or opened.team is None:
            raise RouterTokenRefused(
                "Whose token this is cannot be told here: open_session, in the file that GATEWAY_SDK_OPENING names, must "
                "say it before callers can use their own."
            )
        self._me = Me(user=opened.user, team=opened.team, role="", epoch=self._numbers.epoch)
        return self._me

    async def create(self, new: NewJob, *, client_ref: str) -> JobReport:
        _refuse_undocumented(new)
        found = await self._calls.read(lambda opened: self._parts(new, opened))
        with self._creates.under_way():
            seen = await self._calls.write(lambda opened: self._made(new, *found, opened))
            self._creates.made(seen.id, client_ref)
            report = self._numbered(self._numbers.begin(), seen)
        return await self._told(report, client_ref)

    async def submit(self, job_id: UUID, *, client_ref: str) -> JobReport:
        done, report = await self._steered(job_id, lambda job, session: job.submit(session=session))
        if not done:
            if report.market_status != "created":
                raise JobSubmitted("The job was submitted before.", market_status=report.market_status)
            raise NotNow("The Router did not let the job begin; the SDK does not say why.")
        return await self._told(report, client_ref)

    async def cancel(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        del reason  # the SDK takes none; our own history keeps it
        done, report = await self._steered(job_id, lambda job, session: job.cancel(session=session))
        if not done:
            raise _not_stopped(report, "The job has begun calculation; kill ends it all the same.")
        return await self._told(report, client_ref)

    async def kill(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        del reason  # as above
        done, report = await self._steered(job_id, lambda job, session: job.kill(session=session))
        if not done and report.market_status not in ("stopping", "killed"):
            if _is_final(report):
                raise _not_stopped(report, "")
            raise Unanswered("The SDK says that the job was not terminated; look, and kill it again.")
        return await self._told(report, client_ref)

    async def job(self, job_id: UUID) -> JobReport:
        look = self._numbers.begin()
        return self._numbered(look, await self._calls.read(lambda opened: self._seen(job_id, opened)))

    async def jobs(self, *, over: bool) -> Sequence[JobReport]:
        look, quiet_since = self._numbers.begin(), self._creates.quiet_since
        if over:
            found = await self._calls.stream(lambda opened: self._listed(opened, (None,)), within_s=self._list_within_s)
        else:
            found = await self._calls.read(lambda opened: self._listed(opened, _NOT_OVER))
        was_quiet = quiet_since is not None and quiet_since == self._creates.quiet_since
        return [self._numbered(look, job) for job in found if was_quiet or self._numbers.knows(job.id)]

    async def stored(self, asset_id: UUID) -> Stored:
        def kind(opened: Opened) -> str:
            asset = self._asset(str(asset_id), opened)
            return "table" if isinstance(asset, self._calls.sdk.TableAsset) else "model"

        found = await self._calls.read(kind)
        return Stored(id=asset_id, name=str(asset_id), team=self._team, kind=found, content=_NOWHERE)

    async def usage(self, *, algorithm: str | None, datasets: Sequence[str]) -> Usage:
        if algorithm is None and not datasets:
            raise Invalid("Name an algorithm, datasets, or both.", field="dataset")

        def look(opened: Opened) -> Usage:
            what = None if algorithm is None else self._asset(algorithm, opened)
            over = [self._asset(one, opened) for one in datasets]
            props = self._calls.sdk.fetch_asset(algorithm=what, dataset=over or None, session=opened.session)
            return Usage(status=None if props is None else props.status)

        return await self._calls.read(look)

    # In a thread

    def _seen(self, job_id: UUID, opened: Opened) -> JobReport:
        return self._report(self._job(job_id, opened))

    def _job(self, job_id: UUID, opened: Opened) -> Any:
        job = self._calls.sdk.Job.find(job_id=str(job_id), session=opened.session)
        if job is None:
            raise JobNotKnown("The Router knows no such job, or it is not yours to see.")
        return job

    def _listed(self, opened: Opened, which: Sequence[str | None]) -> list[JobReport]:
        jobs = {}
        for one in which:
            for job in self._calls.sdk.Job.find_all(job_status=one, session=opened.session) or ():
                jobs[str(job.id)] = job  # as it was found last
        reports = {job_id: self._report_if_readable(job_id, job) for job_id, job in jobs.items()}
        self._unreadable = {job_id for job_id, report in reports.items() if report is None}
        return [report for report in reports.values() if report is not None]

    def _report_if_readable(self, job_id: str, job: Any) -> JobReport | None:
        """Whatever one job is like, the others are met. It is said once of each."""
        try:
            return self._report(job)
        except Exception:
            if job_id not in self._unreadable:
                log.exception("job of the SDK not readable", extra={"job": job_id})
            return None

    def _report(self, job: Any) -> JobReport:
        return report_of(job, opening=self._calls.opening, team=self._team, now=self._now())

    def _asset(self, named: str, opened: Opened, *, field: str | None = None) -> Any:
        asset = self._calls.opening.asset(self._calls.sdk, opened.session, named)
        if asset is not None:
            return asset
        if field is None:
            raise AssetNotKnown(f"There is no asset {named}.")
        raise Invalid(f"There is no asset {named}.", field=field)

    def _parts(self, new: NewJob, opened: Opened) -> tuple[Any, list[Any]]:
        operation = self._calls.opening.operation(self._calls.sdk, opened.session, new.operation)
        if operation is None:
            raise Invalid(f"There is no operation {new.operation}.", field="operation")
        return operation, [
            self._asset(named, opened, field=f"dataset.{place}") for place, named in enumerate(new.dataset)
        ]

    def _made(self, new: NewJob, operation: Any, datasets: list[Any], opened: Opened) -> JobReport:
        job = self._calls.sdk.create_job(
            job_name=new.job_name,
            operation=operation,
            dataset=datasets or None,
            params=new.params,
            session=opened.session,
        )
        if job is None:
            raise Invalid(f"The Router has no operation {new.operation}.", field="operation")
        return self._report(job)

    # Around it

    def _numbered(self, look: int, seen: JobReport) -> JobReport:
        return self._numbers.numbered(look, self._creates.named(seen))

    async def _steered(self, job_id: UUID, do: Callable[[Any, Any], bool]) -> tuple[bool, JobReport]:
        """Whether it was done, and how the job stands then."""
        await self.job(job_id)  # that it is there, before its outcome can be unknown
        done = await self._calls.write(lambda opened: bool(do(self._job(job_id, opened), opened.session)))
        try:
            return done, await self.job(job_id)
        except GatewayError as error:
            raise Unanswered(
                "It was passed on, but how the job stands now could not be seen; look at it again."
            ) from error

    async def _told(self, report: JobReport, client_ref: str) -> JobReport:
        """By whom, which the SDK does not say: it was us, just now."""
        me = await self.me()
        return replace(report, actor=Act(user=me.user, team=me.team, client_ref=client_ref))


def _refuse_undocumented(new: NewJob) -> None:
    for field, given in (("labels", new.labels), ("stream_to", new.stream_to), ("preprocessor", new.preprocessor)):
        if given:
            raise FeatureLacking(
                f"`{field}` cannot be passed on: the reference of the SDK documents no way to say it. Leave it out.",
                field=field,
            )


def _not_stopped(report: JobReport, otherwise: str) -> NotNow:
    if _is_final(report):
        return JobFinished(f"The job has ended already: {report.market_status}.", market_status=report.market_status)
    return NotNow(otherwise, market_status=report.market_status)


def _is_final(report: JobReport) -> bool:
    phase = OF_MARKET_STATUS.get(report.market_status)
    return phase is not None and phase.is_final
