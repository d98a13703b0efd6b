"""Teams that speak to the network we carry with our client, and what they commonly do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from app.domain.jobs import Mark, NewJob
from app.domain.reports import Change, JobReport, StreamLine
from app.upstream.access_points import HttpAccessPoints
from app.upstream.clients import Clients
from app.upstream.router import HttpRouter

WITHIN_S = 30.0
INTERSECTION = NewJob(
    job_name="who is in both",
    operation="PRIVATE_SET_INTERSECTION",
    dataset=("globex/patients", "mercy/patients"),
    preprocessor=None,
    params={},
    labels={"study": "a"},
)


@dataclass
class Team:
    """A team's way to the network."""

    router: HttpRouter
    access_points: HttpAccessPoints


def team_of(clients: Clients) -> Team:
    router = HttpRouter.of(calls=clients.calls, streams=clients.changes)
    return Team(router, HttpAccessPoints(clients.access_points, now=lambda: datetime.now(UTC)))


async def created(team: Team, new: NewJob = INTERSECTION) -> JobReport:
    return await team.router.create(new, client_ref=str(uuid4()))


async def submitted(team: Team, new: NewJob = INTERSECTION) -> JobReport:
    return await team.router.submit((await created(team, new)).id, client_ref="a deed")


async def one_by_one(changes: AsyncIterator[Sequence[Change]]) -> AsyncIterator[Change]:
    """However many of them come together."""
    async for together in changes:
        for change in together:
            yield change


async def heard(team: Team, job_id: UUID, wanted: str, *, after: Mark | None = None) -> Change:
    """The first change of the job that says so."""
    async with asyncio.timeout(WITHIN_S), team.router.changes(after) as changes:
        async for change in one_by_one(changes):
            if change.report is not None and change.report.id == job_id and change.report.market_status == wanted:
                return change
    raise AssertionError("the changes ended")


async def finished(globex: Team, mercy: Team, new: NewJob = INTERSECTION) -> JobReport:
    job = await submitted(globex, new)
    await mercy.router.accept(job.waiting_on[0].asset_id, job.id, reason=None, client_ref="a deed")
    over = (await heard(globex, job.id, "complete", after=job.mark)).report
    assert over is not None
    return over


async def lines(team: Team, job_id: UUID, *, after: Mark | None = None) -> list[StreamLine]:
    address = (await team.router.job(job_id)).stream
    assert address is not None
    async with asyncio.timeout(WITHIN_S), team.access_points.lines(job_id, address, after=after) as told:
        return [line async for together in told for line in together]
