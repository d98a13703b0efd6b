"""When calls to a Router that does not answer are held back, who finds out that it is there again, and when."""

import asyncio
from contextlib import suppress

import pytest

from app.domain.errors import Garbled, GatewayError, NotYours, Unanswered, Unreachable
from app.upstream.breaker import Breaker

FAILURES = 3


class Road:
    """A breaker, its clock, and a Router at the end of it that answers or does not."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.breaker = Breaker(now_s=lambda: self.now_s, failures=FAILURES)
        self.answers = True
        self.probes = 0
        self.calls = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def probe(self) -> bool:
        """Whether the Router answers, once it may."""
        self.probes += 1
        await self.may_answer.wait()
        return self.answers

    async def call(self, failure: GatewayError | None = None) -> None:
        """One that sets out if the Router is believed to answer."""
        async with self.breaker.careful(self.probe):
            await self._arrive(failure)

    async def insist(self, failure: GatewayError | None = None) -> None:
        """One that cannot wait."""
        async with self.breaker.regardless():
            await self._arrive(failure)

    async def break_down(self) -> None:
        """So many calls are not answered that nobody sets out any more."""
        self.answers = False
        for _ in range(FAILURES):
            with pytest.raises(Unanswered):
                await self.call(Unanswered("no answer"))
        self.calls = 0

    async def _arrive(self, failure: GatewayError | None) -> None:
        self.calls += 1
        if failure is not None:
            raise failure


@pytest.fixture
def road() -> Road:
    return Road()


@pytest.mark.parametrize("failure", [Unreachable("not there"), Unanswered("no answer")])
async def test_so_many_failures_in_a_row_hold_the_next_call_back(road: Road, failure: GatewayError) -> None:
    """Whoever waits for each of them in vain soon waits in a queue."""
    for _ in range(FAILURES):
        with pytest.raises(type(failure)):
            await road.call(failure)

    with pytest.raises(Unreachable, match="is being probed; nothing was sent") as refused:
        await road.call()

    assert (road.calls, road.probes) == (FAILURES, 0)
    assert refused.value.facts == {"retry_after_s": 1}


@pytest.mark.parametrize("answer", [None, Garbled("nonsense"), NotYours("no")])
async def test_an_answer_in_between_begins_the_count_anew(road: Road, answer: GatewayError | None) -> None:
    """Whatever it says, the Router is there."""
    for one in [*[Unanswered("no answer")] * (FAILURES - 1), answer] * 3:
        with suppress(Unanswered, Garbled, NotYours):
            await road.call(one)

    assert road.calls == 3 * FAILURES


async def test_a_call_that_was_given_up_says_nothing_of_the_router(road: Road) -> None:
    """Its caller has left."""
    for _ in range(FAILURES):
        with pytest.raises(asyncio.CancelledError):
            async with road.breaker.careful(road.probe):
                raise asyncio.CancelledError

    await road.call()


async def test_the_next_after_the_pause_probes_first_and_then_goes_on(road: Road) -> None:
    """And nobody after it has to."""
    await road.break_down()
    road.answers = True
    road.now_s += 1

    await road.call()
    await road.call()

    assert (road.probes, road.calls) == (1, 2)


async def test_pauses_double_up_to_a_limit(road: Road) -> None:
    """A Router that comes back is noticed within it."""
    await road.break_down()
    pauses: list[object] = []
    for _ in range(6):
        with pytest.raises(Unreachable) as refused:
            await road.call()
        pauses.append(refused.value.facts["retry_after_s"])
        road.now_s += float(str(pauses[-1]))
        with pytest.raises(Unreachable):
            await road.call()

    assert pauses == [1, 2, 4, 8, 15, 15]
    assert (road.probes, road.calls) == (6, 0)


async def test_one_probes_and_the_others_are_told_at_once(road: Road) -> None:
    """A crowd that waits for one answer is a crowd that comes all at once."""
    await road.break_down()
    road.now_s += 1
    road.answers = True
    road.may_answer.clear()
    first = asyncio.create_task(road.call())
    await asyncio.sleep(0)

    with pytest.raises(Unreachable):
        await road.call()
    road.may_answer.set()
    await first

    assert (road.probes, road.calls) == (1, 1)


async def test_a_probe_whose_caller_leaves_is_the_next_ones_to_make(road: Road) -> None:
    """Else nobody would ever probe again."""
    await road.break_down()
    road.now_s += 1
    road.answers = True
    road.may_answer.clear()
    first = asyncio.create_task(road.call())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    road.may_answer.set()

    await road.call()

    assert (road.probes, road.calls) == (2, 1)


async def test_what_cannot_wait_sets_out_all_the_same(road: Road) -> None:
    """Its failure changes nothing; its answer lets the others go, too."""
    await road.break_down()

    with pytest.raises(Unanswered):
        await road.insist(Unanswered("no answer"))
    with pytest.raises(Unreachable):
        await road.call()
    await road.insist()
    await road.call()

    assert (road.probes, road.calls) == (0, 3)


async def test_an_answer_during_a_probe_that_fails_counts(road: Road) -> None:
    """The newest word is that the Router answers."""
    await road.break_down()
    road.now_s += 1
    road.may_answer.clear()
    probing = asyncio.create_task(road.call())
    await asyncio.sleep(0)
    await road.insist()
    road.may_answer.set()
    await probing

    await road.call()

    assert (road.probes, road.calls) == (1, 3)


async def test_failures_of_calls_that_set_out_before_say_nothing_of_now(road: Road) -> None:
    """They were waiting all the time in which the Router came back."""
    fails = asyncio.Event()

    async def old() -> None:
        async with road.breaker.careful(road.probe):
            await fails.wait()
            raise Unanswered("no answer")

    waiting = [asyncio.create_task(old()) for _ in range(FAILURES)]
    await asyncio.sleep(0)
    await road.break_down()
    await road.insist()
    fails.set()
    await asyncio.wait(waiting)

    await road.call()

    assert {type(one.exception()) for one in waiting} == {Unanswered}
    assert road.probes == 0


async def test_a_sign_of_life_elsewhere_ends_the_pause_and_no_more(road: Road) -> None:
    """It proves nothing of calls, but is a good moment to look."""
    await road.break_down()
    road.answers = True

    road.breaker.look_again()
    await road.call()

    assert (road.probes, road.calls) == (1, 1)


async def test_pauses_begin_small_again_once_it_was_there(road: Road) -> None:
    """Each time it goes away is a new one."""
    await road.break_down()
    road.now_s += 1
    with pytest.raises(Unreachable):
        await road.call()
    await road.insist()
    await road.break_down()

    with pytest.raises(Unreachable) as refused:
        await road.call()

    assert refused.value.facts == {"retry_after_s": 1}
