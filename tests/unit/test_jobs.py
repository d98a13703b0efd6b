"""What a caller can do with jobs: nothing happens twice, and no answer says more than is known."""

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from app.domain.access import LOCAL
from app.domain.course import first_heard
from app.domain.errors import Ambiguous, JobFinished, JobNotKnown, Unanswered, Unreachable
from app.domain.jobs import Job
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.services.contact import Contact
from app.services.hub import Hub, Visit
from app.services.jobs import Jobs
from app.services.observe import Observer
from app.services.once import Attempt
from app.services.record import Record
from tests.support.fakes import FakeActions, FakeHistory, FakeRouter, owned_by, until
from tests.support.news import FINAL, JOB, NEW_JOB, NOON, end_line, message_line, report

LONG_S = 30.0


@dataclass
class Office:
    """The service and the world it works in."""

    jobs: Jobs
    router: FakeRouter
    history: FakeHistory
    actions: FakeActions
    observer: Observer
    hub: Hub


def opened(*, confirm_within_s: float = 0.02) -> Office:
    router, hub = FakeRouter(), Hub()
    history = FakeHistory(hub.tell)
    contact = Contact(router, now=lambda: NOON)
    actions = FakeActions()
    observer = Observer(history, actions=actions, contact=contact, now=lambda: NOON)
    jobs = Jobs(
        router,
        history=history,
        record=Record(actions),
        observer=observer,
        hub=hub,
        contact=contact,
        confirm_within_s=confirm_within_s,
    )
    return Office(jobs=jobs, router=router, history=history, actions=actions, observer=observer, hub=hub)


@pytest.fixture
def office() -> Office:
    return opened()


# Create


async def test_a_created_job_is_known_at_once(office: Office) -> None:
    """Without waiting for the changes to tell of it."""
    job = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert office.history.jobs[job.id] == job
    assert job.phase is Phase.CREATED


async def test_a_create_whose_answer_is_lost_is_looked_up(office: Office) -> None:
    """It is not sent again: the fake Router would not take it twice."""
    office.router.loses_answers = True

    job = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert list(office.router.jobs) == [job.id]


async def test_a_create_that_left_no_trace_stays_unknown(office: Office) -> None:
    """It may still arrive, so nothing is said and nothing is sent again."""
    office.router.loses_requests = True

    with pytest.raises(Unanswered) as unknown:
        await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert office.router.made == {}
    assert unknown.value.facts["client_ref"]


async def test_a_create_stays_unknown_when_it_cannot_be_looked_up(office: Office) -> None:
    """The Router went away with the answer."""
    office.router.leaves_with_the_answer = True

    with pytest.raises(Unanswered):
        await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())


async def test_each_create_has_a_reference_of_its_own(office: Office) -> None:
    """Two equal bodies are two jobs."""
    first = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())
    second = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert first.id != second.id
    assert len(office.router.made) == 2


async def test_nothing_is_sent_before_it_is_known_whose_token_we_hold(office: Office) -> None:
    """Asked afterwards, a failure would say `surely not received` of a job that was created."""
    office.router.away = True

    with pytest.raises(Unreachable):
        await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert office.router.jobs == {}


async def test_when_only_the_submit_fails_the_error_names_the_job(office: Office) -> None:
    """It exists, and can be submitted later."""
    office.router.leaves_after_creating = True

    with pytest.raises(Unreachable) as failed:
        await office.jobs.create_and_submit(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert [failed.value.facts["job_id"]] == [str(job_id) for job_id in office.history.jobs]


async def test_a_create_that_was_answered_with_nonsense_is_looked_up(office: Office) -> None:
    """A page of a proxy says nothing of what the Router has done."""
    office.router.garbles_answers = True

    job = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())

    assert list(office.router.jobs) == [job.id]


# In doubt


def in_doubt(job_id: UUID | None = None) -> Attempt:
    return Attempt(client_ref="a reference", in_doubt=True, job_id=job_id)


async def test_a_create_in_doubt_is_looked_for_and_sent_only_if_it_is_not_there(office: Office) -> None:
    """The fake Router would not take it twice."""
    first = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=in_doubt())
    again = await office.jobs.create(NEW_JOB, by=LOCAL, attempt=in_doubt())

    assert again.id == first.id
    assert list(office.router.jobs) == [first.id]


async def test_a_create_in_doubt_is_not_sent_while_nobody_can_look(office: Office) -> None:
    """It stays in doubt."""
    await created(office)
    office.router.away = True

    with pytest.raises(Unreachable):
        await office.jobs.create(NEW_JOB, by=LOCAL, attempt=in_doubt())

    assert len(office.router.jobs) == 1


@pytest.mark.parametrize("verb", ["submit", "cancel"])
async def test_what_is_in_doubt_and_done_is_not_asked_for_again(office: Office, verb: str) -> None:
    """The Router would refuse a second submit, and the caller be told that somebody else had done it."""
    job = await created(office)
    await ask(office, verb, job.id, Attempt.without_key())
    office.router.takes_nothing = True

    again = await ask(office, verb, job.id, in_doubt())

    assert again.id == job.id


@pytest.mark.parametrize("verb", ["submit", "cancel"])
async def test_what_is_in_doubt_and_not_done_is_asked_for(office: Office, verb: str) -> None:
    """The first try never came through."""
    job = await created(office)

    done = await ask(office, verb, job.id, in_doubt())

    assert done.phase is {"submit": Phase.WAITING_ON_QUEUE, "cancel": Phase.CANCELLED}[verb]


async def test_a_kill_is_passed_on_each_time_without_a_look_before(office: Office) -> None:
    """A second one changes nothing at the Router, and a look that fails would keep it from going through."""
    job = await created(office)
    office.router.jobs_can_be_read = False

    for _ in range(2):
        await office.jobs.kill(job.id, by=LOCAL, reason=None)

    assert office.router.killed == [job.id, job.id]


async def test_a_kill_that_lost_the_race_is_on_record_with_what_was_answered() -> None:
    """Who looks back sees what the caller saw."""
    office = opened(confirm_within_s=LONG_S)
    office.router.kills_at_once = False
    job = await office.jobs.submit((await created(office)).id, by=LOCAL, attempt=Attempt.without_key())
    killing = asyncio.create_task(office.jobs.kill(job.id, by=LOCAL, reason=None))
    await until(lambda: office.history.jobs[job.id].phase is Phase.STOPPING)

    await office.observer.hear_router(report(50, "complete", id=job.id))
    await office.observer.hear_lines(job.id, [end_line(1)])
    with pytest.raises(JobFinished):
        await killing

    assert [action.outcome for action in office.actions.kept.values()][-1] == "job-finished"


async def test_of_a_create_and_submit_the_half_that_is_done_is_not_done_again(office: Office) -> None:
    """The job that was made is submitted."""
    made = await created(office)

    job = await office.jobs.create_and_submit(NEW_JOB, by=LOCAL, attempt=in_doubt(made.id))

    assert (job.id, job.phase) == (made.id, Phase.WAITING_ON_QUEUE)
    assert list(office.router.jobs) == [made.id]


async def ask(office: Office, verb: str, job_id: UUID, attempt: Attempt) -> Job:
    if verb == "submit":
        return await office.jobs.submit(job_id, by=LOCAL, attempt=attempt)
    return await office.jobs.cancel(job_id, by=LOCAL, reason=None, attempt=attempt)


# Cancel and kill


async def created(office: Office) -> Job:
    return await office.jobs.create(NEW_JOB, by=LOCAL, attempt=Attempt.without_key())


async def test_a_job_that_was_never_submitted_is_cancelled_at_once(office: Office) -> None:
    """There is nobody to wait for."""
    job = await created(office)

    cancelled = await office.jobs.cancel(job.id, by=LOCAL, attempt=Attempt.without_key(), reason="no need")

    assert (cancelled.phase, cancelled.reason) == (Phase.CANCELLED, "no need")


async def test_a_kill_is_confirmed_by_the_end_of_the_stream() -> None:
    """`killed: true` means that the processes are gone."""
    office = opened(confirm_within_s=LONG_S)
    job = await office.jobs.submit((await created(office)).id, by=LOCAL, attempt=Attempt.without_key())

    killing = asyncio.create_task(office.jobs.kill(job.id, by=LOCAL, reason=None))
    await until(lambda: office.history.jobs[job.id].held is not None)
    await office.observer.hear_lines(job.id, [end_line(1)])

    assert (await killing).phase is Phase.KILLED


async def test_a_kill_that_is_not_confirmed_in_time_answers_as_things_stand() -> None:
    """The caller is not kept; the stream tells the rest."""
    office = opened(confirm_within_s=0.01)
    office.router.kills_at_once = False
    job = await office.jobs.submit((await created(office)).id, by=LOCAL, attempt=Attempt.without_key())

    answered = await office.jobs.kill(job.id, by=LOCAL, reason=None)

    assert answered.phase is Phase.STOPPING
    assert office.hub._bells == {}


async def test_a_kill_that_comes_too_late_says_how_the_job_ended() -> None:
    """`killed` would be a lie about a job that completed."""
    office = opened(confirm_within_s=LONG_S)
    office.router.kills_at_once = False
    job = await office.jobs.submit((await created(office)).id, by=LOCAL, attempt=Attempt.without_key())
    await office.observer.hear_lines(job.id, [end_line(1)])

    killing = asyncio.create_task(office.jobs.kill(job.id, by=LOCAL, reason=None))
    await until(lambda: office.history.jobs[job.id].phase is Phase.STOPPING)
    await office.observer.hear_router(report(50, "complete", id=job.id))

    with pytest.raises(JobFinished, match="complete"):
        await killing


async def test_a_kill_is_passed_on_when_the_history_cannot_be_written() -> None:
    """A computation that must stop does not wait for our disk."""
    office = opened()
    job = await office.jobs.submit((await created(office)).id, by=LOCAL, attempt=Attempt.without_key())
    office.history.away = True

    answered = await office.jobs.kill(job.id, by=LOCAL, reason="it must stop")

    assert office.router.killed == [job.id]
    assert (answered.id, answered.phase, answered.reason) == (job.id, Phase.KILLED, "it must stop")


# Reads


async def test_a_job_never_heard_of_is_asked_for(office: Office) -> None:
    """It may have been created a moment ago by somebody else."""
    office.router.jobs[JOB] = report(1, owner=owned_by("mercy"))

    job = await office.jobs.job(JOB)

    assert not job.streamed
    assert office.history.jobs[JOB] == job


async def test_a_known_job_is_read_without_the_router(office: Office) -> None:
    """Reads go on while the Router is away."""
    job = await created(office)
    office.router.away = True

    assert await office.jobs.job(job.id) == job


async def test_a_job_unknown_here_is_not_denied_while_the_router_is_away(office: Office) -> None:
    """`No such job` would be a guess."""
    office.router.away = True

    with pytest.raises(Unreachable):
        await office.jobs.job(JOB)


async def test_a_job_that_the_router_does_not_know_is_not_known(office: Office) -> None:
    """Or this team may not see it."""
    with pytest.raises(JobNotKnown):
        await office.jobs.job(JOB)


@pytest.mark.parametrize(("how_many", "more"), [(2, False), (20, False), (21, True)])
async def test_several_that_fit_are_ambiguous_and_named(office: Office, how_many: int, more: bool) -> None:
    """`job_name` is not unique; the caller chooses by id."""
    ids = [(await created(office)).id for _ in range(how_many)]

    with pytest.raises(Ambiguous) as several:
        await office.jobs.find(JobFilter(name="a job"))

    assert several.value.facts == {"job_ids": [str(one) for one in ids[:20]], "more": more}


async def test_one_that_fits_is_found_and_none_is_an_error(office: Office) -> None:
    """The reference's `Job.find`."""
    job = await created(office)

    assert await office.jobs.find(JobFilter(name="a job")) == job
    with pytest.raises(JobNotKnown):
        await office.jobs.find(JobFilter(name="another"))


# Waits


@dataclass
class Waiter:
    """Somebody who waits, and may leave."""

    visit: Visit
    waiting: asyncio.Task[tuple[Job, bool]]


async def waiter(office: Office, job_id: UUID, *, within_s: float = LONG_S, wait_for_permission: bool = True) -> Waiter:
    """It listens already when this returns, or has its answer."""
    visit = Visit()
    asking = office.jobs.wait(job_id, within_s=within_s, wait_for_permission=wait_for_permission, visit=visit)
    waiting = asyncio.create_task(asking)
    await until(lambda: waiting.done() or any(visit.bell in bells for bells in office.hub._bells.values()))
    return Waiter(visit=visit, waiting=waiting)


@pytest.mark.parametrize("word", FINAL)
async def test_whoever_waits_is_told_however_the_job_ends(office: Office, word: str) -> None:
    """The end is the end, whether it was wished for or not."""
    job = await created(office)
    waiters = [await waiter(office, job.id) for _ in range(3)]

    await office.observer.hear_router(report(50, word, id=job.id, submitted=None))

    answers = [await one.waiting for one in waiters]
    assert {(told.phase.value, is_over) for told, is_over in answers} == {(word, True)}
    assert office.hub._bells == {}


async def test_a_job_that_is_over_is_not_waited_for(office: Office) -> None:
    """Not even with no time to wait."""
    job = await office.jobs.cancel((await created(office)).id, by=LOCAL, attempt=Attempt.without_key(), reason=None)

    assert await (await waiter(office, job.id, within_s=0)).waiting == (job, True)


async def test_a_job_that_is_not_over_in_time_is_told_as_it_is(office: Office) -> None:
    """With no time at all this is a read."""
    job = await created(office)

    assert await (await waiter(office, job.id, within_s=0)).waiting == (job, False)
    assert office.hub._bells == {}


async def test_news_that_is_not_the_end_is_waited_through(office: Office) -> None:
    """It rings the same bell."""
    job = await office.jobs.submit((await created(office)).id, by=LOCAL, attempt=Attempt.without_key())
    one = await waiter(office, job.id)

    for sequence in range(1, 5):
        await office.observer.hear_lines(job.id, [message_line(sequence)])
        await office.observer.hear_router(report(40 + sequence, "running", id=job.id))
    assert not one.waiting.done()
    one.visit.end()

    assert (await one.waiting)[0].phase is Phase.IN_PROGRESS


@pytest.mark.parametrize(("waits", "is_settled"), [(True, False), (False, True)])
async def test_permission_that_is_missing_is_waited_for_or_not(office: Office, waits: bool, is_settled: bool) -> None:
    """It may take days, and whoever asks may have other things to do."""
    job = await created(office)
    await office.observer.hear_router(report(20, "perm", id=job.id))

    one = await waiter(office, job.id, within_s=0, wait_for_permission=waits)

    told, settled = await one.waiting
    assert (told.phase, settled) == (Phase.WAITING_ON_PERMISSION, is_settled)


async def test_permission_that_comes_to_be_missing_ends_a_wait_that_does_not_want_it(office: Office) -> None:
    """The job was not submitted yet when the wait began."""
    job = await created(office)
    one = await waiter(office, job.id, wait_for_permission=False)

    await office.observer.hear_router(report(20, "perm", id=job.id))

    told, settled = await one.waiting
    assert (told.phase, settled) == (Phase.WAITING_ON_PERMISSION, True)


async def test_once_permission_is_there_the_end_is_waited_for(office: Office) -> None:
    """Also by those who would not wait for permission."""
    job = await created(office)
    await office.observer.hear_router(report(20, "queue", id=job.id, submitted=None))
    one = await waiter(office, job.id, wait_for_permission=False)

    assert not one.waiting.done()
    await office.observer.hear_router(report(21, "error", id=job.id, submitted=None))

    assert (await one.waiting)[1]


async def test_closing_ends_every_wait(office: Office) -> None:
    """Those that have begun, and one that comes just then."""
    job = await created(office)
    waiters = [await waiter(office, job.id) for _ in range(3)]

    office.hub.close()

    assert [await one.waiting for one in [*waiters, await waiter(office, job.id)]] == [(job, False)] * 4
    assert office.hub._bells == {}


async def test_who_leaves_takes_the_wait_along(office: Office) -> None:
    """Others of the same job stay."""
    job = await created(office)
    leaver, stayer = [await waiter(office, job.id) for _ in range(2)]

    leaver.visit.end()

    assert await leaver.waiting == (job, False)
    assert not stayer.waiting.done()
    assert office.hub._bells == {job.id: {stayer.visit.bell}}
    stayer.visit.end()
    await stayer.waiting


async def test_a_wait_for_a_job_that_nobody_knows_is_refused(office: Office) -> None:
    """At once: it would never end."""
    with pytest.raises(JobNotKnown):
        await office.jobs.wait(JOB, within_s=LONG_S, wait_for_permission=True, visit=Visit())


async def test_a_job_never_heard_of_is_asked_for_and_waited_for(office: Office) -> None:
    """It may be another team's."""
    office.router.jobs[JOB] = report(1, owner=owned_by("mercy"))
    one = await waiter(office, JOB)

    await office.observer.hear_router(report(2, "complete", owner=owned_by("mercy")))

    assert [told.phase for told in (await one.waiting)[:1]] == [Phase.COMPLETE]


async def test_the_latest_status_of_a_job_that_nobody_knows_is_refused(office: Office) -> None:
    """An empty list would say that it has not begun."""
    with pytest.raises(JobNotKnown):
        await office.jobs.latest_statuses(JOB, limit=1, cursor=None)


# News of one job, in turn


async def test_news_of_one_job_is_applied_one_piece_at_a_time(office: Office) -> None:
    """Two roads at once: each must see what the other left."""
    await office.observer.hear_router(report(1))
    words = ["perm", "queue", "starting", "running"]

    await asyncio.gather(
        *(office.observer.hear_router(report(n + 2, word)) for n, word in enumerate(words)),
        office.observer.hear_lines(JOB, [end_line(1)]),
    )

    job = office.history.jobs[JOB]
    assert (job.phase, job.stream_ended) == (Phase.IN_PROGRESS, True)


async def test_whose_job_it_is_decides_about_its_stream(office: Office) -> None:
    """Another team's stream is not ours to read."""
    theirs = uuid4()

    ours = await office.observer.hear_router(report(2, "running"))
    other = await office.observer.hear_router(report(2, "running", id=theirs, owner=owned_by("mercy")))

    assert (ours.streamed, other.streamed) == (True, False)


async def test_the_observer_forgets_the_turns_of_jobs_nobody_waits_for(office: Office) -> None:
    """Jobs come and go for months."""
    for _ in range(10):
        await office.observer.hear_router(replace(report(1), id=uuid4()))

    assert len(office.observer._turns) == 0


def test_a_first_word_needs_no_history() -> None:
    """So a kill can be answered without one."""
    assert first_heard(report(2, "killed"), streamed=False).job.phase is Phase.KILLED
