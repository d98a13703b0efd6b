"""What is made up for where the SDK says too little: numbers, places in streams, threads, Sessions, the Router's word."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.errors import JobNotKnown, Unanswered, Unreachable
from app.domain.jobs import Mark
from app.domain.reports import Me
from app.upstream.sdk.calls import Calls
from app.upstream.sdk.numbers import Numbers
from app.upstream.sdk.points import Place
from app.upstream.sdk.router import SdkRouter
from app.upstream.sdk.seen import market_status, message_text, moment
from app.upstream.sdk.sessions import Sessions
from app.upstream.sdk.surface import Opened, loaded_opening
from app.upstream.sdk.threads import NotBegun, NotDone, Threads
from tests.support.news import ASSET, JOB, NOON, report, status_line

SEEN = report()
PERM = replace(SEEN, market_status="perm")


# Numbers


def test_a_change_has_a_new_number_and_what_is_seen_again_has_its_own() -> None:
    """Also when it was seen later: what is the same has not changed since."""
    numbers = Numbers()
    first = numbers.numbered(numbers.begin(), SEEN)
    again = numbers.numbered(numbers.begin(), replace(SEEN, changed=NOON + timedelta(hours=1)))
    changed = numbers.numbered(numbers.begin(), PERM)

    assert again == first
    assert first.mark.precedes(changed.mark)
    assert not changed.mark.precedes(first.mark)


def test_a_look_that_began_earlier_does_not_take_back_what_a_later_one_saw() -> None:
    """However late it comes back."""
    numbers = Numbers()
    slow, quick = numbers.begin(), numbers.begin()
    newer = numbers.numbered(quick, PERM)

    assert numbers.numbered(slow, SEEN) == newer


def test_numbers_begin_an_epoch_with_each_process_and_forget_who_was_not_seen_for_longest() -> None:
    """What is forgotten is news when it is seen again: rather twice than never."""
    numbers = Numbers(remembered=2)
    first = numbers.numbered(numbers.begin(), SEEN)
    for number in (2, 3):
        numbers.numbered(numbers.begin(), replace(SEEN, id=UUID(int=number)))

    assert not numbers.knows(SEEN.id)
    assert first.mark.precedes(numbers.numbered(numbers.begin(), SEEN).mark)
    assert Numbers().epoch != numbers.epoch


# Places


def told(place: Place, said: list[str | int]) -> list[tuple[str | int, Mark]]:
    """What is told of messages (texts) and statuses (numbers), each with its mark."""
    marks = [
        (one, place.status(status_line(1, one).status) if isinstance(one, int) else place.message(one)) for one in said
    ]
    return [(one, mark) for one, mark in marks if mark is not None]


@given(st.lists(st.sampled_from(["a", "b", "c"]) | st.integers(3, 5), max_size=12), st.data())
def test_a_stream_that_begins_anew_is_read_on_from_where_it_was(said: list[str | int], data: st.DataObject) -> None:
    """Whatever it says, and wherever it was left: every message once."""
    whole = told(Place(None), said)
    cut = data.draw(st.integers(0, len(whole)))
    after = whole[cut - 1][1] if cut else None
    again = told(Place(after), said)

    assert [one for one, _ in again if isinstance(one, str)] == [one for one, _ in whole[cut:] if isinstance(one, str)]


def test_a_stream_that_goes_on_is_not_taken_for_one_that_begins_anew() -> None:
    """It begins with another message than the first."""
    whole = told(Place(None), ["a", "b"])
    rest = told(Place(whole[-1][1]), ["c", "a"])

    assert [one for one, _ in rest] == ["c", "a"]
    assert whole[-1][1].precedes(rest[0][1])


def test_a_status_is_told_when_it_is_another() -> None:
    """Looking again is no news, also not for the next reader."""
    whole = told(Place(None), [3, 3, "a", 3, 4])

    assert [one for one, _ in whole] == [3, "a", 4]
    assert told(Place(whole[-1][1]), [4]) == []


# Threads


async def test_a_call_returns_or_raises_what_the_work_does() -> None:
    threads = Threads(at_most=1, within_s=10)

    def failing() -> None:
        raise StopIteration("of a generator")

    assert await threads.call(lambda: threading.current_thread().daemon)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.call(failing)
    with pytest.raises(ZeroDivisionError):
        await threads.call(lambda: 1 / 0)


async def test_a_call_that_takes_too_long_keeps_its_place_until_it_returns() -> None:
    """Who comes meanwhile was surely not begun."""
    threads, gate = Threads(at_most=1, within_s=0.05), threading.Event()
    with pytest.raises(NotDone):
        await threads.call(gate.wait)
    with pytest.raises(NotBegun):
        await threads.call(lambda: None)
    gate.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await threads.call(lambda: "free") == "free"
            except NotBegun:
                continue
            return


# Sessions


def test_a_session_is_kept_for_its_caller_and_used_by_one_at_a_time() -> None:
    """One that failed is not used again; those that are too many are closed, and in the end all."""
    opened: list[str] = []
    closed: list[object] = []

    def open_one(token: str) -> Opened:
        opened.append(token)
        return Opened(session=f"{token}{len(opened)}")

    sessions = Sessions(open_one, close=lambda one: closed.append(one.session), kept=2)
    with sessions.of("a") as first, sessions.of("a") as second:
        assert first is not second
    with sessions.of("a") as again:
        assert again in (first, second)
    with pytest.raises(ZeroDivisionError), sessions.of("a") as failing:
        _ = 1 / 0
    assert closed == [failing.session]
    with sessions.of("b"), sessions.of("c"):
        pass
    assert len(closed) == 2
    sessions.close()
    assert (sorted(opened), len(closed)) == (["a", "a", "b", "c"], 4)


def test_a_session_outlives_what_is_only_not_there() -> None:
    """The SDK has answered: nothing is wrong with it."""
    closed: list[object] = []
    sessions = Sessions(lambda _: Opened(session=object()), close=lambda one: closed.append(one.session))
    with pytest.raises(JobNotKnown), sessions.of("a") as first:
        raise JobNotKnown("No such job.")
    with sessions.of("a") as again:
        assert again is first
    assert closed == []


async def test_what_the_sdk_says_of_a_failure_is_told_without_the_token() -> None:
    """Of a look and of a deed alike."""

    def failing(**_: object) -> None:
        raise ConnectionError("no way to https://router.test/?token=any-token")

    router = router_of(find=failing, find_all=failing)
    with pytest.raises(Unreachable) as unseen:
        await router.jobs(over=False)
    with pytest.raises(Unanswered) as undone:
        await router._calls.write(lambda _: failing())

    for told in (unseen.value.detail, undone.value.detail):
        assert "ConnectionError" in told
        assert "any-token" not in told


# The Router's word


@dataclass
class Documented:
    """A Job with its documented surface alone."""

    status: int = 0
    permission: bool = False
    queue: bool = False
    success: bool = True

    def waiting_on_permission(self) -> bool:
        """As it was made."""
        return self.permission

    def waiting_on_queue(self) -> bool:
        """As it was made."""
        return self.queue


class Telling(Documented):
    """One that keeps the Router's word, which the reference speaks of."""

    _market_status = "killed"


@pytest.mark.parametrize(
    ("job", "word"),
    [
        (Documented(), "created"),
        (Documented(permission=True), "perm"),
        (Documented(queue=True), "queue"),
        (Documented(status=3), "running"),
        (Documented(status=4), "complete"),
        (Documented(status=4, success=False), "running"),
        (Documented(status=10), "error"),
        (Telling(status=3), "killed"),
    ],
)
def test_a_job_stands_where_its_documented_surface_says(job: Documented, word: str) -> None:
    assert market_status(job) == word


def test_a_message_is_one_line_of_json_whatever_it_holds() -> None:
    """What JSON cannot hold is said to be there."""
    assert message_text({"__type": "PSIMetrics", "text": "a\r\nb"}) == '{"__type":"PSIMetrics","text":"a\\r\\nb"}'
    assert message_text("starting") == '"starting"'
    assert msgspec.json.decode(message_text({"a": object()}))["__type"] == "UnreadableMessage"


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert moment(NOON.replace(tzinfo=None)) == NOON
    assert moment(NOON) is NOON


# One job that nothing can be made of


async def test_a_job_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and not every second."""
    router = router_of(find_all=lambda **_: [SimpleNamespace(id="no UUID"), documented_job()])

    looks = [await router.jobs(over=False) for _ in range(3)]

    assert [[job.job_name for job in jobs] for jobs in looks] == [["a job"]] * 3
    assert len({jobs[0].mark.sequence for jobs in looks}) == 1
    assert len(caplog.records) == 1


def documented_job() -> object:
    """With what the reference has, and what the file that opens a Session makes of the rest."""
    return SimpleNamespace(
        id=JOB,
        job_name="a job",
        metadata={"params": {}},
        created=NOON,
        owner={"user": "ann", "team": "globex"},
        dataset=[SimpleNamespace(uuid=ASSET)],
        preprocessor="",
        operation=SimpleNamespace(name="REGRESSION"),
        waiting_on=None,
        status=3,
        model_status=None,
    )


def router_of(**job_class: object) -> SdkRouter:
    """Over an SDK whose class Job has these."""
    sdk = ModuleType("an SDK")
    sdk.Job = SimpleNamespace(**job_class)  # type: ignore[attr-defined]
    calls = Calls(
        sdk=sdk,
        opening=loaded_opening("app.upstream.sdk.opening"),
        sessions=Sessions(lambda _: Opened(session=None), close=lambda _: None),
        threads=Threads(at_most=1, within_s=10),
        streams=Threads(at_most=1, within_s=10),
        token="any-token",  # noqa: S106  (opens nothing)
    )
    me = Me(user="ann", team="globex", role="", epoch="")
    return SdkRouter(calls, numbers=Numbers(), me=me, team="globex", now=lambda: NOON, list_within_s=10)
