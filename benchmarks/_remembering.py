"""A gateway on a database that is there already, in front of a Router that has nothing new to say."""

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.domain.phases import BUCKETS, Bucket
from app.store.numbers import PHASES
from benchmarks._asking import Asking, asking
from benchmarks._fan import SERVERS, child, cpu_s
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network

_FOR_EVER_S = 86_400.0
_WITHIN_S = 120.0
_LOOK_AGAIN_S = 0.01
_QUIET_S, _QUIET_SHARE = 1.0, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembering:
    """One that runs and has come to rest: its process, its log, how to ask it, and how long it took to be ready."""

    pid: int
    port: int
    log: Path
    asking: Asking
    ready_s: float


@asynccontextmanager
async def remembering(file: Path, prepared: ScriptedNetwork | None = None) -> AsyncIterator[Remembering]:
    """For as long as the block lasts. It writes nothing: all that the Router knows it has heard."""
    async with scripted_network(prepared) as network:
        network.life_sign_s = _FOR_EVER_S
        for job_id in _unfinished(file):
            await network.router_says("running", job_id=job_id)
        began = time.perf_counter()
        async with _serving(file, router_url=network.url) as (pid, port, log), asking(port, pid=pid) as asked:
            ready_s = await _ready(asked) - began
            await _at_rest(pid)
            yield Remembering(pid=pid, port=port, log=log, asking=asked, ready_s=ready_s)


@asynccontextmanager
async def _serving(file: Path, *, router_url: str) -> AsyncIterator[tuple[int, int, Path]]:
    settings = {
        "GATEWAY_PORT": "0",
        "GATEWAY_DATABASE_URL": f"sqlite:///{file}",
        "GATEWAY_ROUTER_URL": router_url,
        "GATEWAY_ROUTER_TOKEN": TOKEN,
        "GATEWAY_SILENCE_S": str(_FOR_EVER_S),
        "GATEWAY_RECONCILE_S": str(_FOR_EVER_S),
        # On a busy machine hundreds of streams are not opened in ten seconds, and what fails is written down.
        "GATEWAY_CALL_TIMEOUT_S": str(_WITHIN_S),
        "GATEWAY_LOG_LEVEL": "warning",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "app", "serve")
        log = Path(folder) / "log"
        async with child(*command, cores=SERVERS, log=log, GATEWAY_DATA_DIR=folder, **settings) as process:
            assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
            async with asyncio.timeout(_WITHIN_S):
                line = (await process.stdout.readline()).decode()
            if not line:
                raise RuntimeError(log.read_text())
            yield process.pid, urlsplit(line.removeprefix("Serving on ").strip()).port or 0, log


async def _ready(asked: Asking) -> float:
    """When it was."""
    async with asyncio.timeout(_WITHIN_S):
        while (await asked.get("/readyz")).status != 200:  # noqa: ASYNC110  (no bell rings for it)
            await asyncio.sleep(_LOOK_AGAIN_S)
    return time.perf_counter()


async def _at_rest(pid: int) -> None:
    """Once it has compared its jobs with the Router's and waits."""
    async with asyncio.timeout(_WITHIN_S):
        spent_s = _QUIET_S
        while spent_s > _QUIET_SHARE * _QUIET_S:
            before_s = cpu_s(pid)
            await asyncio.sleep(_QUIET_S)
            spent_s = cpu_s(pid) - before_s


def _unfinished(file: Path) -> list[str]:
    over = ", ".join(str(PHASES[phase]) for phase in BUCKETS[Bucket.HISTORY])
    connection = sqlite3.connect(file)
    found = connection.execute(f"SELECT job_id FROM job WHERE phase NOT IN ({over})").fetchall()  # noqa: S608  (our numbers)
    connection.close()
    return [job_id for (job_id,) in found]
