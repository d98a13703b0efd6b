"""Our client and the network we carry mean the same by docs/router-api.md."""

import asyncio
import csv
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import msgspec
import pytest

from app.domain.errors import (
    AlreadyDecided,
    AssetNotKnown,
    ClientRefReused,
    Invalid,
    JobFinished,
    JobNotKnown,
    JobSubmitted,
    NotNow,
    NotYours,
    Rejected,
    RouterTokenRefused,
)
from app.domain.jobs import Mark, NewJob
from app.domain.ports import Wanted
from app.domain.reports import Act, Change, EndLine, JobReport, StatusLine
from app.upstream.clients import open_clients
from tests.contract.teams import (
    INTERSECTION,
    WITHIN_S,
    Team,
    created,
    finished,
    heard,
    lines,
    one_by_one,
    submitted,
    team_of,
)
from tests.support.network import LONG_REGRESSION, TEAMS, RunningNetwork

# Who we are


async def test_me_names_user_team_and_epoch(globex: Team) -> None:
    """Whose jobs are ours is decided by it."""
    me = await globex.router.me()

    assert me.team == "globex"
    assert me.user
    assert me.epoch


async def test_an_unknown_token_is_rejected(running_network: RunningNetwork) -> None:
    """Told as the gateway's trouble, not as the caller's."""
    async with open_clients(running_network.router_url, token="no", call_timeout_s=WITHIN_S, silence_s=5) as clients:  # noqa: S106
        with pytest.raises(Rejected):
            await team_of(clients).router.me()


# In a caller's own name


async def test_one_client_speaks_in_the_name_of_each_users_token(
    globex: Team, member: Team, running_network: RunningNetwork
) -> None:
    """Also of another team's: which are let in is not the client's to say."""
    mercys = globex.router.acting_as(running_network.tokens["mercy"])

    known = [await router.me() for router in (globex.router, member.router, mercys, globex.router)]

    assert [(me.user, me.role) for me in known] == [
        ("owner@globex", "owner"),
        ("member@globex", "member"),
        ("owner@mercy", "owner"),
        ("owner@globex", "owner"),
    ]


async def test_a_job_is_its_creators_and_every_step_names_who_took_it(globex: Team, member: Team) -> None:
    """The team's history says who, not by whose gateway."""
    job = await created(member)
    submitted_by_owner = await globex.router.submit(job.id, client_ref="a deed")
    cancelled = await member.router.cancel(job.id, reason="no need", client_ref="a deed")

    assert (job.owner.user, submitted_by_owner.owner.user) == ("member@globex", "member@globex")
    assert cancelled.reason == "member@globex: no need"


async def test_a_member_kills_what_an_owner_created(globex: Team, member: Team) -> None:
    """It is the team's job."""
    job = await submitted(globex)

    killed = await member.router.kill(job.id, reason=None, client_ref="a deed")

    assert (killed.market_status, killed.owner.user, killed.reason) == ("killed", "owner@globex", "member@globex")


async def test_an_answer_is_given_by_who_may_and_names_them(
    globex: Team, mercy: Team, running_network: RunningNetwork
) -> None:
    """Owners decide about their team's data; a member is refused, though the gateway's own token would do."""
    job = await submitted(globex)
    asset_id = job.waiting_on[0].asset_id
    with pytest.raises(NotYours):
        await mercy.router.acting_as(running_network.user_token("member@mercy")).accept(
            asset_id, job.id, reason=None, client_ref="a deed"
        )

    accepted = await globex.router.acting_as(running_network.tokens["mercy"]).accept(
        asset_id, job.id, reason=None, client_ref="a deed"
    )

    assert (accepted.state, accepted.decided_by) == ("accepted", "owner@mercy")


async def test_an_unknown_token_of_a_caller_is_refused_and_changes_nothing(globex: Team) -> None:
    """The gateway's own does not step in for it."""
    job = await submitted(globex)
    stranger = globex.router.acting_as("no-such-token")

    for refused in (
        stranger.me(),
        stranger.cancel(job.id, reason=None, client_ref="a deed"),
        stranger.create(INTERSECTION, client_ref="x"),
    ):
        with pytest.raises(RouterTokenRefused):
            await refused

    assert (await globex.router.job(job.id)).market_status == "perm"


async def test_a_reference_is_found_with_the_token_that_made_it(globex: Team, member: Team) -> None:
    """A create whose answer was lost is looked up in the name it was sent in; with another it would look undone."""
    ref = str(uuid4())

    job = await member.router.create(INTERSECTION, client_ref=ref)

    assert await member.router.made_with(ref) == job
    assert await globex.router.made_with(ref) is None


async def test_a_reference_is_told_to_the_team_that_chose_it(globex: Team, member: Team, mercy: Team) -> None:
    """By it a gateway knows again what it created; others have no use for it."""
    ref = str(uuid4())
    job = await member.router.create(INTERSECTION, client_ref=ref)
    asked = await globex.router.submit(job.id, client_ref="a deed")

    changed = (await heard(globex, job.id, "perm", after=job.mark)).report
    others = (await heard(mercy, job.id, "perm", after=job.mark)).report

    assert changed is not None
    assert others is not None
    assert [seen.client_ref for seen in (job, asked, changed)] == [ref, ref, ref]
    assert [seen.client_ref for seen in (await mercy.router.job(job.id), others)] == [None, None]


# Create


async def test_a_job_is_created_as_it_was_asked_for(globex: Team) -> None:
    """Aliases have become ids."""
    job = await created(globex)

    assert (job.market_status, job.job_name, job.labels) == ("created", "who is in both", {"study": "a"})
    assert job.owner.team == "globex"
    assert len(job.dataset) == 2
    assert job.stream is None
    assert await globex.router.job(job.id) == job


async def test_the_same_reference_makes_the_job_once(globex: Team) -> None:
    """Never twice: the promise rests on this."""
    ref = str(uuid4())
    first = await globex.router.create(INTERSECTION, client_ref=ref)

    again = await globex.router.create(INTERSECTION, client_ref=ref)

    assert again.id == first.id


async def test_a_reference_with_another_body_is_refused(globex: Team) -> None:
    """It names the job that was made with it."""
    ref = str(uuid4())
    first = await globex.router.create(INTERSECTION, client_ref=ref)
    other = NewJob(
        job_name="another", operation="PRIVATE_SET_INTERSECTION", dataset=INTERSECTION.dataset,
        preprocessor=None, params={}, labels={},
    )  # fmt: skip

    with pytest.raises(ClientRefReused) as refused:
        await globex.router.create(other, client_ref=ref)

    assert refused.value.facts["job_id"] == str(first.id)


async def test_a_job_is_found_by_its_reference(globex: Team) -> None:
    """After a lost answer this is the only way to know."""
    ref = str(uuid4())
    job = await globex.router.create(INTERSECTION, client_ref=ref)

    assert await globex.router.made_with(ref) == job
    assert await globex.router.made_with(str(uuid4())) is None


async def test_a_wrong_operation_is_refused_with_what_is_allowed(globex: Team) -> None:
    """The caller reads it unchanged."""
    new = NewJob(job_name="x", operation="NO_SUCH", dataset=(), preprocessor=None, params={}, labels={})

    with pytest.raises(Invalid) as refused:
        await created(globex, new)

    assert refused.value.facts["field"] == "operation"


# Submit, cancel


async def test_a_submitted_job_waits_for_the_permissions_that_are_missing(globex: Team) -> None:
    """Of others; one's own data needs none."""
    job = await submitted(globex)

    assert job.market_status == "perm"
    assert [(missing.asset, missing.team) for missing in job.waiting_on] == [("mercy/patients", "mercy")]
    assert job.stream is not None


async def test_a_job_is_submitted_once(globex: Team) -> None:
    """The second is told that it was."""
    job = await submitted(globex)

    with pytest.raises(JobSubmitted):
        await globex.router.submit(job.id, client_ref="a deed")


async def test_cancel_ends_a_waiting_job_and_may_be_repeated(globex: Team) -> None:
    """The reason stays with it."""
    job = await submitted(globex)

    first = await globex.router.cancel(job.id, reason="no need", client_ref="a deed")
    again = await globex.router.cancel(job.id, reason=None, client_ref="a deed")

    assert (first.market_status, again.market_status) == ("cancelled", "cancelled")
    assert "no need" in (first.reason or "")
    with pytest.raises(JobFinished):
        await globex.router.kill(job.id, reason=None, client_ref="a deed")


async def test_kill_ends_a_waiting_job_at_once(globex: Team) -> None:
    """There is no process to end."""
    job = await submitted(globex)

    assert (await globex.router.kill(job.id, reason=None, client_ref="a deed")).market_status == "killed"


async def test_a_job_names_who_brought_it_where_it_stands(globex: Team, member: Team, mercy: Team) -> None:
    """Whoever created it, and to whoever sees it; by what name they called their deed, only to their own team."""
    new = await created(member)
    asked = await globex.router.submit(new.id, client_ref="a deed")
    await mercy.router.deny(asked.waiting_on[0].asset_id, new.id, reason=None, client_ref="another deed")
    denied = await globex.router.job(new.id)

    assert [job.actor for job in (new, asked, denied)] == [
        Act(user="member@globex", team="globex", client_ref=new.client_ref),
        Act(user="owner@globex", team="globex", client_ref="a deed"),
        Act(user="owner@mercy", team="mercy"),
    ]
    assert (await mercy.router.job(new.id)).actor == Act(user="owner@mercy", team="mercy", client_ref="another deed")
    assert denied.stop is None


async def test_a_cancel_that_took_effect_is_told_and_nobody_has_to_answer(globex: Team) -> None:
    """Nobody calculates yet."""
    cancelled = await globex.router.cancel((await submitted(globex)).id, reason=None, client_ref="a deed")

    assert cancelled.stop is not None
    assert (cancelled.stop.wanted, cancelled.stop.answers) == ("cancel", ())


async def test_a_job_that_calculates_is_killed_with_an_answer_of_each_access_point(
    globex: Team, teams: Callable[[str], Team]
) -> None:
    """A cancel is refused in the name of each."""
    job = await calculating(globex, teams)

    with pytest.raises(NotNow) as refused:
        await globex.router.cancel(job.id, reason=None, client_ref="a deed")
    asked = await globex.router.kill(job.id, reason=None, client_ref="a deed")
    killed = (await heard(globex, job.id, "killed", after=job.mark)).report

    assert "refused" in str(refused.value.facts["answers"])
    assert killed is not None
    assert killed.stop is not None
    assert asked.stop is not None
    assert (killed.stop.wanted, killed.stop.since) == ("kill", asked.stop.since)
    assert {answer.team: answer.answer for answer in killed.stop.answers} == dict.fromkeys(TEAMS, "done")
    assert killed.actor == Act(user="owner@globex", team="globex", client_ref="a deed")


async def calculating(globex: Team, teams: Callable[[str], Team]) -> JobReport:
    """A job of all three teams that does not end by itself."""
    named: dict[str, object] = {"job_name": "a long one", "preprocessor": None, "labels": {}}
    job = await submitted(globex, msgspec.convert({**LONG_REGRESSION, **named}, NewJob))
    for missing in job.waiting_on:
        await teams(missing.team).router.accept(missing.asset_id, job.id, reason=None, client_ref="a deed")
    running = (await heard(globex, job.id, "running", after=job.mark)).report
    assert running is not None
    return running


async def test_jobs_of_others_are_not_ours_to_end(globex: Team, mercy: Team, teams: Callable[[str], Team]) -> None:
    """One who can see the job is told so; to others it does not exist."""
    job = await submitted(globex)

    with pytest.raises(NotYours):
        await mercy.router.kill(job.id, reason=None, client_ref="a deed")
    with pytest.raises(JobNotKnown):
        await teams("lakeside").router.job(job.id)


# Changes


async def test_changes_tell_each_step_of_a_job_in_order(globex: Team) -> None:
    """With a mark each, and without the stream's token."""
    job = await created(globex)
    before = Mark(epoch=job.epoch, sequence=job.sequence - 1)
    await globex.router.cancel(
        (await globex.router.submit(job.id, client_ref="a deed")).id, reason=None, client_ref="a deed"
    )

    seen: list[Change] = []
    async with asyncio.timeout(WITHIN_S), globex.router.changes(before) as changes:
        async for change in one_by_one(changes):
            if change.report is not None and change.report.id == job.id:
                seen.append(change)
            if seen and seen[-1].report and seen[-1].report.market_status == "cancelled":
                break

    reports = [change.report for change in seen if change.report is not None]
    assert [report.market_status for report in reports] == ["created", "perm", "cancelled"]
    assert [report.stream for report in reports] == [None, None, None]
    assert [report.mark for report in reports] == [change.mark for change in seen]


async def test_changes_resume_after_a_mark(globex: Team) -> None:
    """Nothing that was heard comes again."""
    first = await created(globex)
    second = await created(globex)

    async with asyncio.timeout(WITHIN_S), globex.router.changes(first.mark) as changes:
        each = one_by_one(changes)
        marks = [(await anext(each)).mark for _ in range(2)]

    assert marks[0] == first.mark  # where this reading starts
    assert first.mark.sequence < marks[1].sequence <= second.sequence


async def test_changes_give_signs_of_life(globex: Team) -> None:
    """Silence would look like health."""
    job = await created(globex)

    async with asyncio.timeout(WITHIN_S), globex.router.changes(job.mark) as changes:
        quiet = [change async for change in first_quiet(one_by_one(changes), 2)]

    assert all(change.mark.sequence >= job.sequence for change in quiet)


async def test_changes_of_another_epoch_start_over(globex: Team) -> None:
    """The storage was replaced: all of it is news."""
    await created(globex)

    async with asyncio.timeout(WITHIN_S), globex.router.changes(Mark(epoch="replaced", sequence=10**9)) as changes:
        (first, *_) = await anext(changes)

    assert first.mark.sequence == 0


async def test_the_first_of_the_changes_says_how_far_they_go(globex: Team) -> None:
    """By it a reader knows when it has caught up; afterwards nothing does."""
    job = await created(globex)
    before = Mark(epoch=job.epoch, sequence=job.sequence - 1)

    async with asyncio.timeout(WITHIN_S), globex.router.changes(before) as changes:
        each = one_by_one(changes)
        first, second = [await anext(each) for _ in range(2)]

    assert first.head is not None
    assert first.head >= job.sequence
    assert second.head is None


async def first_quiet(changes: AsyncIterator[Change], how_many: int) -> AsyncIterator[Change]:
    """Those without a job; jobs of other tests may still be running."""
    while how_many:
        change = await anext(changes)
        if change.report is None:
            how_many -= 1
            yield change


# Operations, assets, access requests


async def test_operations_describe_themselves(globex: Team) -> None:
    """With a schema of their params."""
    operations = {operation.name: operation for operation in await globex.router.operations()}

    assert {"REGRESSION", "PRIVATE_SET_INTERSECTION"} <= set(operations)
    assert operations["REGRESSION"].params["type"] == "object"


async def test_assets_are_listed_with_an_address_for_their_owner_alone(globex: Team) -> None:
    """Data never leaves the Access Point of the team that owns it."""
    own = await globex.router.assets(name="globex/patients", team=None, kind="table")
    other = await globex.router.assets(name="mercy/patients", team="mercy", kind=None)

    assert [asset.content is not None for asset in (*own, *other)] == [True, False]
    assert await globex.router.assets(name="nobody/nothing", team=None, kind=None) == []


async def test_an_asset_that_is_not_there_is_not_known(globex: Team) -> None:
    """A word of its own, unlike a job's."""
    with pytest.raises(AssetNotKnown):
        await globex.router.asset(uuid4())


async def test_a_table_goes_up_and_comes_down(globex: Team) -> None:
    """Straight to the team's own Access Point and back."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"patient_id,age\n"
        yield b"1,50\n2,60\n"

    asset = await globex.router.register_table(f"t-{uuid4()}", temporary=False)
    uploaded = await globex.access_points.upload(asset, media_type="text/csv", pieces=pieces())
    kept = await globex.router.asset(asset.id)
    async with globex.access_points.content(kept, Wanted(media_type="text/csv")) as content:
        text = b"".join([piece async for piece in content.pieces]).decode()

    assert (uploaded.records, kept.records) == (2, 2)
    assert list(csv.reader(text.splitlines())) == [["patient_id", "age"], ["1", "50"], ["2", "60"]]


async def test_an_owner_accepts(globex: Team, mercy: Team) -> None:
    """The same answer again is the same; the other one comes too late."""
    job = await submitted(globex)
    (asked,) = await mercy.router.access_requests(state="pending", job_id=job.id, asset_id=None, team=None)
    assert (asked.asset, asked.owner_team, asked.team) == ("mercy/patients", "mercy", "globex")

    accepted = await mercy.router.accept(asked.asset_id, job.id, reason="fine", client_ref="a deed")
    again = await mercy.router.accept(asked.asset_id, job.id, reason=None, client_ref="a deed")

    assert (accepted.state, accepted.reason, again.state) == ("accepted", "fine", "accepted")
    with pytest.raises((AlreadyDecided, JobFinished)):
        await mercy.router.deny(asked.asset_id, job.id, reason=None, client_ref="a deed")


async def test_an_owner_denies(globex: Team, mercy: Team) -> None:
    """The job ends with the reason."""
    job = await submitted(globex)

    denied = await mercy.router.deny(job.waiting_on[0].asset_id, job.id, reason="not this one", client_ref="a deed")

    assert denied.state == "denied"
    over = await globex.router.job(job.id)
    assert over.market_status == "denied"
    assert "not this one" in (over.reason or "")


async def test_nobody_grants_what_belongs_to_others(globex: Team) -> None:
    """Least of all the one who asks."""
    job = await submitted(globex)

    with pytest.raises(NotYours):
        await globex.router.accept(job.waiting_on[0].asset_id, job.id, reason=None, client_ref="a deed")


# The status stream


async def test_a_stream_tells_codes_and_ends_with_its_marker(globex: Team, mercy: Team) -> None:
    """Sequences without a gap; the result is in the last status."""
    job = await finished(globex, mercy)

    told = await lines(globex, job.id)

    assert [line.mark.sequence for line in told] == list(range(1, len(told) + 1))
    assert isinstance(told[-1], EndLine)
    codes = [line.status.code for line in told if isinstance(line, StatusLine)]
    assert (codes[0], codes[-1]) == (3, 4)
    assert job.result is not None


async def test_a_stream_resumes_after_any_line(globex: Team, mercy: Team) -> None:
    """The same lines, from there on."""
    job = await finished(globex, mercy)
    whole = await lines(globex, job.id)

    for place in (0, len(whole) // 2, len(whole) - 2):
        assert await lines(globex, job.id, after=whole[place].mark) == whole[place + 1 :]


async def test_a_stream_of_another_epoch_starts_over(globex: Team, mercy: Team) -> None:
    """Its numbers mean nothing any more."""
    job = await finished(globex, mercy)

    told = await lines(globex, job.id, after=Mark(epoch="replaced", sequence=3))

    assert told[0].mark.sequence == 1


async def test_a_stream_may_be_opened_before_anything_is_told(globex: Team) -> None:
    """It waits, and gives signs of life."""
    job = await submitted(globex)
    assert job.stream is not None

    async with asyncio.timeout(WITHIN_S), globex.access_points.lines(job.id, job.stream, after=None) as told:
        quiet = [await anext(told) for _ in range(2)]

    assert not any(isinstance(line, EndLine) for together in quiet for line in together)


async def test_a_streams_token_opens_that_stream_alone(globex: Team) -> None:
    """Not another job's."""
    one, other = await submitted(globex), await submitted(globex)
    assert one.stream is not None
    assert other.stream is not None
    exchanged = type(one.stream)(url=other.stream.url, token=one.stream.token)

    with pytest.raises((NotYours, Rejected)):
        async with globex.access_points.lines(other.id, exchanged, after=None):
            pass
