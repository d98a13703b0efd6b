"""What does the gateway add? To one read of a job, and to a message on its way from the Access Point to a viewer.

Each is measured beside the same thing without the gateway, in one run: the same job read at the Router, the same
stream read at the Access Point.
"""

import asyncio
import json
import statistics
import time

import httpx

from benchmarks._running import Running, bearer, running
from benchmarks._timing import tell, took

_RUNS = 5
_READS = 200
_ITERATIONS = 100
_TRAINING = {
    "job_name": "benchmark",
    "operation": "REGRESSION",
    "dataset": ["mercy/breast-cancer", "lakeside/breast-cancer"],
    "params": {"regression_type": "LOGISTIC", "model_params": {"max_iter": _ITERATIONS, "tol": 0}},
}


async def main() -> None:
    """Print both."""
    async with running() as both:
        ratios, added_ms = [], []
        for _ in range(_RUNS):
            job_id, messages_ms = await _watched_twice(both)
            added_ms.append(statistics.median(messages_ms))
            ratios.append(await _read_twice(both, job_id))
        tell(f"GET a job, gateway / Router, {_READS} reads each in turn, median", ratios, unit="x")
        tell(
            f"a message, seen at the gateway after it is at the Access Point, {_ITERATIONS} each, median",
            added_ms,
            unit="ms",
        )


async def _watched_twice(both: Running) -> tuple[str, list[float]]:
    """One job's stream, read at the Access Point and at the gateway at the same time; how much later each came, in ms."""
    job_id = (await both.gateway.post("/v1/jobs?submit=true", json=_TRAINING)).json()["id"]
    stream = (await both.router.get(f"/v1/jobs/{job_id}")).json()["stream"]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as access_point:
        headers = bearer(stream["token"])
        there = asyncio.create_task(_arrivals(access_point, stream["url"], headers))
        here = asyncio.create_task(
            _arrivals(both.gateway, f"/v1/jobs/{job_id}/events", {"Accept": "application/x-ndjson"})
        )
        await _grant(both, job_id)
        first, second = await asyncio.gather(there, here)
    return job_id, [(second[iteration] - at) * 1000 for iteration, at in first.items()]


async def _arrivals(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> dict[int, float]:
    """When each iteration's metrics came, by the clock of this process."""
    seen: dict[int, float] = {}
    async with client.stream("GET", url, headers=headers) as response:
        async for line in response.aiter_lines():
            at = time.perf_counter()
            told = json.loads(line) if line else {}
            message = told.get("message", told.get("data"))
            if isinstance(message, dict) and "iteration" in message:
                seen[message["iteration"]] = at
    return seen


async def _grant(both: Running, job_id: str) -> None:
    missing = (await both.router.get(f"/v1/jobs/{job_id}")).json()["waiting_on"]
    for one in missing:
        headers = bearer(both.tokens[one["team"]])
        await both.router.post(f"/v1/access-requests/{one['asset_id']}/{job_id}/accept", headers=headers, json={})


async def _read_twice(both: Running, job_id: str) -> float:
    """The ratio of the medians, the two read in turn."""
    path = f"/v1/jobs/{job_id}"
    here, there = [], []
    for _ in range(_READS):
        here.append(await took(lambda: both.gateway.get(path)))
        there.append(await took(lambda: both.router.get(path)))
    return statistics.median(here) / statistics.median(there)


if __name__ == "__main__":
    asyncio.run(main())
