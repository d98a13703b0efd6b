"""Those who watch: cut off by every fault and by themselves, they come back with the id of the last event they saw."""

import asyncio
import random
import sys
from dataclasses import dataclass, field

import httpx

from tests.soak.differences import Difference
from tests.soak.jobs import Begun
from tests.support.events import Event, NdjsonReader, SseReader
from tests.support.gateway import NDJSON

Heard = tuple[int, str, str]  # the id, the name and the data of an event

_PATIENCE = httpx.Timeout(10, pool=None)  # longer than the pause between two pings
_STAYS_S = (0.5, 25.0)
_AWAY_S = (0.1, 1.5)
_RESTS_S = (0.5, 5.0)
_FEED = "/v1/events"
_AWAY = frozenset({502, 503, 504})
_OVER = 204


@dataclass(slots=True, kw_only=True)
class Watched:
    """What one viewer heard of one job, or (None) of all, over all its connections."""

    viewer: str
    job_id: str | None
    start: int | None  # the position it began at; None: where the first snapshot says
    position: int | None = None
    heard: list[Heard] = field(default_factory=list)
    is_over: bool = False

    def take(self, event: Event) -> str | None:
        """Keep it; answers what is wrong with it, if anything is."""
        before, self.position = self.position, event.id
        if event.name == "snapshot":
            self.start = event.id if self.start is None else self.start
            return None if before is None or event.id >= before else f"a snapshot back at {event.id}, after {before}"
        self.heard.append((event.id, event.name, sys.intern(event.data)))
        self.is_over = self.job_id is not None and event.name == "end"
        return None if before is not None and event.id > before else f"event {event.id} after {before}"


class Viewers:
    """All of them, with what they heard so far."""

    def __init__(self, url: str, key: str, *, seed: int) -> None:
        self.watched: list[Watched] = []
        self.differences: list[Difference] = []
        self.connections = 0
        self.cuts = 0
        self._seed = seed
        self._jobs: list[str] = []
        self._last_round = False
        self._news = asyncio.Condition()
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=_PATIENCE,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            verify=False,
        )

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def show(self, job: Begun) -> None:
        """There is another job to be watched."""
        if job.id is not None and job.watched:
            self._jobs.append(job.id)
            await self._ring()

    async def last_round(self) -> None:
        """Who watches a job stays to its end, and begins no other."""
        self._last_round = True
        await self._ring()

    async def until_all_have_seen(self, last: int) -> None:
        """Return once every viewer of the feed is at this event, or past it, and every viewer of a job at its end."""
        async with self._news:
            await self._news.wait_for(lambda: all(_has_seen(watched, last) for watched in self.watched))

    async def watch(self, number: int) -> None:
        """One viewer's life: the feed for ever, or one job after another until the last round."""
        rng = random.Random(f"{self._seed} viewer {number}")  # noqa: S311  (to be repeated, not to be secret)
        name = f"viewer {number}"
        if number % 2:
            start = 0 if number % 8 == 1 else None
            await self._to_the_end(self._begun(name, None, start), number, rng)
        while (job_id := await self._chosen(rng)) is not None:
            await self._to_the_end(self._begun(name, job_id, 0), number, rng)
            await asyncio.sleep(rng.uniform(*_RESTS_S))

    def _begun(self, viewer: str, job_id: str | None, start: int | None) -> Watched:
        self.watched.append(Watched(viewer=viewer, job_id=job_id, start=start, position=start))
        return self.watched[-1]

    async def _chosen(self, rng: random.Random) -> str | None:
        """One of the newest jobs, most of the time."""
        async with self._news:
            await self._news.wait_for(lambda: self._jobs or self._last_round)
        if self._last_round:
            return None
        return rng.choice(self._jobs[-5:] if rng.random() < 0.8 else self._jobs)

    async def _to_the_end(self, watched: Watched, number: int, rng: random.Random) -> None:
        while not watched.is_over:
            self.connections += 1
            try:
                async with asyncio.timeout(rng.uniform(*_STAYS_S)):
                    await self._connected(watched, as_lines=number % 4 >= 2)
            except (TimeoutError, httpx.TransportError):
                self.cuts += 1
            await asyncio.sleep(rng.uniform(*_AWAY_S))

    async def _connected(self, watched: Watched, *, as_lines: bool) -> None:
        path = _FEED if watched.job_id is None else f"/v1/jobs/{watched.job_id}/events"
        headers = dict(NDJSON) if as_lines else {}
        if watched.position is not None:
            headers["Last-Event-ID"] = str(watched.position)
        async with self._client.stream("GET", path, headers=headers) as answer:
            if answer.status_code == _OVER:
                watched.is_over = True
                await self._ring()
            elif answer.is_success:
                await self._read(watched, answer, NdjsonReader() if as_lines else SseReader())
            elif answer.status_code not in _AWAY:
                await answer.aread()
                self._differs(watched, f"was refused: {answer.text}")

    async def _read(self, watched: Watched, answer: httpx.Response, reader: NdjsonReader | SseReader) -> None:
        async for piece in answer.aiter_bytes():
            for event in reader.feed(piece):
                if wrong := watched.take(event):
                    self._differs(watched, wrong)
            await self._ring()

    def _differs(self, watched: Watched, what: str) -> None:
        difference = Difference(what=watched.viewer, ours=what, theirs="ids that grow", job_id=watched.job_id)
        self.differences.append(difference)

    async def _ring(self) -> None:
        async with self._news:
            self._news.notify_all()


def _has_seen(watched: Watched, last: int) -> bool:
    return watched.is_over if watched.job_id is not None else (watched.position or 0) >= last
