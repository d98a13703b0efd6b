"""A Router and an Access Point that say what a test tells them to, when it tells them to, in the words of docs/router-api.md."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

TOKEN = "the-token-of-globex"  # noqa: S105  (opens nothing)

_EPOCH = "an-epoch"


class ScriptedNetwork:
    """One job of globex, in_progress at first; a test says what the Router tells of it, and what the stream says.

    Others there are if the Router tells of them, and their streams if those say something.

    The feed holds the Router's changes back while it does not `tells_changes`; `asked_for` has every job that was read.
    """

    def __init__(self) -> None:
        self.job_id = str(uuid4())
        self.url = ""
        self.streams_opened = 0
        self.stream_left = asyncio.Event()
        self.repeats_from_the_start = False
        self.tells_changes = True
        self.life_sign_s = 0.2
        self.asked_for: list[str] = []
        self._changes = _Tape()
        self._documents: dict[str, dict[str, Any]] = {}
        self._lines: defaultdict[str, _Tape] = defaultdict(_Tape)
        self._hung_up = False
        self._generation = 0
        self._over = False

    async def router_says(self, market_status: str, *, job_id: str | None = None, **facts: object) -> None:
        """The Router's document of the job changes, and its feed tells so."""
        wanted = job_id or self.job_id
        which = {"sequence": len(self._changes.lines) + 1, "changed": _now(), "market_status": market_status}
        document = {**_document(wanted), **which, **facts}
        self._documents[wanted] = document
        line = {"epoch": _EPOCH, "sequence": document["sequence"], "job": document}
        await self._changes.tell(_line(line))

    def document(self, job_id: str) -> dict[str, Any]:
        """What the Router has of a job."""
        return self._documents[job_id]

    def router_forgets(self, job_id: str) -> None:
        """The Router has no such job any more; no feed tells that."""
        del self._documents[job_id]

    async def stream_says(self, *raw: bytes, job_id: str | None = None) -> None:
        """Messages of the Access Point: their JSON, as it is to stand in the line."""
        for message in raw:
            await self._stream(b'"kind":"message","message":' + message, job_id=job_id)

    async def stream_tells_status(self, code: int, name: str, *, result: dict[str, str | None] | None = None) -> None:
        """A status of the Access Point."""
        status = {"id": str(uuid4()), "code": code, "status": name, "when": _now(), "communications": 1}
        status |= {"error": "", "error_code": None, "result": result}
        await self._stream(b'"kind":"status","status":' + json.dumps(status).encode())

    async def stream_ends(self, outcome: str, *, job_id: str | None = None) -> None:
        """The end marker."""
        await self._stream(b'"kind":"end","outcome":' + json.dumps(outcome).encode(), job_id=job_id)

    async def stream_spits(self, line: bytes, *, job_id: str | None = None) -> None:
        """A line that is whatever it is."""
        await self._lines[job_id or self.job_id].tell(line + b"\n")

    async def cut_stream(self) -> None:
        """Whoever reads the stream is cut off; it can be opened again."""
        self._generation += 1
        await self._wake()

    async def hang_up(self) -> None:
        """The stream is cut and refuses to be opened from now on."""
        self._hung_up = True
        await self.cut_stream()

    def come_back(self) -> None:
        """The stream can be opened again."""
        self._hung_up = False

    async def close(self) -> None:
        """Every answer without end ends."""
        self._over = True
        await self._wake()

    def app(self) -> Starlette:
        """Both over HTTP."""
        return Starlette(routes=self.routes())

    def routes(self) -> list[Route]:
        """What can be asked."""
        return [
            Route("/v1/me", self._me),
            Route("/v1/changes", self._changes_feed),
            Route("/v1/jobs/{job_id}", self._job),
            Route("/v1/jobs/{job_id}/stream", self._status_stream),
        ]

    async def _stream(self, said: bytes, *, job_id: str | None = None) -> None:
        number = len(self._lines[job_id or self.job_id].lines) + 1
        head = f'{{"epoch":"{_EPOCH}","sequence":{number},"when":"{_now()}",'
        await self.stream_spits(head.encode() + said + b"}", job_id=job_id)

    async def _me(self, _request: Request) -> Response:
        return JSONResponse({"user": "owner@globex", "team": "globex", "role": "owner", "epoch": _EPOCH})

    async def _job(self, request: Request) -> Response:
        job_id = request.path_params["job_id"]
        self.asked_for.append(job_id)
        if job_id not in self._documents:
            return JSONResponse({"error": {"code": "not-found", "detail": "No such job."}}, 404)
        address = {"url": f"{self.url}/v1/jobs/{job_id}/stream", "token": "the token of the stream"}
        return JSONResponse({**self._documents[job_id], "stream": address})

    async def _changes_feed(self, request: Request) -> Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        after = int(request.query_params.get("after", "0"))
        place = {"epoch": _EPOCH, "sequence": after}
        first, quiet = place | {"head": max(after, len(self._changes.lines))}, place
        return StreamingResponse(self._told(self._changes, after, first=_line(first), quiet=_line(quiet)))

    async def _status_stream(self, request: Request) -> Response:
        assert request.headers["Authorization"] == "Bearer the token of the stream"
        job_id = request.path_params["job_id"]
        if self._hung_up or job_id not in self._documents:
            return JSONResponse({"error": {"code": "not-found", "detail": "Gone."}}, 404)
        self.streams_opened += 1
        after = 0 if self.repeats_from_the_start else int(request.query_params.get("after", "0"))
        return StreamingResponse(self._read_out(self._lines[job_id], after))

    async def _wake(self) -> None:
        for tape in [self._changes, *self._lines.values()]:
            await tape.wake()

    async def _read_out(self, tape: "_Tape", after: int) -> AsyncIterator[bytes]:
        try:
            async for line in self._told(tape, after, first=b"\n", quiet=b"\n"):
                yield line
        finally:
            self.stream_left.set()

    async def _told(self, tape: "_Tape", after: int, *, first: bytes, quiet: bytes) -> AsyncIterator[bytes]:
        generation = self._generation
        yield first
        while not self._over and (tape is self._changes or generation == self._generation):
            if after < len(tape.lines) and (self.tells_changes or tape is not self._changes):
                yield tape.lines[after]
                after += 1
            elif not await tape.has_news(within_s=self.life_sign_s):
                yield quiet


class _Tape:
    """Lines, and a bell for those who wait for the next."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._news = asyncio.Condition()

    async def tell(self, line: bytes) -> None:
        """One more."""
        self.lines.append(line)
        await self.wake()

    async def wake(self) -> None:
        """Let all look again."""
        async with self._news:
            self._news.notify_all()

    async def has_news(self, *, within_s: float) -> bool:
        """Whether the bell was rung in time."""
        try:
            async with asyncio.timeout(within_s), self._news:
                return await self._news.wait()
        except TimeoutError:
            return False


@asynccontextmanager
async def scripted_network(network: ScriptedNetwork | None = None) -> AsyncIterator[ScriptedNetwork]:
    """It serves for as long as the block lasts."""
    network = network or ScriptedNetwork()
    # Its own way of logging would stay behind in this process, for other tests.
    config = uvicorn.Config(network.app(), port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(), name="scripted network")
    await server.listening.wait()
    network.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield network
    finally:
        await network.close()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn, with a bell for when it listens; signals are left to the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        """Start, then ring."""
        await super().startup(sockets)
        self.listening.set()


def _document(job_id: str) -> dict[str, Any]:
    return {
        "epoch": _EPOCH,
        "id": job_id,
        "client_ref": str(uuid4()),
        "job_name": "scripted",
        "operation": "REGRESSION",
        "dataset": [],
        "preprocessor": None,
        "params": {},
        "labels": {},
        "owner": {"user": "owner@globex", "team": "globex"},
        "actor": None,
        "created": "2026-03-01T09:30:00.000000Z",
        "submitted": "2026-03-01T09:30:01.000000Z",
        "started": "2026-03-01T09:30:02.000000Z",
        "finished": None,
        "waiting_on": [],
        "queue": [],
        "reason": None,
        "stop": None,
        "error": "",
        "error_code": None,
        "result": None,
        "stream": None,
    }


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
