"""What a job left behind."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from app.domain.errors import JobNotFinished, ResultNotKnown
from app.domain.jobs import Result
from app.domain.phases import Phase
from app.domain.ports import AccessPoints, Content, Router, Wanted
from app.services.jobs import Jobs

_AS_STORED = {"table": "application/vnd.apache.parquet", "model": "application/octet-stream"}


class Results:
    """The raw output of a job, and the bytes of the asset it made, fetched from the Access Point that keeps it."""

    def __init__(self, jobs: Jobs, *, router: Router, access_points: AccessPoints) -> None:
        self._jobs = jobs
        self._router = router
        self._access_points = access_points

    async def result(self, job_id: UUID) -> Result:
        """Raises JobNotFinished while it runs, ResultNotKnown when it ended without one.

        There from the status that tells of it: whoever was shown that may fetch it.
        """
        job = await self._jobs.job(job_id)
        if job.result is not None:
            return job.result
        if not job.is_over:
            raise JobNotFinished(f"The job has not ended yet: {job.phase}. Follow its events.", phase=job.phase)
        if job.phase is Phase.COMPLETE:
            raise ResultNotKnown(f"What the job came to is told to {job.owner.team} alone.", owner_team=job.owner.team)
        raise ResultNotKnown(f"The job ended without a result: {job.phase}.", phase=job.phase)

    @asynccontextmanager
    async def table(self, job_id: UUID, wanted: Wanted) -> AsyncIterator[Content]:
        """The table a job made, in the form and with the rows asked for. Raises ResultNotKnown when it made none."""
        asset = await self._router.stored(await self._asset_id(job_id))
        if asset.kind != "table":
            raise ResultNotKnown(f"The job made a {asset.kind}, not a table; fetch /result/asset.", kind=asset.kind)
        async with self._access_points.content(asset, wanted) as content:
            yield content

    @asynccontextmanager
    async def asset(self, job_id: UUID, *, conditions: Mapping[str, str]) -> AsyncIterator[Content]:
        """The bytes of the asset a job made, as they are stored; all, or what the conditions leave of them."""
        asset = await self._router.stored(await self._asset_id(job_id))
        wanted = Wanted(media_type=_AS_STORED[asset.kind], conditions=conditions)
        async with self._access_points.content(asset, wanted) as content:
            yield content

    async def _asset_id(self, job_id: UUID) -> UUID:
        result = await self.result(job_id)
        if result.asset_id is None:
            raise ResultNotKnown("The job's result is text alone; fetch /result.")
        return result.asset_id
