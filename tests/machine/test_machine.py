"""Whatever happens, in whatever order: no final phase changes, the history explains every phase, each effect is had once."""

import asyncio
import json
import shutil
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.domain.access import LOCAL, Caller
from app.domain.attempts import is_definitive
from app.domain.errors import GatewayError, KeyInUse, Unanswered
from app.domain.events import Kind
from app.domain.phases import OF_MARKET_STATUS
from app.domain.reports import JobReport
from app.store.schema import migrate
from tests.machine.gateway import LOST_AFTER, Gateway
from tests.machine.router import Fate, RouterModel
from tests.machine.told import Told

T = TypeVar("T")
Answer = UUID | GatewayError | None
Name = tuple[str, str | None, str]  # a request: what of which job, under which key, by whom

_STEPS_OF_A_RUN = 50
_KEYS = ["red", "green", "blue", "white", "black", "grey"]
_PEOPLE = [replace(LOCAL, user=name) for name in ("ada", "bob")]
jobs = st.integers(0, 5)
people = st.sampled_from(_PEOPLE)
fates = st.sampled_from([*Fate, Fate.ANSWERED, Fate.ANSWERED, Fate.ANSWERED])
verbs = st.sampled_from(["submit", "cancel", "kill"])
keys = st.sampled_from([*_KEYS, None])
ways = st.sampled_from(["accept", "deny", "start", "start", "start", "calculate", "put_back"])
outcomes = st.sampled_from(["complete", "complete", "error", "killed"])

# What may happen; what stands here twice happens as often again.
_WHAT: list[tuple[str, list[st.SearchStrategy[Any]]]] = [
    *[("create", [keys, people, fates])] * 2,
    *[("ask", [verbs, jobs, keys, people, fates])] * 4,
    ("a_held_answer", [st.booleans()]),
    ("a_late_request_arrives", []),
    *[("it_goes_on", [jobs, ways])] * 3,
    *[("it_ends", [jobs, outcomes])] * 2,
    ("it_lies", [jobs, st.sampled_from([*OF_MARKET_STATUS])]),
    ("it_speaks_after_the_end", [jobs]),
    ("it_is_forgotten", [jobs]),
    ("the_router_starts_anew", [st.sampled_from(["restart", "restart", "replaced"])]),
    ("the_access_point_starts_anew", [jobs]),
    ("the_router_goes_away_or_comes_back", [st.sampled_from([True, False, False])]),
    *[("changes_come", [st.integers(1, 4)])] * 3,
    ("a_change_comes_again", [st.integers(0, 3)]),
    *[("lines_come", [jobs, st.integers(1, 4)])] * 3,
    ("the_end_marker_stays_away", [jobs]),
    ("it_compares", []),
    ("time_passes", []),
    ("it_dies", []),
]


class UnderFire(RuleBasedStateMachine):
    """A gateway, a Router, clients that repeat themselves, and everything that may go wrong between them."""

    database: ClassVar[Path]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.told = Told()
        self.answered: dict[Name, object] = {}
        self.tried: set[Name] = set()
        self.hurried: set[UUID] = set()

    @initialize()
    def begin(self) -> None:
        """With an empty history."""
        copy = Path(self.folder.name) / "gateway.db"
        shutil.copy(self.database, copy)
        self.router = RouterModel()
        self.gateway = Gateway(self.router, copy)
        self._run(self.gateway.start())
        for key in _KEYS[:2]:
            self.create(key, _PEOPLE[0], Fate.ANSWERED)
            self.ask("submit", len(self.router.jobs) - 1, None, _PEOPLE[1], Fate.ANSWERED)

    # One rule for all: which of them happen in a run is not for a strategy to say.
    @rule(what=st.one_of([st.tuples(st.just(name), *arguments) for name, arguments in _WHAT]))
    def happens(self, what: tuple[Any, ...]) -> None:
        """One of the things below."""
        name, *arguments = what
        getattr(self, name)(*arguments)

    # What clients do

    def create(self, key: str | None, by: Caller, fate: Fate) -> None:
        """The same key stands for the same body, and for another job with each of its callers."""
        self._ask(("create", key, by.user), fate, self.gateway.create(key, by=by, asks=key != "green"))

    def ask(self, verb: str, nth: int, key: str | None, by: Caller, fate: Fate) -> None:
        """Of a job that the gateway knows, or of one that it does not know yet."""
        if (job_id := self._job(nth)) is None:
            return
        name, was = (f"{verb} {job_id}", key, by.user), self.router.jobs.get(job_id)
        in_doubt, away = name in self.tried and name not in self.answered, self.router.away
        self._ask(name, fate, self.gateway.ask(verb, job_id, key, by=by))
        if in_doubt and key is not None and was is not None and verb != "kill" and not away and _is_done(verb, was):
            assert self.router.sent == 0, f"{verb} was sent though a look would have found it done"

    def _ask(self, name: Name, fate: Fate, asking: Coroutine[Any, Any, Answer]) -> None:
        """At most one request sets out, and none where the answer is known already."""
        self.router.fate, self.router.asker = fate, name[2]
        was_answered = self.answered.get(name)
        answer = self._run(asking)
        assert self.router.sent <= (was_answered is None), f"{name} was sent {self.router.sent} times"
        if name[1] is not None:
            self._note(name, answer, was_answered)

    def a_held_answer(self, comes: bool) -> None:
        """Comes after all, or is lost."""
        if not self.router.held:
            return
        held = self.router.held.pop(0)
        if not held.may_come.done():
            held.may_come.set_result(comes)
        self._run(asyncio.sleep(0))

    def a_late_request_arrives(self) -> None:
        """Its caller was told that nobody knows."""
        if self.router.late:
            self.router.arrive()

    # What happens at the Router and the Access Points

    def it_goes_on(self, nth: int, what: str) -> None:
        """As jobs do."""
        if (job_id := self._job(nth)) in self.router.jobs:
            getattr(self.router, what)(job_id)

    def it_ends(self, nth: int, outcome: str) -> None:
        """One way or another."""
        if (job_id := self._job(nth)) in self.router.jobs:
            self.router.end(job_id, outcome)

    def it_lies(self, nth: int, market_status: str) -> None:
        """Rarely: what is lied about cannot be held to much."""
        job_id = self._job(nth)
        if nth == 0 and job_id in self.router.jobs and self.router.jobs[job_id].submitted is not None:
            self.router.lie(job_id, market_status)

    def it_speaks_after_the_end(self, nth: int) -> None:
        """Though nothing was to follow it."""
        if (job_id := self._job(nth)) in self.router.jobs:
            self.router.speak_after_the_end(job_id)

    def it_is_forgotten(self, nth: int) -> None:
        """Or remembered."""
        if (job_id := self._job(nth)) in self.router.jobs:
            self.router.forget(job_id)
        elif job_id is not None:
            self.router.remember(job_id)

    def the_router_starts_anew(self, how: str) -> None:
        """On its storage, or on another."""
        getattr(self.router, how)()
        self._run(asyncio.sleep(0))

    def the_access_point_starts_anew(self, nth: int) -> None:
        """On another storage."""
        if (job_id := self._job(nth)) is not None:
            self.router.streams[job_id].replaced()

    def the_router_goes_away_or_comes_back(self, away: bool) -> None:
        """Nothing reaches it meanwhile."""
        self.router.away = away

    # What the gateway does by itself

    def changes_come(self, many: int) -> None:
        """In order, from where the history says."""
        for _ in range(many):
            self._run(self.gateway.hear_next_change())

    def a_change_comes_again(self, back: int) -> None:
        """As after a feed that broke off."""
        self._run(self.gateway.hear_change_again(back))

    def lines_come(self, nth: int, many: int) -> None:
        """In order, from where the job says."""
        if (job_id := self._job(nth)) is not None:
            for _ in range(many):
                self._run(self.gateway.hear_next_line(job_id))

    def the_end_marker_stays_away(self, nth: int) -> None:
        """Past its deadline."""
        if (job_id := self._job(nth)) is not None and self._run(self.gateway.job(job_id)) is not None:
            self.hurried.add(job_id)
            self._run(self.gateway.observer.stop_waiting(job_id))

    def it_compares(self) -> None:
        """With what the Router says now."""
        try:
            self._run(self.gateway.reconciler.compare())
        except GatewayError:
            assert self.router.away

    def time_passes(self) -> None:
        """Enough for what is forgotten to be lost."""
        self.gateway.now += LOST_AFTER

    def it_dies(self) -> None:
        """In the middle of everything, and starts again."""
        self._run(self.gateway.die())
        self.router.held.clear()
        self._run(self.gateway.start())
        assert self._run(self._whole_log()) == self.told.log

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """After each step: what viewers were told since, and where the jobs stand."""
        super().check_invariants(*args, **kwargs)
        type(self).steps += 1
        if hasattr(self, "gateway"):
            self._run(self._check())

    def teardown(self) -> None:
        """When all is well again, both sides agree."""
        try:
            if hasattr(self, "gateway"):
                self._run(self._heal())
                self._run(self._check())
                self._run(self._compare())
        finally:
            if hasattr(self, "gateway"):
                self._run(self.gateway.die())
            self.loop.close()
            self.folder.cleanup()

    async def _check(self) -> None:
        after = self.told.log[-1].id if self.told.log else 0
        new = await self.gateway.memory.history.events(None, after=after, limit=10_000, late_too=True)
        self.told.hear(new, lied_about=self.router.lied_about, brought=self.router.brought)
        for job_id in {event.job_id for event in new}:
            job = await self.gateway.job(job_id)
            assert job is not None
            assert self.told.agrees(job), f"{job.phase}, and told {self.told.phase[job_id]}"

    async def _whole_log(self) -> list[object]:
        return list(await self.gateway.memory.history.events(None, after=0, limit=100_000, late_too=True))

    async def _heal(self) -> None:
        router = self.router
        router.away, router.fate = False, Fate.ANSWERED
        while router.late:
            router.arrive()
        for held in router.held:
            if not held.may_come.done():
                held.may_come.set_result(True)
        await self.gateway.held_answers_came()
        for job_id in list(router.forgotten):
            router.remember(job_id)
        for route, key, user in sorted(self.tried, key=str):
            if route == "create":
                by, router.asker = replace(LOCAL, user=user), user
                await self.gateway.create(key, by=by, asks=key != "green")
        while await self.gateway.hear_next_change():
            pass
        await self.gateway.reconciler.compare()
        for job_id in router.jobs:
            while await self.gateway.hear_next_line(job_id):
                pass
            await self.gateway.observer.stop_waiting(job_id)

    async def _compare(self) -> None:
        router = self.router
        lied_about = {str(job_id) for job_id in router.lied_about}
        assert [done for done, times in router.effects.items() if times > 1 and done[1] not in lied_about] == []
        for job in router.jobs.values():
            known = await self.gateway.job(job.id)
            assert known is not None
            assert known.created_by == router.brought[job.id, "created"]
            if job.id in router.lied_about:
                continue
            may_be_ahead = job.id in router.put_back_unseen and job.market_status == "queue"
            assert may_be_ahead or known.phase == OF_MARKET_STATUS[job.market_status], f"{known} and {job}"
            hurried = self.hurried | router.spoke_too_late
            assert job.id in hurried or not any(
                event.late and event.source == "access_point" for event in self.told.of(job.id)
            )
            listed = {
                OF_MARKET_STATUS[change.report.market_status]
                for change in router.changes
                if change.report is not None and change.report.id == job.id
            }
            told = {json.loads(event.data)["phase"] for event in self.told.of(job.id) if event.kind is Kind.PHASE}
            assert listed <= told, f"the Router told {listed}, the history has {told}"

    def _note(self, name: Name, answer: Answer, before: object) -> None:
        """A definitive answer stays; whatever was not surely left undone has been tried."""
        told = answer if isinstance(answer, UUID) else getattr(answer, "code", None)
        if before is not None:
            assert told == before, f"{name} was answered {before} and now {told}"
        elif isinstance(answer, UUID) or (isinstance(answer, GatewayError) and _is_kept(answer)):
            self.answered[name] = told
        if answer is None or isinstance(answer, Unanswered):
            self.tried.add(name)

    def _job(self, nth: int) -> UUID | None:
        known = list(self.router.streams)
        return known[nth % len(known)] if known else None

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(doing, 30))


def _is_kept(error: GatewayError) -> bool:
    return is_definitive(error) and not isinstance(error, KeyInUse)


def _is_done(verb: str, job: JobReport) -> bool:
    return job.submitted is not None if verb == "submit" else job.market_status == "cancelled"


def under_fire(folder: Path, *, steps: int) -> None:
    """So many steps, in runs of fifty."""
    UnderFire.database = folder / "empty.db"
    UnderFire.steps = 0
    migrate(f"sqlite:///{UnderFire.database}")
    run_state_machine_as_test(
        UnderFire,
        settings=settings(
            max_examples=steps // _STEPS_OF_A_RUN + 1,
            stateful_step_count=_STEPS_OF_A_RUN,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert UnderFire.steps >= steps


def test_five_hundred_steps_in_any_order(tmp_path: Path) -> None:
    """A few of the ways in which networks lie, processes die and people press buttons."""
    under_fire(tmp_path, steps=500)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_ten_thousand_steps_in_any_order(tmp_path: Path) -> None:
    """Many of them."""
    under_fire(tmp_path, steps=10_000)
