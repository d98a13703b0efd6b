"""A list and the feed after it, while jobs come, go and compute: together they are what the Router says."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.events import Event
from tests.support.gateway import WITHIN_S, Caller, Gateway, Listener, router_settings, served
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

Json = dict[str, Any]

_AT_ONCE = 8
_OBSERVERS = 6
_FINAL = {"complete", "error", "cancelled", "killed", "denied"}


@dataclass
class Seen:
    """What one observer knows: of each job its phase, and since which number; and every number it was told."""

    since: dict[str, int] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)

    def list(self, page: Json) -> None:
        """A page of the list. What earlier pages said of a job stands."""
        for job in page["items"]:
            if job["id"] not in self.phases:
                self.phases[job["id"]], self.since[job["id"]] = job["phase"], page["as_of"]

    def hear(self, event: Event) -> None:
        """An event of the feed: it begins where what is known of its job ends, and none is missing between."""
        assert event.id is not None
        assert not self.told or event.id > self.told[-1], "an event came again, or too late"
        self.told.append(event.id)
        if event.name != "phase" or event.id <= self.since.get(event.json["job_id"], 0):
            return
        job_id, phase, previous = (event.json[name] for name in ("job_id", "phase", "previous"))
        assert self.phases.get(job_id) == previous, f"{job_id} went from {previous} to {phase} at {event.id}"
        self.phases[job_id] = phase


@pytest.fixture
async def caller(running_network: RunningNetwork, tmp_path: Path) -> AsyncIterator[Caller]:
    """At a gateway that has seen nothing yet."""
    with served(tmp_path / "data", **router_settings(running_network)) as gateway:
        async with gateway.client() as client:
            yield Caller(gateway, running_network, client)


@pytest.mark.parametrize(
    ("jobs", "computing", "within_s"), [(24, 1, WITHIN_S), pytest.param(200, 24, 300.0, marks=pytest.mark.full)]
)
async def test_a_list_and_the_feed_after_it_are_what_the_router_says(
    caller: Caller, jobs: int, computing: int, within_s: float
) -> None:
    """No gap and no repeat, whenever one begins to look."""
    made: set[str] = set()
    lived: list[int] = []
    places = asyncio.Semaphore(_AT_ONCE)
    begin = [asyncio.Event() for _ in range(_OBSERVERS)]

    async def life(number: int) -> None:
        async with places:
            await _lived(caller, number, computes=number < computing, made=made)
            lived.append(number)
            for moment in begin[: 1 + len(lived) * _OBSERVERS // jobs]:
                moment.set()

    def enough(seen: Seen) -> bool:
        return len(made) == jobs and all(seen.phases.get(job_id) in _FINAL for job_id in made)

    async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
        observers = [
            tasks.create_task(_observed(caller.gateway, moment, enough, within_s=within_s)) for moment in begin
        ]
        begin[0].set()
        order = random.sample(range(jobs), jobs)
        for number in order:
            tasks.create_task(life(number))

    truth = _truth(caller.network, made)
    assert set(truth.values()) <= _FINAL
    for observer in observers:
        seen = observer.result()
        assert {job_id: seen.phases[job_id] for job_id in made} == truth
    last = max(observer.result().told[-1] for observer in observers)
    whole = {event.id for event in await _replayed(caller, last)}
    for observer in observers:
        told = observer.result().told
        assert set(told) == {number for number in whole if told[0] <= number <= told[-1]}


async def _lived(caller: Caller, number: int, *, computes: bool, made: set[str]) -> None:
    """One job from its creation to its end; how it ends depends on its number."""
    job = await caller.create(INTERSECTION if computes else REGRESSION, name=f"job {number}")
    made.add(job["id"])
    job = await caller.submit(job["id"])
    if computes:
        caller.accept(job)
        await caller.until_end(job["id"])
        return
    verb = ("cancel", "kill")[number % 2]
    answer = await caller.client.post(f"/v1/jobs/{job['id']}/{verb}")
    assert answer.status_code == 200, answer.text


async def _observed(
    gateway: Gateway, moment: asyncio.Event, enough: Callable[[Seen], bool], *, within_s: float
) -> Seen:
    """From this moment on: the whole list, then the feed behind its first page."""
    await moment.wait()
    seen = Seen()
    async with gateway.client() as client:
        looker = Listener(gateway, client)
        page = first = await looker.get("/v1/jobs", limit="20")
        seen.list(page)
        while page["next_cursor"] is not None:
            page = await looker.get("/v1/jobs", limit="20", cursor=page["next_cursor"])
            seen.list(page)
        async with looker.listening("/v1/events", within_s=within_s, after=str(first["as_of"])) as events:
            while not enough(seen):
                seen.hear(await anext(events))
    return seen


async def _replayed(caller: Caller, last: int) -> list[Event]:
    """The feed from the first event on, as somebody is told it who comes when all is over."""
    async with caller.listening("/v1/events", after="0") as events:
        heard = [await anext(events)]
        while heard[-1].id != last:
            heard.append(await anext(events))
    return heard


def _truth(network: RunningNetwork, made: set[str]) -> dict[str, str]:
    return {job_id: str(network.job(job_id)["market_status"]) for job_id in made}
