"""The course of a soak: jobs, viewers and faults for so many minutes, then rest, then the comparison."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.soak import comparison, records
from tests.soak.asking import Asking
from tests.soak.comparison import Compared
from tests.soak.differences import Difference
from tests.soak.faults import Fault, Faults
from tests.soak.jobs import Jobs
from tests.soak.router import Router, open_router
from tests.soak.stage import WATCHER, Stage, staged
from tests.soak.viewers import Viewers

_PROGRESS_S = 15.0
_LOOK_AGAIN_S = 0.3
_READING_S = 60.0
# How long each may take once nothing is broken any more; together less than the four minutes there are.
_REST_S = {"jobs to take their course": 80.0, "the Router": 30.0, "the gateway": 30.0, "viewers": 30.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How long, how much, and which dice."""

    minutes: float
    jobs: int
    viewers: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done, and what came out."""

    faults: tuple[Fault, ...]
    compared: tuple[Compared, ...]
    lives: dict[str, tuple[datetime, datetime]]  # of the jobs, from the first to the last event that was kept

    @property
    def differences(self) -> list[Difference]:
        """Every one."""
        return [difference for one in self.compared for difference in one.differences]

    def faults_of(self, job_id: str | None) -> list[Fault]:
        """Those that struck while the job lived."""
        if job_id not in self.lives:
            return []
        began, ended = self.lives[job_id]
        return [fault for fault in self.faults if fault.began <= ended and fault.ended >= began]


async def soak(wanted: Wanted, folder: Path, *, tell: Callable[[str], None]) -> Outcome:
    """All of it, in bounded time; nothing that was started is left when it is over."""
    async with staged(folder) as stage, _opened(stage, wanted, tell) as soaking:
        return await soaking.run()


class Soak:
    """Everybody who takes part, once all is set up."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        stage: Stage,
        router: Router,
        asking: Asking,
        viewers: Viewers,
        tell: Callable[[str], None],
    ) -> None:
        self._wanted = wanted
        self._stage = stage
        self._router = router
        self._asking = asking
        self._viewers = viewers
        self._tell = tell
        self._jobs = Jobs(asking, router, seed=wanted.seed, began=viewers.show)
        self._faults = Faults(stage, rng=random.Random(f"{wanted.seed} faults"))  # noqa: S311  (to be repeated)
        self._unmet: list[Difference] = []
        self._taking_their_course: list[asyncio.Task[None]] = []
        self._watching: list[asyncio.Task[None]] = []

    async def run(self) -> Outcome:
        """Break things while jobs run and viewers watch; mend them; compare."""
        async with _running(self._router.follow(), self._report()):
            try:
                await self._jobs.train()
                self._begin()
                await self._break_things()
                self._tell("healed; waiting for all to come to rest")
                await self._rest()
                async with asyncio.timeout(_READING_S):
                    found = await records.read(self._asking, self._router, self._jobs.begun)
            finally:
                await _ended([*self._taking_their_course, *self._watching])
        compared = (*self._on_the_way(), *comparison.compare(found, self._jobs.begun, self._viewers.watched))
        lives = {job.id: job.life for job in found if job.history}
        return Outcome(faults=tuple(self._faults.done), compared=compared, lives=lives)

    def _begin(self) -> None:
        count, within_s = self._wanted.jobs - 1, 60 * self._wanted.minutes
        for number in range(self._wanted.viewers):
            self._watching.append(asyncio.create_task(self._viewers.watch(number), name=f"viewer {number}"))
        for number in range(count):
            course = self._jobs.take_course(number, of=count, within_s=within_s)
            self._taking_their_course.append(asyncio.create_task(course, name=f"job {number}"))

    async def _break_things(self) -> None:
        striking = asyncio.create_task(self._faults.strike())
        try:
            await asyncio.wait({striking}, timeout=60 * self._wanted.minutes)
        finally:
            await _ended([striking])
        if not striking.cancelled():
            self._note("faults could not be made", striking.exception())

    async def _rest(self) -> None:
        async with self._within("jobs to take their course"):
            await asyncio.wait(self._taking_their_course)
        await _ended(self._taking_their_course)
        async with self._within("the Router"):
            await self._router.until_all_are_over()
        async with self._within("the gateway"):
            while not await records.is_settled(self._asking, len(self._router.newest)):  # noqa: ASYNC110  (no bell)
                await asyncio.sleep(_LOOK_AGAIN_S)
        async with self._within("viewers"):
            await self._viewers.last_round()
            await self._viewers.until_all_have_seen(await records.last_told(self._asking))
        self._note_failures()

    @asynccontextmanager
    async def _within(self, whom: str) -> AsyncIterator[None]:
        """Wait for them, but not for ever."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(_REST_S[whom]):
                yield
        except TimeoutError:
            self._note(f"waited for {whom} in vain", f"{_REST_S[whom]:.0f} s")
        self._tell(f"waited for {whom} for {time.monotonic() - began:.1f} s")

    def _note_failures(self) -> None:
        for job in self._taking_their_course:
            if job.cancelled() or job.exception() is not None:
                self._note(f"{job.get_name()} did not take its course", None if job.cancelled() else job.exception())
        for viewer in self._watching:
            if viewer.done() and viewer.exception() is not None:
                self._note(f"{viewer.get_name()} could not go on", viewer.exception())

    def _note(self, what: str, why: object) -> None:
        self._unmet.append(Difference(what=what, ours=repr(why), theirs="all comes to rest"))

    def _on_the_way(self) -> list[Compared]:
        """What was noticed before the records were read."""
        return [
            Compared(what="faults", rows=len(self._faults.done), differences=tuple(self._unmet)),
            Compared(what="requests", rows=self._asking.tries, differences=tuple(self._asking.differences)),
            Compared(
                what="connections of viewers",
                rows=self._viewers.connections,
                differences=tuple(self._viewers.differences),
            ),
        ]

    async def _report(self) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(_PROGRESS_S)
            at_the_router = Counter(job["market_status"] for job in self._router.newest.values())
            self._tell(
                f"{time.monotonic() - began:4.0f} s: {len(self._faults.done)} faults,"
                f" jobs {dict(at_the_router)}, {sum(len(one.heard) for one in self._viewers.watched)} events heard,"
                f" {self._viewers.cuts} of {self._viewers.connections} connections of viewers cut,"
                f" {self._asking.tries} requests for {self._asking.answers} answers"
            )


@asynccontextmanager
async def _opened(stage: Stage, wanted: Wanted, tell: Callable[[str], None]) -> AsyncIterator[Soak]:
    async with AsyncExitStack() as open_:
        router = await open_.enter_async_context(open_router(stage.network))
        asking = Asking(stage.gateway.url, stage.keys)
        open_.push_async_callback(asking.aclose)
        viewers = Viewers(stage.gateway.url, stage.keys[WATCHER], seed=wanted.seed)
        open_.push_async_callback(viewers.aclose)
        yield Soak(wanted, stage=stage, router=router, asking=asking, viewers=viewers, tell=tell)


@asynccontextmanager
async def _running(*lives: Awaitable[None]) -> AsyncIterator[None]:
    """In the background, for as long as the block lasts; one that ended of something tells it."""
    tasks = [asyncio.ensure_future(life) for life in lives]
    try:
        yield
    finally:
        await _ended(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
