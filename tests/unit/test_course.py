"""What news makes of a job, whichever way and in whichever order it comes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.codes import JobCode
from app.domain.course import first_heard, forgotten, hear_router, stop_waiting, upstream_back, upstream_lost
from app.domain.events import Kind, NewEvent, Told
from app.domain.jobs import Job, Result
from app.domain.phases import OF_MARKET_STATUS, WITHOUT_CODE, Phase, is_requeued, may_move
from app.domain.reports import Act, EndLine, JobReport, Made, MessageLine, StatusLine
from app.domain.stream import hear_line
from tests.support.news import (
    ASSET,
    FINAL,
    NOON,
    PERMISSION,
    PLACE,
    RESULT,
    data_of,
    end_line,
    job_in,
    kinds,
    message_line,
    phases,
    report,
    status_line,
)

MARKET_STATUSES = [*OF_MARKET_STATUS, "unheard-of"]
WAITING = {Phase.WAITING_ON_PERMISSION, Phase.WAITING_ON_QUEUE}
NOT_FINAL = [phase for phase in Phase if not phase.is_final]

reports = st.builds(
    report,
    st.integers(1, 12),
    st.sampled_from(MARKET_STATUSES),
    waiting_on=st.sampled_from([(), (PERMISSION,), (replace(PERMISSION, team="lakeside"),)]),
    queue=st.sampled_from([(), (PLACE,), (replace(PLACE, place=1),), (replace(PLACE, away_since=NOON),)]),
    epoch=st.sampled_from(["router", "router", "router", "replaced"]),
)
lines = st.one_of(
    st.builds(status_line, st.integers(1, 12), st.sampled_from([0, 3, 4, 10, 77])),
    st.builds(
        message_line, st.integers(1, 12), st.sampled_from(['"starting"', '"hello"', '{"__type":"EpochMetrics"}'])
    ),
    st.builds(end_line, st.integers(1, 12)),
)
News = JobReport | StatusLine | MessageLine | EndLine | str
news = st.one_of(reports, lines, st.sampled_from(["lost", "back", "stop waiting"]))
courses = st.tuples(reports, st.booleans(), st.lists(news, max_size=30))


@dataclass
class Course:
    """A job and everything that was told of it."""

    job: Job
    events: list[NewEvent] = field(default_factory=list)

    def take(self, one: News) -> Told | None:
        """Apply a piece of news."""
        told = hear(self.job, one)
        if told is not None:
            self.job = told.job
            self.events += told.events
        return told

    @property
    def shown(self) -> list[NewEvent]:
        """What a viewer sees."""
        return [event for event in self.events if not event.late]


def hear(job: Job, one: News) -> Told | None:
    if isinstance(one, JobReport):
        return hear_router(job, one, now=NOON)
    if isinstance(one, StatusLine | MessageLine | EndLine):
        return hear_line(job, one)
    if one == "stop waiting":
        return stop_waiting(job)
    return upstream_lost(job, now=NOON) if one == "lost" else upstream_back(job, now=NOON)


def begun(first: JobReport, *, streamed: bool = True) -> Course:
    told = first_heard(first, streamed=streamed)
    return Course(told.job, list(told.events))


def run(*all_news: News, first: JobReport | None = None, streamed: bool = True) -> Course:
    course = begun(first or report(), streamed=streamed)
    for one in all_news:
        course.take(one)
    return course


# Whatever comes


@given(courses)
def test_a_final_phase_is_never_left(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """Who was told `complete` acts on it."""
    first, streamed, all_news = drawn
    course = begun(first, streamed=streamed)

    visited = [course.job.phase]
    for one in all_news:
        course.take(one)
        visited.append(course.job.phase)

    assert all(after is was for was, after in pairwise(visited) if was.is_final)


@given(courses)
def test_each_change_of_phase_is_told_once_with_the_phase_before(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """A viewer that adds up the events stands where the job stands."""
    first, streamed, all_news = drawn

    course = run(*all_news, first=first, streamed=streamed)

    told = [data_of(event) for event in course.shown if event.kind is Kind.PHASE]
    assert told[0]["previous"] is None
    assert all(after["previous"] == was["phase"] for was, after in pairwise(told))
    assert told[-1]["phase"] == course.job.phase
    assert {one["phase"] for one in told if one["previous"] == one["phase"]} <= WAITING


@given(courses)
def test_the_end_comes_once_and_nothing_after_it(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """A viewer leaves at `end`; what came after it would be lost on it."""
    first, streamed, all_news = drawn

    course = run(*all_news, first=first, streamed=streamed)

    finals = [one for one in phases(course.shown) if Phase(one).is_final]
    ends = [place for place, event in enumerate(course.shown) if event.kind is Kind.END]
    assert len(finals) == len(ends) == int(course.job.is_over)
    assert ends in ([], [len(course.shown) - 1])
    assert all(data_of(course.shown[end])["phase"] == course.job.phase for end in ends)


@given(courses, news)
def test_the_same_news_again_is_nothing_new(drawn: tuple[JobReport, bool, list[News]], one: News) -> None:
    """Replays after a broken connection must not be told twice."""
    first, streamed, all_news = drawn
    course = run(*all_news, one, first=first, streamed=streamed)

    again = hear(course.job, one)

    assert again is None


@given(courses)
def test_only_the_router_itself_takes_a_job_backwards(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """A late `running` over `stopping` once made peers show jobs that were gone."""
    first, streamed, all_news = drawn
    course = begun(first, streamed=streamed)

    for one in all_news:
        was = course.job
        course.take(one)

        moved = course.job.phase is not was.phase
        requeued = isinstance(one, JobReport) and is_requeued(was.market_status, one.market_status)
        assert not moved or requeued or may_move(was.phase, course.job.phase)


@given(courses)
def test_lost_and_back_come_in_turns(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """Two `lost` in a row would be an alarm without a cause."""
    first, streamed, all_news = drawn

    course = run(*all_news, first=first, streamed=streamed)

    states = [data_of(event)["state"] for event in course.events if event.kind is Kind.UPSTREAM]
    assert states == (["lost", "back"] * len(states))[: len(states)]


@given(courses)
def test_late_news_changes_nothing_but_how_far_was_heard(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """History is not rewritten."""
    first, streamed, all_news = drawn
    course = begun(first, streamed=streamed)

    for one in all_news:
        was = course.job
        told = course.take(one)

        if told is not None and was.is_over:
            heard = {"router", "listed", "listed_status", "ahead", "past_epochs", "stream", "stream_ended"}
            unheard = replace(course.job, **{name: getattr(was, name) for name in heard})
            assert unheard == was
            assert all(event.late for event in told.events)


@given(courses)
def test_a_job_that_is_over_holds_nothing_more(drawn: tuple[JobReport, bool, list[News]]) -> None:
    """What it waited for no longer matters."""
    first, streamed, all_news = drawn

    job = run(*all_news, first=first, streamed=streamed).job

    assert not job.is_over or (job.held, job.waiting_on, job.queue, job.upstream_lost_since) == (None, (), (), None)
    assert job.held is None or (job.held.phase.is_final and not job.is_over)


# The Router's word


def test_a_job_heard_of_for_the_first_time_is_told_from_its_creation() -> None:
    """The log of a job that others started begins where the job began."""
    course = run(first=report(5, "running"))

    assert phases(course.events) == ["created", "in_progress"]
    assert course.job.submitted is not None


@pytest.mark.parametrize("sequence", [1, 2])
def test_a_report_that_is_not_newer_is_nothing_new(sequence: int) -> None:
    """The answer to a call and the change feed bring the same document in any order."""
    course = run(report(2, "queue"))

    told = hear_router(course.job, report(sequence, "running"), now=NOON)

    assert told is None


def test_a_report_of_a_replaced_router_is_news() -> None:
    """Its numbers begin anew."""
    course = run(report(9, "queue"))

    course.take(report(1, "running", epoch="replaced"))

    assert course.job.phase is Phase.IN_PROGRESS


def test_a_market_status_nobody_knows_is_kept_and_moves_nothing() -> None:
    """Tomorrow's Router may have more words."""
    course = run(report(2, "queue"), report(3, "unheard-of"))

    assert course.job.market_status == "unheard-of"
    assert course.job.phase is Phase.WAITING_ON_QUEUE


def test_why_is_told_again_when_the_missing_permissions_change() -> None:
    """Whoever shows who must still grant needs to hear of each grant."""
    second = replace(PERMISSION, team="lakeside", asset="lakeside/patients")
    course = run(report(2, "perm", waiting_on=(PERMISSION, second)), report(3, "perm", waiting_on=(second,)))

    last = data_of(course.events[-1])

    assert (last["phase"], last["previous"]) == ("waiting_on_permission", "waiting_on_permission")
    assert [one["team"] for one in last["why"]["waiting_on"]] == ["lakeside"]


def test_the_same_permissions_are_not_told_again() -> None:
    """A change of anything else is no news about why."""
    course = run(report(2, "perm", waiting_on=(PERMISSION,)))

    told = course.take(report(3, "perm", waiting_on=(PERMISSION,)))

    assert told is not None
    assert told.events == ()


def test_a_changed_place_in_the_queue_is_kept_without_an_event() -> None:
    """It is read with the job; a long queue would otherwise flood the log."""
    course = run(report(2, "queue", queue=(PLACE,)), report(3, "queue", queue=(replace(PLACE, place=1),)))

    assert course.job.queue[0].place == 1
    assert phases(course.events) == ["created", "waiting_on_queue"]


def test_an_access_point_that_goes_away_is_told_to_those_who_queue_for_it() -> None:
    """Waiting behind others and waiting for somebody who is away are two things."""
    away = replace(PLACE, away_since=NOON)
    course = run(report(2, "queue", queue=(PLACE,)), report(3, "queue", queue=(away,)))

    last = data_of(course.events[-1])

    assert (last["phase"], last["previous"]) == ("waiting_on_queue", "waiting_on_queue")
    assert last["why"]["places"][0]["away_since"] is not None
    assert course.events[-1].when == report(3).changed


@pytest.mark.parametrize("started_as", ["starting", "running"])
def test_the_router_may_put_a_started_job_back_into_the_queue(started_as: str) -> None:
    """An Access Point went away before the job ran there."""
    course = run(report(2, started_as), report(3, "queue"))

    assert course.job.phase is Phase.WAITING_ON_QUEUE
    assert data_of(course.shown[-1])["previous"] == OF_MARKET_STATUS[started_as]


def test_queue_news_from_before_the_start_is_late() -> None:
    """The Access Point was ahead: the job runs, whatever its place was."""
    course = run(report(2, "queue"), status_line(1, JobCode.IN_PROGRESS), report(3, "queue", queue=(PLACE,)))

    assert course.job.phase is Phase.IN_PROGRESS
    assert course.events[-1].late


@pytest.mark.parametrize("phase", NOT_FINAL)
def test_a_lost_job_is_found_again_in_any_phase(phase: Phase) -> None:
    """`lost` is left wherever the job is seen again."""
    market_status = next((word for word, meant in OF_MARKET_STATUS.items() if meant is phase), "running")

    told = hear_router(job_in(Phase.LOST), report(2, market_status), now=NOON)

    assert told is not None
    assert told.job.phase is OF_MARKET_STATUS[market_status]


@pytest.mark.parametrize("too_late", ["complete", "error"])
def test_a_kill_may_lose_the_race(too_late: str) -> None:
    """`stopping` is a wish; the computation may have been faster."""
    course = run(report(2, "running"), report(3, "stopping"), end_line(1), report(4, too_late))

    assert course.job.phase == too_late


# Codes and messages


def test_starting_may_run_ahead_of_the_router() -> None:
    """The two roads have no common order."""
    course = run(report(2, "queue"), message_line(1, '"starting"'))

    assert course.job.phase is Phase.STARTING
    assert kinds(course.events[-2:]) == ["message", "phase"]


def test_code_3_may_run_ahead_of_the_router() -> None:
    """The two roads have no common order."""
    course = run(report(2, "queue"), status_line(1, JobCode.IN_PROGRESS))

    assert course.job.phase is Phase.IN_PROGRESS
    assert kinds(course.events[-2:]) == ["status", "phase"]


def test_the_router_catching_up_tells_no_phase_twice() -> None:
    """What the Access Point was first to say is no news from the Router."""
    course = run(report(2, "queue"), status_line(1, 3), report(3, "starting"), report(4, "running"))

    assert phases(course.shown) == ["created", "waiting_on_queue", "in_progress"]


def test_a_code_nobody_knows_is_kept() -> None:
    """It is passed on, not crushed."""
    course = run(report(2, "running"), status_line(1, 77))

    assert course.job.code == 77
    assert course.job.status == 77
    assert data_of(course.events[-1])["code"] == 77
    assert course.job.phase is Phase.IN_PROGRESS


@pytest.mark.parametrize("phase", list(Phase))
def test_status_is_null_exactly_where_the_phase_has_no_public_code(phase: Phase) -> None:
    """A number is never invented."""
    job = job_in(phase, code=3)

    assert job.status == (None if phase in WITHOUT_CODE else 3)


@pytest.mark.parametrize(("word", "code"), [("complete", 4), ("error", 10)])
def test_the_final_phases_with_a_code_show_it_though_no_access_point_sent_it(word: str, code: int) -> None:
    """The stream may have been cut before its last status."""
    course = run(report(2, "running"), end_line(1), report(3, word))

    assert course.job.status == code


def test_metrics_become_the_model_status() -> None:
    """As the reference's `model_status` does."""
    metrics = '{"__type":"EpochMetrics","loss":0.5}'
    course = run(report(2, "running"), message_line(1, metrics), message_line(2, '{"__type":"Other"}'))

    assert msgspec.json.decode(course.job.model_status) == {
        "type": "EpochMetrics",
        "latest": {"__type": "EpochMetrics", "loss": 0.5},
        "parties": {"all": {"0": {"loss": 0.5}}},
    }


def test_metrics_of_parties_and_epochs_add_up() -> None:
    """What came first is still there when the last has come; what comes after the end changes nothing."""
    course = run(
        report(2, "running"),
        message_line(1, '{"__type":"TrainMetrics","epoch":0,"loss":0.5}'),
        message_line(2, '{"__type":"TrainMetrics","epoch":1,"reports":[{"team":"mercy","loss":0.4}]}'),
        report(3, "complete"),
        end_line(3),
        message_line(4, '{"__type":"TrainMetrics","epoch":2,"loss":0.3}'),
    )

    status = msgspec.json.decode(course.job.model_status)
    assert status["parties"] == {"all": {"0": {"loss": 0.5}}, "mercy": {"1": {"loss": 0.4}}}
    assert status["latest"]["epoch"] == 1


def test_a_later_report_without_error_or_result_does_not_wipe_what_the_stream_told() -> None:
    """Each road may know what the other does not."""
    failed = status_line(1, 10, error="broken", error_code=7, result=RESULT)

    course = run(report(2, "running"), failed, report(3, "running"))

    assert (course.job.error, course.job.error_code, course.job.result) == ("broken", 7, RESULT)


# The end


@pytest.mark.parametrize("word", FINAL)
def test_a_final_phase_is_held_until_the_end_marker(word: str) -> None:
    """`complete` must not overtake the last messages."""
    course = run(report(2, "running"), report(3, word))
    assert course.job.phase is Phase.IN_PROGRESS

    course.take(message_line(1))
    course.take(end_line(2))

    assert kinds(course.events[-3:]) == ["message", "phase", "end"]
    assert course.job.phase == word
    assert course.job.finished == report(3, word).finished


@pytest.mark.parametrize("word", FINAL)
def test_the_end_marker_waits_for_the_routers_word(word: str) -> None:
    """Both must say that it is over; neither is always first."""
    course = run(report(2, "running"), end_line(1))
    assert course.job.phase is Phase.IN_PROGRESS

    course.take(report(3, word))

    assert kinds(course.events[-2:]) == ["phase", "end"]
    assert course.job.phase == word


def test_stop_waiting_lets_the_held_phase_go() -> None:
    """An Access Point that went away must not keep a job alive for ever."""
    course = run(report(2, "running"), report(3, "complete"))

    course.take("stop waiting")

    assert course.job.phase is Phase.COMPLETE
    assert kinds(course.events[-2:]) == ["phase", "end"]


def test_there_is_nothing_to_stop_waiting_for_while_the_job_runs() -> None:
    """A deadline alone ends no job."""
    course = run(report(2, "running"))

    assert course.take("stop waiting") is None


@pytest.mark.parametrize("word", ["cancelled", "killed"])
def test_a_job_that_was_never_submitted_ends_at_once(word: str) -> None:
    """It has no stream whose end could be awaited."""
    course = run(report(2, word, submitted=None))

    assert phases(course.events) == ["created", word]
    assert kinds(course.events)[-1] == "end"


@pytest.mark.parametrize("word", FINAL)
def test_another_teams_job_ends_at_once(word: str) -> None:
    """Its stream is not ours to read."""
    course = run(report(2, "running"), report(3, word), streamed=False)

    assert course.job.phase == word
    assert kinds(course.events)[-1] == "end"


def test_what_comes_after_the_end_is_kept_as_late() -> None:
    """It happened, but nobody waits for it any more."""
    course = run(report(2, "running"), end_line(1), report(3, "complete"))

    course.take(message_line(2))
    course.take(status_line(3, 10))
    course.take(report(4, "error"))

    assert [event.late for event in course.events[-3:]] == [True, True, True]
    assert course.job.phase is Phase.COMPLETE


def test_a_stream_lost_when_the_job_ends_is_lost_no_more() -> None:
    """Nothing is to be read from it."""
    course = run(report(2, "running"), "lost", report(3, "complete"), "stop waiting")

    assert course.job.upstream_lost_since is None
    assert course.take("back") is None


def test_the_text_of_a_result_comes_from_the_access_point_alone() -> None:
    """The Router knows which asset was made, and nothing that was computed."""
    course = Course(first_heard(report(), streamed=True).job)
    course.take(report(2, "complete", result=Made(asset_id=ASSET)))

    before = course.job.result
    course.take(status_line(1, JobCode.COMPLETE, result=RESULT))

    assert (before, course.job.result) == (None, RESULT)


def test_of_a_result_whose_status_never_came_the_asset_is_left() -> None:
    """What was made can still be fetched."""
    course = Course(first_heard(report(), streamed=True).job)
    course.take(report(2, "complete", result=Made(asset_id=ASSET)))

    course.take("stop waiting")

    assert course.job.result == Result(raw_status="", asset_id=ASSET)


@pytest.mark.parametrize(("code", "market_status"), [(JobCode.COMPLETE, "complete"), (JobCode.ERROR, "error")])
def test_a_code_that_says_it_is_over_is_shown_with_the_final_phase(code: JobCode, market_status: str) -> None:
    """Whoever asks for the status and acts on it must find what it says."""
    course = Course(first_heard(report(2, "running"), streamed=True).job)
    course.take(status_line(1, JobCode.IN_PROGRESS))
    course.take(status_line(2, code))

    before = course.job.status
    course.take(end_line(3))
    course.take(report(3, market_status))

    assert (before, course.job.status) == (JobCode.IN_PROGRESS, code)


def test_back_in_the_queue_a_job_has_no_code_of_its_first_run() -> None:
    """It calculates no more."""
    course = Course(first_heard(report(2, "running"), streamed=True).job)
    course.take(status_line(1, JobCode.IN_PROGRESS))

    course.take(report(3, "queue", queue=(PLACE,)))

    assert (course.job.phase, course.job.status) == (Phase.WAITING_ON_QUEUE, JobCode.NOT_KNOWN_YET)


# Who brought it there, and why


def phase_events(course: Course) -> list[dict[str, Any]]:
    return [data_of(event) for event in course.events if event.kind is Kind.PHASE]


def test_every_phase_says_who_brought_the_job_there_and_why() -> None:
    """Half a year later somebody asks who stopped it."""
    ann, owner = Act(user="ann", team="globex"), Act(user="owner@mercy", team="mercy")
    course = begun(report())
    course.take(report(2, "perm", actor=ann))
    course.take(report(3, "queue", actor=owner))
    course.take(report(4, "starting"))
    told = hear_router(course.job, report(5, "stopping", actor=ann, reason="ann: too slow"), by="ada", now=NOON)
    assert told is not None
    course.job, course.events = told.job, [*course.events, *told.events]
    course.take(end_line(1))
    course.take(report(6, "killed", actor=ann, reason="ann: too slow"))

    said = [(one["phase"], one["actor"], one["reason"]) for one in phase_events(course)]
    by_ann = {"user": None, "router_user": "ann", "team": "globex"}
    assert said == [
        ("created", by_ann, None),
        ("waiting_on_permission", by_ann, None),
        ("waiting_on_queue", {"user": None, "router_user": "owner@mercy", "team": "mercy"}, None),
        ("starting", None, None),
        ("stopping", {**by_ann, "user": "ada"}, "ann: too slow"),
        ("killed", by_ann, "ann: too slow"),
    ]


def test_a_job_that_is_put_back_says_so() -> None:
    """Else the way back looks like a mistake of ours."""
    course = run(report(2, "queue"), report(3, "starting"), report(4, "queue"))

    assert phase_events(course)[-1]["reason"] == "The Router took the job back into the queue."


def test_what_the_access_point_says_of_the_run_before_does_not_start_a_job_that_was_put_back() -> None:
    """The two roads have no common order."""
    course = run(report(2, "queue"), report(3, "starting"), report(4, "queue"))
    course.take(message_line(1, '"starting"'))
    course.take(status_line(2, 3))
    waits = course.job.phase
    course.take(report(5, "starting"))
    course.take(status_line(3, 3))

    assert (waits, course.job.phase) == (Phase.WAITING_ON_QUEUE, Phase.IN_PROGRESS)


# What overtakes and what is overtaken


def listed(course: Course, *reports: JobReport) -> None:
    """The Router's changes tell these."""
    for one in reports:
        told = hear_router(course.job, one, listed=True, now=NOON)
        if told is not None:
            course.job, course.events = told.job, [*course.events, *told.events]


def test_a_job_was_created_when_it_was_however_late_one_hears_of_it() -> None:
    """Not at the change that tells so."""
    seen = first_heard(report(2, "perm"), streamed=True).job
    told = hear_router(seen, report(1), now=NOON, listed=True)

    assert told is not None
    (created,) = told.events
    assert (created.late, created.when, data_of(created)["phase"]) == (True, NOON, "created")


def test_what_an_answer_has_overtaken_is_kept_late() -> None:
    """The changes leave nothing out, and neither does the history; viewers are not sent backwards."""
    course = begun(report())
    course.take(report(4, "running"))
    listed(course, report(), report(2, "queue"), report(3, "starting"), report(4, "running"), report(5, "stopping"))

    told = [(data_of(event)["phase"], event.late) for event in course.events if event.kind is Kind.PHASE]
    assert told == [
        ("created", False),
        ("in_progress", False),
        ("waiting_on_queue", True),
        ("starting", True),
        ("stopping", False),
    ]


def test_what_was_heard_in_an_answer_is_not_told_again_by_the_changes() -> None:
    """Every create and submit is heard twice."""
    course = begun(report())
    course.take(report(2, "queue"))
    listed(course, report(), report(2, "queue"), report(2, "queue"), report(3, "queue"))

    assert phases(course.events) == ["created", "waiting_on_queue"]
    assert [event for event in course.events if event.late] == []


def test_a_storage_that_the_router_left_behind_says_nothing_any_more() -> None:
    """An answer of before the replacement may still be on its way."""
    course = run(report(5, "running"), report(1, "running", epoch="replaced"))

    assert hear_router(course.job, report(9, "stopping"), now=NOON) is None


# What the Router has forgotten


MINUTE = timedelta(minutes=1)


def forget(course: Course, *moments: datetime) -> None:
    for now in moments:
        told = forgotten(course.job, now=now, lost_after=MINUTE)
        if told is not None:
            course.job, course.events = told.job, [*course.events, *told.events]


@pytest.mark.parametrize("market_status", ["created", "perm", "queue", "starting", "running", "stopping"])
def test_a_job_that_stays_forgotten_is_lost_and_comes_back_when_it_is_seen(market_status: str) -> None:
    """Without it a run that is gone upstream looks slow for ever."""
    seen = report(2, market_status)
    course = begun(report())
    course.take(seen)
    was = course.job.phase
    forget(course, NOON, NOON + MINUTE / 2)
    not_yet = course.job.phase
    forget(course, NOON + MINUTE, NOON + 2 * MINUTE)
    gone = course.job
    course.take(replace(seen, sequence=3))

    assert (not_yet, gone.phase, course.job.phase) == (was, Phase.LOST, was)
    assert [one["reason"] for one in phase_events(course)[-2:]] == [
        "The Router does not know the job any more.",
        "The job was seen again.",
    ]
    assert course.job.forgotten_since is None


@pytest.mark.parametrize("market_status", ["created", "perm", "queue", "starting", "running", "stopping"])
def test_a_lost_job_comes_back_also_where_nothing_about_it_has_changed(market_status: str) -> None:
    """The Router was wrong for a while, and has no news."""
    seen = report(2, market_status)
    course = begun(report())
    course.take(seen)
    was = course.job.phase
    forget(course, NOON, NOON + MINUTE)
    course.take(seen)

    assert (course.job.phase, course.job.forgotten_since) == (was, None)


def test_what_the_stream_has_told_meanwhile_is_kept_when_a_job_is_missed_for_a_moment() -> None:
    """The Router's word, again, is older than that."""
    queued = report(2, "queue")
    course = run(queued, status_line(1, 3))
    forget(course, NOON)
    told = course.take(queued)

    assert (course.job.phase, course.job.forgotten_since) == (Phase.IN_PROGRESS, None)
    assert told is not None
    assert told.events == ()


def test_nobody_is_named_for_a_job_that_is_found_where_it_was() -> None:
    """Who submitted it an hour ago did nothing now, and it comes back after it was lost, not before."""
    ann = Act(user="ann", team="globex", client_ref="a deed")
    course = begun(report())
    course.take(report(2, "perm", actor=ann))
    forget(course, NOON, NOON + MINUTE)
    told = hear_router(course.job, report(3, "perm", actor=ann), now=NOON + 2 * MINUTE, by="ada")

    assert told is not None
    back = data_of(told.events[0])
    assert (back["actor"], back["reason"]) == (None, "The job was seen again.")
    assert told.events[0].when == NOON + 2 * MINUTE


def test_a_lost_job_that_has_gone_on_meanwhile_says_that_it_was_seen_again() -> None:
    """Where the Router gives no reason of its own."""
    course = run(report(2, "queue"))
    forget(course, NOON, NOON + MINUTE)
    course.take(report(3, "starting"))

    assert [(one["phase"], one["reason"]) for one in phase_events(course)[-1:]] == [
        ("starting", "The job was seen again.")
    ]


def test_who_stops_a_job_that_is_lost_is_named() -> None:
    """It is back because of them."""
    ann = Act(user="ann", team="globex", client_ref="a deed")
    course = run(report(2, "running"))
    forget(course, NOON, NOON + MINUTE)
    told = hear_router(course.job, report(3, "stopping", actor=ann, reason="ann: enough"), now=NOON, by="ada")

    assert told is not None
    stopping = data_of(told.events[0])
    assert (stopping["actor"]["user"], stopping["reason"]) == ("ada", "ann: enough")


def test_a_job_that_was_missed_for_a_moment_is_not_lost_at_the_next() -> None:
    """The grace begins anew."""
    course = run(report(2, "queue"))
    forget(course, NOON)
    course.take(report(3, "queue"))
    forget(course, NOON + 2 * MINUTE)

    assert course.job.phase is Phase.WAITING_ON_QUEUE


def test_a_lost_job_is_seen_again_by_what_its_access_point_says() -> None:
    """It calculates on, whatever the Router knows of it."""
    course = run(report(2, "running"))
    forget(course, NOON, NOON + MINUTE)
    course.take(status_line(1, 3))

    assert (course.job.phase, course.job.forgotten_since) == (Phase.IN_PROGRESS, None)


@pytest.mark.parametrize("word", ["complete", "killed"])
def test_a_job_that_is_over_is_never_lost(word: str) -> None:
    """A Router may well forget what is done; also while the last words are awaited."""
    held = run(report(2, "running"), report(3, word))
    over = run(report(2, "running"), report(3, word), end_line(1))

    forget(held, NOON, NOON + MINUTE)
    forget(over, NOON, NOON + MINUTE)

    assert (held.job.held is not None, held.job.phase) == (True, Phase.IN_PROGRESS)
    assert over.job.phase == word


def test_a_lost_job_of_which_the_router_has_an_unknown_word_is_lost_no_more() -> None:
    """It is there."""
    course = run(report(2, "running"))
    forget(course, NOON, NOON + MINUTE)
    course.take(report(3, "unheard-of", started=NOON))

    assert course.job.phase is Phase.IN_PROGRESS
