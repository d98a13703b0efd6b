"""Whatever happens, in whatever order: no final phase changes, the history explains every phase, each effect is had once."""

import asyncio
import json
import shutil
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.domain.access import LOCAL
from app.domain.attempts import asked_for
from app.domain.errors import GatewayError
from app.domain.events import Kind
from app.domain.phases import OF_MARKET_STATUS
from app.store.engine import migrate
from tests.machine.gateway import LOST_AFTER, Gateway
from tests.machine.router import Fate, RouterModel
from tests.machine.told import Told

T = TypeVar("T")

_STEPS_OF_A_RUN = 50
_KEYS = ["red", "green", "blue", "white", "black", "grey"]
jobs = st.integers(0, 5)
fates = st.sampled_from([*Fate, Fate.ANSWERED, Fate.ANSWERED, Fate.ANSWERED])
verbs = st.sampled_from(["submit", "cancel", "kill"])
keys = st.sampled_from([*_KEYS, None])
ways = st.sampled_from(["accept", "deny", "start", "start", "start", "calculate", "put_back"])
outcomes = st.sampled_from(["complete", "complete", "error", "killed"])

# What may happen; what stands here twice happens as often again.
_WHAT: list[tuple[str, list[st.SearchStrategy[Any]]]] = [
    *[("create", [keys, fates])] * 2,
    *[("ask", [verbs, jobs, keys, fates])] * 3,
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
        self.answered: dict[str, set[UUID]] = {key: set() for key in _KEYS}
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
            self.create(key, Fate.ANSWERED)
            self.ask("submit", len(self.router.jobs) - 1, None, Fate.ANSWERED)

    # One rule for all: which of them happen in a run is not for a strategy to say.
    @rule(what=st.one_of([st.tuples(st.just(name), *arguments) for name, arguments in _WHAT]))
    def happens(self, what: tuple[Any, ...]) -> None:
        """One of the things below."""
        name, *arguments = what
        getattr(self, name)(*arguments)

    # What clients do

    def create(self, key: str | None, fate: Fate) -> None:
        """The same key stands for the same body."""
        self.router.fate = fate
        answer = self._run(self.gateway.create(key, asks=key != "green"))
        self._note(key, answer)

    def ask(self, verb: str, nth: int, key: str | None, fate: Fate) -> None:
        """Of a job that the gateway knows, or of one that it does not know yet."""
        if (job_id := self._job(nth)) is not None:
            self.router.fate = fate
            self._run(self.gateway.ask(verb, job_id, key))

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
        self.told.hear(new, lied_about=self.router.lied_about)
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
        for key in _KEYS:
            if any(reference_of(key) == ref for ref in router.made) or self.answered[key]:
                self._note(key, await self.gateway.create(key, asks=key != "green"))
        while await self.gateway.hear_next_change():
            pass
        for job_id in router.jobs:
            while await self.gateway.hear_next_line(job_id):
                pass
            await self.gateway.observer.stop_waiting(job_id)
        await self.gateway.reconciler.compare()

    async def _compare(self) -> None:
        router = self.router
        lied_about = {str(job_id) for job_id in router.lied_about}
        assert [done for done, times in router.effects.items() if times > 1 and done[1] not in lied_about] == []
        for key, job_ids in self.answered.items():
            assert len(job_ids) <= 1, f"{key} made {job_ids}"
        for job in router.jobs.values():
            known = await self.gateway.job(job.id)
            assert known is not None
            assert known.created_by == "local"
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

    def _note(self, key: str | None, answer: UUID | GatewayError | None) -> None:
        if key is not None and isinstance(answer, UUID):
            self.answered[key].add(answer)

    def _job(self, nth: int) -> UUID | None:
        known = list(self.router.streams)
        return known[nth % len(known)] if known else None

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(doing, 30))


def reference_of(key: str) -> str:
    asked = asked_for(key, by=LOCAL, route="create", body=None)
    assert asked is not None
    return asked.client_ref


def under_fire(folder: Path, *, steps: int) -> None:
    """So many steps, in runs of fifty."""
    UnderFire.database = folder / "empty.db"
    UnderFire.steps = 0
    migrate(f"sqlite+aiosqlite:///{UnderFire.database}")
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
