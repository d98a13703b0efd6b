"""The Router and the Access Points as their own users reach them: past the relay, and in spite of every fault."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import httpx

from tests.support.network import TEAMS, RunningNetwork

Json = dict[str, Any]

FINAL = frozenset({"complete", "error", "cancelled", "killed", "denied"})
OUR_TEAM = "globex"

_PATIENCE = httpx.Timeout(10)
_AGAIN_S = 0.3
_STREAM_WITHIN_S = 15.0


class Router:
    """The owner of each team at it; the newest document of each job is told as it changes."""

    def __init__(self, owners: dict[str, httpx.AsyncClient]) -> None:
        self.newest: dict[str, Json] = {}
        self._owners = owners
        self._after = 0
        self._news = asyncio.Condition()

    async def follow(self) -> None:
        """Hear its changes until cancelled; whenever it is cut off, it goes on where it was."""
        while True:
            try:
                async with aclosing(self._changes(after=self._after)) as changes:
                    async for line in changes:
                        await self._hear(line)
            except httpx.TransportError:
                await asyncio.sleep(_AGAIN_S)

    async def until(self, job_id: str, wanted: Collection[str]) -> Json:
        """The job's document, once its market status is one of `wanted`."""
        async with self._news:
            await self._news.wait_for(lambda: self.newest.get(job_id, {}).get("market_status") in wanted)
        return self.newest[job_id]

    async def until_all_are_over(self) -> None:
        """Return once every job is final."""
        async with self._news:
            await self._news.wait_for(lambda: all(job["market_status"] in FINAL for job in self.newest.values()))

    async def create(self, body: Json, *, client_ref: str, team: str = OUR_TEAM) -> str:
        """A new job's id; the reference makes it one, however often it is sent."""
        answer = await self.post("/v1/jobs", {"client_ref": client_ref, **body}, team=team)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def post(self, path: str, body: Json | None = None, *, team: str = OUR_TEAM) -> httpx.Response:
        """What it answers in the end: sent again for as long as it does not."""
        while True:
            try:
                answer = await self._owners[team].post(path, json=body or {})
            except httpx.TransportError:
                await asyncio.sleep(_AGAIN_S)
            else:
                return answer

    async def get(self, path: str) -> Json:
        """What is there, for our team."""
        answer = await self._owners[OUR_TEAM].get(path)
        assert answer.is_success, answer.text
        content: Json = answer.json()
        return content

    async def documents(self) -> list[Json]:
        """Every document of every job that our team sees, in the Router's order, read anew from its first change."""
        head = max((job["sequence"] for job in self.newest.values()), default=0)
        found: list[Json] = []
        async with aclosing(self._changes(after=0)) as changes:
            async for line in changes:
                if "job" in line:
                    found.append(line["job"])
                elif line["sequence"] >= head:
                    return found
        raise AssertionError("the changes ended")

    async def lines(self, job_id: str) -> list[Json]:
        """The lines of the job's status stream at its Access Point, from the first on; none where it is not ours to read."""
        door = (await self.get(f"/v1/jobs/{job_id}"))["stream"]
        if door is None:
            return []
        headers = {"Authorization": f"Bearer {door['token']}"}
        async with (
            httpx.AsyncClient(timeout=_PATIENCE, trust_env=False, verify=False, headers=headers) as client,
            client.stream("GET", door["url"], params={"after": 0}) as answer,
        ):
            assert answer.status_code == 200, answer.status_code
            return await _until_its_end(answer)

    async def _changes(self, *, after: int) -> AsyncGenerator[Json, None]:
        async with self._owners[OUR_TEAM].stream("GET", "/v1/changes", params={"after": after}) as answer:
            assert answer.status_code == 200, answer.status_code
            async for line in _lines(answer):
                yield line

    async def _hear(self, line: Json) -> None:
        self._after = line["sequence"]
        if "job" not in line:
            return
        async with self._news:
            self.newest[line["job"]["id"]] = line["job"]
            self._news.notify_all()


@asynccontextmanager
async def open_router(network: RunningNetwork) -> AsyncIterator[Router]:
    """For as long as the block lasts."""
    owners = {team: _client(network.router_url, network.tokens[team]) for team in TEAMS}
    try:
        yield Router(owners)
    finally:
        for client in owners.values():
            await client.aclose()


async def _until_its_end(answer: httpx.Response) -> list[Json]:
    """All there is; of a stream that does not end, what there is by then."""
    found: list[Json] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(_STREAM_WITHIN_S):
            async for line in _lines(answer):
                found.append(line)  # noqa: PERF401  (kept also when the time is over)
    return found


async def _lines(answer: httpx.Response) -> AsyncIterator[Json]:
    rest = b""
    async for piece in answer.aiter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line:
                yield json.loads(line)


def _client(url: str, token: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"}
    # A connection that was kept may be closed just as it is used again; the Router comes and goes here.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(
        base_url=url, headers=headers, timeout=_PATIENCE, limits=limits, trust_env=False, verify=False
    )
