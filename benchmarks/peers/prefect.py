"""Is the history of jobs quicker than Prefect's? Lists of the newest, pages far back, and states written down.

Each has 50,000 runs in SQLite and one process on the same processor, and is asked over HTTP on loopback, one thing at a
time and in turn. Prefect lists by offset, as it can; the gateway by cursor.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from app.domain.ports import JobFilter
from app.store.cursors import cursor_after
from benchmarks._asking import Asking, asking
from benchmarks._fan import CLIENTS
from benchmarks._filling import filled
from benchmarks._remembering import remembering
from benchmarks._servers import gateway
from benchmarks._timing import tell, tell_at_least
from benchmarks.peers._prefect import multiplied, one_run, prefect
from tests.support.scripted import ScriptedNetwork, scripted_network

_RUNS = 5
_RUNS_KEPT, _ROW = 50_000, 45_000
_LISTS = 20
_STATES, _JOBS = 200, 400
_COURSE = ("created", "queue", "starting", "running", "complete")
_LIFE_SIGN_S = 0.01
_LOOK_AGAIN_S = 0.005
_STOPS_AFTER_S = 1_200.0


async def main() -> None:
    """Print how they compare; whatever happens, it comes to an end."""
    arguments = _arguments()
    file = filled(arguments.folder, _RUNS_KEPT)
    os.sched_setaffinity(0, CLIENTS)
    async with asyncio.timeout(_STOPS_AFTER_S):
        with tempfile.TemporaryDirectory() as folder:
            home, python = Path(folder), arguments.python
            async with prefect(python, home) as theirs:
                first = await one_run(theirs)
            await asyncio.to_thread(multiplied, home, _RUNS_KEPT)
            async with prefect(python, home) as theirs:
                await _lists(theirs, file)
                await _states(theirs, first)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(".venv/peers/bin/python"), help="that has Prefect")
    parser.add_argument("--folder", type=Path, default=Path(".venv/benchmarks"), help="where our database is kept")
    return parser.parse_args()


async def _lists(theirs: Asking, file: Path) -> None:
    deep = f"/v1/jobs?cursor={_cursor(file)}"
    newest_ms: list[tuple[float, float]] = []
    deep_ms: list[tuple[float, float]] = []
    async with remembering(file) as ours:
        for _ in range(_RUNS):
            newest_ms.append((await _got_ms(ours.asking, "/v1/jobs"), await _listed_ms(theirs, offset=0)))
            deep_ms.append((await _got_ms(ours.asking, deep), await _listed_ms(theirs, offset=_ROW)))
    print(f"Pages of 50 of {_RUNS_KEPT} runs, until the answer is there, p50 of {_LISTS}")
    for what, both, aim in (("the newest", newest_ms, 20), (f"after row {_ROW}", deep_ms, 100)):
        tell(f"  {what}, the gateway", [here for here, _ in both], unit="ms")
        tell(f"  {what}, Prefect", [there for _, there in both], unit="ms")
        tell_at_least(f"  {what}, Prefect / the gateway", [there / here for here, there in both], aim)


async def _states(theirs: Asking, run: str) -> None:
    async with scripted_network() as network:
        network.life_sign_s = _LIFE_SIGN_S
        async with gateway(network, GATEWAY_RECONCILE_S="86400") as (pid, port), asking(port, pid=pid) as ours:
            rates = [(await _heard_rate(network, ours), await _set_rate(theirs, run)) for _ in range(_RUNS)]
    print(
        "States of jobs: the gateway hears them in their order, and keeps together what came together; Prefect one after another"
    )
    tell(
        "  the gateway: told by the Router's feed over HTTP, applied, in the log", [one for one, _ in rates], unit="/s"
    )
    tell("  Prefect: POST set_state with force, answered", [other for _, other in rates], unit="/s")
    tell_at_least("  the gateway / Prefect", [one / other for one, other in rates], 25)


async def _got_ms(ours: Asking, target: str) -> float:
    answers = [await ours.get(target) for _ in range(_LISTS)]
    if {len(json.loads(one.body)["items"]) for one in answers} != {50}:
        raise RuntimeError(f"{target} is no page of 50.")
    return 1000 * statistics.median(one.seconds for one in answers)


async def _listed_ms(theirs: Asking, *, offset: int) -> float:
    wanted = json.dumps({"limit": 50, "offset": offset, "sort": "START_TIME_DESC"}).encode()
    answers = [await theirs.post("/api/flow_runs/filter", wanted) for _ in range(_LISTS)]
    if {len(json.loads(one.body)) for one in answers} != {50}:
        raise RuntimeError(f"Prefect has no page of 50 at {offset}.")
    return 1000 * statistics.median(one.seconds for one in answers)


async def _heard_rate(network: ScriptedNetwork, ours: Asking) -> float:
    """Changes of state in a second, from the first that is told to the last that is in the log."""
    network.tells_changes = False
    jobs = [str(uuid4()) for _ in range(_JOBS)]
    for status in _COURSE:
        for job_id in jobs:
            # Of another team: no stream is followed for it, and nothing else is done.
            facts = {"owner": {"user": "ann", "team": "mercy"}, "job_name": job_id}
            await network.router_says(status, job_id=job_id, **facts)
    before = await _head(ours)
    network.tells_changes, began = True, time.perf_counter()
    while not await _is_complete(ours, jobs[-1]):  # noqa: ASYNC110  (no bell rings for it)
        await asyncio.sleep(_LOOK_AGAIN_S)
    seconds, changes = time.perf_counter() - began, len(_COURSE) * _JOBS
    if await _head(ours) - before < changes:
        raise RuntimeError("Not every change of state is in the log.")
    return changes / seconds


async def _is_complete(ours: Asking, name: str) -> bool:
    """By the list, which never asks the Router: a read of the job itself would, and bring its last state past the feed."""
    answer = await ours.get(f"/v1/jobs?name={name}&phase=complete")
    return bool(json.loads(answer.body)["items"])


async def _head(ours: Asking) -> int:
    return int(json.loads((await ours.get("/v1/jobs?limit=1")).body)["as_of"])


async def _set_rate(theirs: Asking, run: str) -> float:
    began = time.perf_counter()
    for number in range(_STATES):
        kind = ("RUNNING", "PENDING")[number % 2]
        wanted = json.dumps({"state": {"type": kind, "name": kind.title()}, "force": True}).encode()
        answer = await theirs.post(f"/api/flow_runs/{run}/set_state", wanted)
        if answer.status not in {200, 201} or json.loads(answer.body)["status"] != "ACCEPT":
            raise RuntimeError(f"Prefect did not accept it: {answer.body[:200]!r}")
    return _STATES / (time.perf_counter() - began)


def _cursor(file: Path) -> str:
    connection = sqlite3.connect(file)
    ((key,),) = connection.execute("SELECT key FROM job ORDER BY key DESC LIMIT 1 OFFSET ?", (_ROW - 1,)).fetchall()
    connection.close()
    return cursor_after(key, wanted=JobFilter(), of="jobs")


if __name__ == "__main__":
    asyncio.run(main())
