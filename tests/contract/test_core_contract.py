"""What every way to a Router fulfils: the same tests over HTTP, and over our client for Python in the SDK's place."""

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from app.domain.errors import (
    AssetNotKnown,
    Invalid,
    JobFinished,
    JobNotKnown,
    JobSubmitted,
    NotAcceptable,
    NotNow,
)
from app.domain.jobs import NewJob
from app.domain.ports import AccessPoints, Router, Wanted
from app.domain.reports import EndLine, JobReport, MessageLine, StatusLine, StreamLine
from app.upstream.ways import OverHttp, OverSdk, Way
from tests.contract.teams import INTERSECTION, WITHIN_S
from tests.support.gateway import Gateway
from tests.support.network import LONG_REGRESSION, RunningNetwork

PLAIN: NewJob = replace(INTERSECTION, labels={})
LONG: NewJob = replace(
    PLAIN,
    operation=LONG_REGRESSION["operation"],
    dataset=tuple(LONG_REGRESSION["dataset"]),
    params=LONG_REGRESSION["params"],
)
CSV = Wanted(media_type="text/csv")


class Core:
    """One way, with the owners of the data at its side."""

    def __init__(self, way: Way, network: RunningNetwork) -> None:
        self.router: Router = way.router
        self.access_points: AccessPoints = way.access_points
        self._network = network

    async def created(self, new: NewJob = PLAIN) -> JobReport:
        """A new job."""
        return await self.router.create(new, client_ref=str(uuid4()))

    async def submitted(self, new: NewJob = PLAIN) -> JobReport:
        """A new job, submitted."""
        return await self.router.submit((await self.created(new)).id, client_ref="a deed")

    async def allowed(self, new: NewJob = PLAIN) -> JobReport:
        """A new job that every owner has allowed."""
        job = await self.submitted(new)
        waiting_on = [{"asset_id": str(one.asset_id), "team": one.team} for one in job.waiting_on]
        self._network.accept_all({"id": str(job.id), "waiting_on": waiting_on})
        return job

    async def until(self, job_id: UUID, *wanted: str) -> JobReport:
        """As soon as it stands so, however that is noticed."""
        async with asyncio.timeout(WITHIN_S):
            while (job := await self.router.job(job_id)).market_status not in wanted:  # noqa: ASYNC110  (no bell rings for it)
                await asyncio.sleep(0.1)
        return job

    async def finished(self, new: NewJob = PLAIN) -> JobReport:
        """A new job that is complete."""
        job = await self.allowed(new)
        return await self.until(job.id, "complete")

    async def lines(self, job_id: UUID, *, after: StreamLine | None = None) -> list[StreamLine]:
        """Its status stream up to its end."""
        address = (await self.router.job(job_id)).stream
        assert address is not None
        mark = None if after is None else after.mark
        async with asyncio.timeout(WITHIN_S), self.access_points.lines(job_id, address, after=mark) as told:
            return [line async for together in told for line in together]


@pytest.fixture(params=["http", "sdk"])
async def core(
    request: pytest.FixtureRequest, running_network: RunningNetwork, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Core]:
    """Each way, as globex's owner."""
    async with AsyncExitStack() as stack:
        yield Core(await stack.enter_async_context(_way(request, running_network, monkeypatch).open()), running_network)


def _way(
    request: pytest.FixtureRequest, network: RunningNetwork, monkeypatch: pytest.MonkeyPatch
) -> OverHttp | OverSdk:
    token = network.tokens["globex"]
    if request.param == "http":
        return OverHttp(
            url=network.router_url,
            token=token,
            folder=None,
            call_timeout_s=WITHIN_S,
            silence_s=WITHIN_S,
            breaker_failures=5,
            now=_now,
        )
    gateway: Gateway = request.getfixturevalue("gateway")
    monkeypatch.setenv("TRIPLEBLIND_GATEWAY_URL", gateway.url)
    return OverSdk(
        module="tripleblind_gateway",
        opening="app.upstream.sdk.opening",
        token=token,
        user="owner@globex",
        team="globex",
        call_timeout_s=WITHIN_S,
        retrieve_s=WITHIN_S,
        every_s=0.1,
        calls=8,
        streams=8,
        now=_now,
    )


def _messages(lines: list[StreamLine]) -> list[str]:
    return [line.text for line in lines if isinstance(line, MessageLine)]


def _now() -> datetime:
    return datetime.now(UTC)


async def test_me_names_user_and_team(core: Core) -> None:
    me = await core.router.me()

    assert (me.user, me.team) == ("owner@globex", "globex")


async def test_a_created_job_is_what_was_asked_for(core: Core) -> None:
    """And is found by its id as it was told."""
    job = await core.created()
    seen = await core.router.job(job.id)

    assert (job.job_name, job.operation, job.market_status) == (PLAIN.job_name, PLAIN.operation, "created")
    assert (job.owner.user, job.owner.team, len(job.dataset)) == ("owner@globex", "globex", 2)
    assert (job.submitted, job.stream, job.result) == (None, None, None)
    assert (seen.mark, seen.dataset, seen.created) == (job.mark, job.dataset, job.created)


async def test_what_does_not_change_keeps_its_mark(core: Core) -> None:
    """And what does has a later one."""
    job = await core.created()
    looks = [(await core.router.job(job.id)).mark for _ in range(2)]
    submitted = await core.router.submit(job.id, client_ref="a deed")

    assert looks == [job.mark, job.mark]
    assert job.mark.precedes(submitted.mark)
    assert not submitted.mark.precedes(job.mark)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (replace(PLAIN, operation="NO_SUCH_THING"), "operation"),
        (replace(PLAIN, dataset=("globex/patients", "nobody/nothing")), "dataset.1"),
    ],
)
async def test_what_a_job_cannot_be_made_of_is_named(core: Core, wrong: NewJob, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await core.created(wrong)

    assert refused.value.facts["field"] == field


async def test_a_job_that_is_not_there_is_not_known(core: Core) -> None:
    """Whatever is to be done with it."""
    nobodys = uuid4()
    for asked in (
        core.router.job(nobodys),
        core.router.submit(nobodys, client_ref="a deed"),
        core.router.cancel(nobodys, reason=None, client_ref="a deed"),
        core.router.kill(nobodys, reason=None, client_ref="a deed"),
    ):
        with pytest.raises(JobNotKnown):
            await asked


async def test_a_submit_says_whose_permission_is_missing_and_who_asked(core: Core) -> None:
    job = await core.submitted()

    assert job.market_status == "perm"
    assert [(one.asset, one.team) for one in job.waiting_on] == [("mercy/patients", "mercy")]
    assert job.submitted is not None
    assert job.actor is not None
    assert (job.actor.user, job.actor.client_ref) == ("owner@globex", "a deed")


async def test_a_job_is_submitted_once(core: Core) -> None:
    job = await core.submitted()

    with pytest.raises(JobSubmitted):
        await core.router.submit(job.id, client_ref="a deed")


async def test_a_pending_job_is_cancelled(core: Core) -> None:
    """Once: then it has ended."""
    job = await core.submitted()
    await core.router.cancel(job.id, reason=None, client_ref="a deed")
    over = await core.until(job.id, "cancelled")

    assert over.waiting_on == ()


async def test_a_job_that_calculates_is_not_cancelled_but_killed(core: Core) -> None:
    job = await core.allowed(LONG)
    await core.until(job.id, "running")
    try:
        with pytest.raises(NotNow) as refused:
            await core.router.cancel(job.id, reason=None, client_ref="a deed")
        assert not isinstance(refused.value, JobFinished)
    finally:
        stopped = await core.router.kill(job.id, reason=None, client_ref="a deed")
    await core.until(job.id, "killed")

    assert stopped.market_status in ("stopping", "killed")
    again = await core.router.kill(job.id, reason=None, client_ref="a deed")
    assert again.market_status == "killed"


async def test_a_job_that_has_ended_is_neither_cancelled_nor_killed(core: Core) -> None:
    job = await core.finished()

    for asked in (
        core.router.cancel(job.id, reason=None, client_ref="a deed"),
        core.router.kill(job.id, reason=None, client_ref="a deed"),
    ):
        with pytest.raises(JobFinished):
            await asked


async def test_usage_names_whose_permission_is_needed(core: Core) -> None:
    assert (await core.router.usage(algorithm=None, datasets=["globex/holdout"])).status is None
    assert (await core.router.usage(algorithm=None, datasets=["globex/holdout", "mercy/patients"])).status == "data"
    with pytest.raises(AssetNotKnown):
        await core.router.usage(algorithm=None, datasets=["nobody/nothing"])
    with pytest.raises(Invalid):
        await core.router.usage(algorithm=None, datasets=[])


async def test_a_stream_tells_messages_and_codes_up_to_its_marker(core: Core) -> None:
    """Each line with a mark that is news after the one before."""
    job = await core.finished()
    told = await core.lines(job.id)

    assert isinstance(told[-1], EndLine)
    assert [line for line in told if isinstance(line, MessageLine)]
    last = [line.status for line in told if isinstance(line, StatusLine)][-1]
    assert last.code == 4
    assert job.result is not None
    assert last.result is not None
    assert last.result.asset_id == job.result.asset_id
    assert all(before.mark.precedes(after.mark) for before, after in pairwise(told))


async def test_a_stream_resumes_after_any_line(core: Core) -> None:
    """What was told does not come again, and nothing is left out."""
    job = await core.finished()
    whole = await core.lines(job.id)

    for place in range(len(whole) - 1):
        rest = await core.lines(job.id, after=whole[place])
        assert _messages(rest) == _messages(whole[place + 1 :])
        assert isinstance(rest[-1], EndLine)


async def test_a_stream_may_be_opened_before_anything_is_told(core: Core) -> None:
    """It waits, and gives signs of life."""
    job = await core.submitted()
    assert job.stream is not None

    async with asyncio.timeout(WITHIN_S), core.access_points.lines(job.id, job.stream, after=None) as told:
        quiet = [await anext(told) for _ in range(2)]

    assert not any(isinstance(line, EndLine) for together in quiet for line in together)


async def test_what_a_job_has_made_is_fetched(core: Core) -> None:
    """As the form that was asked for, or it is said that there is none such."""
    job = await core.finished()
    assert job.result is not None
    assert job.result.asset_id is not None
    table = await core.router.stored(job.result.asset_id)
    async with core.access_points.content(table, CSV) as content:
        text = b"".join([piece async for piece in content.pieces]).decode()

    rows = list(csv.DictReader(text.splitlines()))
    assert table.kind == "table"
    assert rows
    assert set(rows[0]) == {"patient_id"}
    with pytest.raises(NotAcceptable):
        async with core.access_points.content(table, Wanted(media_type="image/png")):
            pass
    with pytest.raises(AssetNotKnown):
        await core.router.stored(uuid4())
