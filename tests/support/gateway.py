"""A real gateway for tests: `gateway serve` as a process of its own, asked over HTTP like by anybody else."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import IO, Any

import httpx

from tests.support.described import as_described
from tests.support.events import Event, NdjsonReader
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork
from tests.support.prepared import Process, commanded, started

Json = dict[str, Any]

WITHIN_S = 40.0
_QUICK = {"GATEWAY_REDIAL_FIRST_S": "0.1", "GATEWAY_REDIAL_FACTOR": "1.5"}
_PATIENCE = httpx.Timeout(WITHIN_S)
NDJSON = {"Accept": "application/x-ndjson"}
_LOOK_AGAIN_S = 0.02


class Gateway:
    """`gateway serve` on a data folder and a free port; it can be stopped, killed and started again."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._settings = settings
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Of the process that serves now."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended by itself."""
        return self._running.poll() is None

    @property
    def log(self) -> str:
        """What it wrote on standard error, over all its lives."""
        return (self.data_dir / "stderr.log").read_text()

    def start(self, **changed: str) -> None:
        """Return once it serves."""
        self.spawn(**changed)
        self.await_serving()

    def spawn(self, **changed: str) -> None:
        """Start the process, without waiting until it serves."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "stderr.log").open("ab") as errors:
            self._process = self._begun(environment(self.data_dir, **self._settings, **changed), errors)

    def await_serving(self) -> None:
        """Return once it says where it serves."""
        line = first_line(self._running)
        assert line.startswith("Serving on http://"), f"it said {line!r}; {self.log}"
        self.url = line.removeprefix("Serving on ")

    def restart(self) -> None:
        """Another process on the same data."""
        self.end()
        self.start()

    def kill9(self) -> None:
        """Without a chance to say goodbye."""
        self._running.kill()
        self._buried()

    def stop(self) -> int:
        """Ask it to stop, as an init system does; its exit code."""
        self._running.terminate()
        return self._buried()

    def interrupt(self) -> int:
        """Ctrl-C in a terminal: SIGINT to all processes of its group; the gateway's exit code."""
        os.killpg(self._running.pid, signal.SIGINT)
        return self._buried()

    def end(self) -> None:
        """See it out, whatever its state."""
        if self._process is None:
            return
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill9()

    def client(self) -> httpx.AsyncClient:
        """For whoever asks it."""
        return httpx.AsyncClient(
            base_url=self.url,
            timeout=_PATIENCE,
            trust_env=False,
            verify=False,
            event_hooks={"response": [as_described]},
        )

    def _begun(self, env: dict[str, str], errors: IO[bytes]) -> Process:
        return started("app", "serve", env=env, stderr=errors)

    @property
    def _running(self) -> Process:
        assert self._process is not None, "it does not run"
        return self._process

    def _buried(self) -> int:
        process = self._running
        code = process.wait(WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()
        self._process = None
        return code


class Commanded(Gateway):
    """Started by its command, and loaded anew each time: for claims about the process itself."""

    def _begun(self, env: dict[str, str], errors: IO[bytes]) -> Process:
        return commanded("app", "serve", env=env, stderr=errors)


class Listener:
    """A program that watches what a gateway tells."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.client = client

    async def get(self, path: str, **query: str) -> Json:
        """What is there; it must be."""
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        content: Json = answer.json()
        return content

    async def until_phase(self, job_id: str, phase: str) -> Event:
        """Listen to the job's stream until it is in this phase."""
        async with self.listening(f"/v1/jobs/{job_id}/events") as events:
            async for event in events:
                if event.name == "phase" and event.json["phase"] == phase:
                    return event
                assert event.name != "end", f"it ended {event.json['phase']} and was never {phase}"
        raise AssertionError("the stream stopped before its end")

    async def until_end(self, job_id: str) -> list[Event]:
        """Listen to the job's stream until it closes; all its events."""
        async with self.listening(f"/v1/jobs/{job_id}/events") as events:
            heard = [event async for event in events]
        assert heard[-1].name == "end", heard[-1]
        return heard

    @asynccontextmanager
    async def listening(
        self, path: str, *, within_s: float = WITHIN_S, **query: str
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of a stream as they come, snapshots apart, for a bounded time; the snapshot has come already."""
        async with asyncio.timeout(within_s), self.client.stream("GET", path, params=query, headers=NDJSON) as answer:
            assert answer.status_code == 200, answer.status_code
            events = _told(answer)
            assert (await anext(events)).name == "snapshot"
            yield events

    async def bytes_of(self, path: str, *, headers: dict[str, str] | None = None, **query: str) -> bytes:
        """A stream as raw bytes, up to the moment the gateway closes it in good order."""
        async with asyncio.timeout(WITHIN_S):
            answer = await self.client.get(path, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def bytes_until(
        self, enough: Callable[[bytes], bool], path: str, *, headers: dict[str, str] | None = None, **query: str
    ) -> bytes:
        """A stream's first bytes, until they are enough; then the connection is cut."""
        heard = b""
        async with asyncio.timeout(WITHIN_S), self.client.stream("GET", path, params=query, headers=headers) as answer:
            assert answer.status_code == 200, answer.status_code
            async for piece in answer.aiter_raw():
                heard += piece
                if enough(heard):
                    return heard
        raise AssertionError(f"the stream ended after {heard!r}")

    async def eventually(self, path: str, holds: Callable[[Json], bool]) -> Json:
        """What is there once it is as wanted: for the few things that no stream tells."""
        async with asyncio.timeout(WITHIN_S):
            while not holds(found := await self.get(path)):  # noqa: ASYNC110  (no bell rings for it)
                await asyncio.sleep(_LOOK_AGAIN_S)
        return found


class Caller(Listener):
    """A program that also starts jobs, and the owners of the data, who answer at the Router."""

    def __init__(self, gateway: Gateway, network: RunningNetwork, client: httpx.AsyncClient) -> None:
        super().__init__(gateway, client)
        self.network = network

    async def create(self, body: Json, *, name: str = "a job") -> Json:
        """A new job."""
        answer = await self.client.post("/v1/jobs", json={"job_name": name, **body})
        assert answer.status_code == 201, answer.text
        content: Json = answer.json()
        return content

    async def submit(self, job_id: str) -> Json:
        """The job, submitted."""
        answer = await self.client.post(f"/v1/jobs/{job_id}/submit")
        assert answer.status_code == 202, answer.text
        content: Json = answer.json()
        return content

    async def waiting(self, body: Json, *, name: str = "a job") -> Json:
        """A new job that has been submitted and waits for the owners."""
        job = await self.submit((await self.create(body, name=name))["id"])
        assert job["phase"] == "waiting_on_permission", job
        return job

    def accept(self, job: Json) -> None:
        """Every owner that is asked says yes, each at the Router and with a token of its own."""
        self.network.accept_all(job)

    async def started(self, body: Json, *, name: str = "a job") -> str:
        """A new job, submitted and allowed; its id."""
        job = await self.submit((await self.create(body, name=name))["id"])
        self.accept(job)
        return str(job["id"])

    async def finished(self, body: Json, *, name: str = "a job") -> Json:
        """A new job, followed to its end."""
        job_id = await self.started(body, name=name)
        await self.until_end(job_id)
        return await self.get(f"/v1/jobs/{job_id}")

    async def running(self, body: Json, *, name: str = "a job") -> str:
        """A new job that calculates; its id."""
        job_id = await self.started(body, name=name)
        await self.until_phase(job_id, "in_progress")
        return job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Jobs that ran to their end, as the gateway shows them."""

    intersection: Json
    regression: Json
    inference: Json


async def finished_jobs(gateway: Gateway, network: RunningNetwork) -> Finished:
    """One job of each kind, run to its end."""
    async with gateway.client() as client:
        caller = Caller(gateway, network, client)
        regression, intersection = await asyncio.gather(
            caller.finished(REGRESSION, name="a finished regression"),
            caller.finished(INTERSECTION, name="a finished intersection"),
        )
        body = inference_by(regression["result"]["asset_id"])
        inference = await caller.finished(body, name="a finished inference")
    return Finished(intersection=intersection, regression=regression, inference=inference)


def inference_by(model: str) -> Json:
    """What runs a model over our own rows and streams what comes out."""
    params = {"security": "fed", "stream_output": True, "batch_size": 30}
    return {"operation": model, "dataset": ["globex/holdout"], "params": params}


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Ours, but of the gateway's settings only those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**inherited, "GATEWAY_DATA_DIR": str(data_dir), "GATEWAY_PORT": "0", **_QUICK, **settings}


def first_line(process: Process) -> str:
    """The first line on its standard output; empty when it said none in time."""
    assert process.stdout is not None
    readable, _, _ = select([process.stdout], [], [], WITHIN_S)
    return process.stdout.readline().decode().strip() if readable else ""


def router_settings(network: RunningNetwork) -> dict[str, str]:
    """What makes a gateway globex's on this network."""
    return {"GATEWAY_ROUTER_URL": network.router_url, "GATEWAY_ROUTER_TOKEN": network.tokens["globex"]}


@contextmanager
def served(data_dir: Path, **settings: str) -> Iterator[Gateway]:
    """A gateway for as long as the block lasts."""
    gateway = Gateway(data_dir, **settings)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.end()


async def _told(answer: httpx.Response) -> AsyncIterator[Event]:
    reader = NdjsonReader()
    async for piece in answer.aiter_bytes():
        for event in reader.feed(piece):
            yield event
