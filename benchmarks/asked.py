"""What does it cost to ask who is calling? One read of a job, by key, beside the same read where nobody is asked."""

import asyncio
import statistics
import sys
import tempfile

import httpx

from benchmarks._running import Running, bearer, running, serving
from benchmarks._timing import tell, took

_RUNS = 5
_READS = 200
_JOB = {
    "job_name": "benchmark",
    "operation": "PRIVATE_SET_INTERSECTION",
    "dataset": ["globex/patients", "mercy/patients"],
}


async def main() -> None:
    """Print the ratio."""
    async with running() as both:
        job_id = (await both.gateway.post("/v1/jobs", json=_JOB)).json()["id"]
        with tempfile.TemporaryDirectory() as folder:
            ratios = await _compared(both, f"/v1/jobs/{job_id}", folder)
    tell(f"GET a job, by key / without, {_READS} reads each in turn, median", ratios, unit="x")


async def _compared(both: Running, path: str, folder: str) -> list[float]:
    settings = {
        "GATEWAY_AUTH": "key",
        "GATEWAY_ROUTER_URL": both.router_url,
        "GATEWAY_ROUTER_TOKEN": both.tokens["globex"],
    }
    async with serving(folder, **settings) as url:
        headers = bearer(await _key(folder))
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as keyed:
            return [await _ratio(keyed, both.gateway, path) for _ in range(_RUNS)]


async def _ratio(keyed: httpx.AsyncClient, bare: httpx.AsyncClient, path: str) -> float:
    """Of the medians, the two read in turn."""
    by_key, without = [], []
    for _ in range(_READS):
        by_key.append(await took(lambda: keyed.get(path)))
        without.append(await took(lambda: bare.get(path)))
    return statistics.median(by_key) / statistics.median(without)


async def _key(folder: str) -> str:
    """Made as an operator makes it."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "key", "create", "benchmark", "--role", "viewer"),
        env={"GATEWAY_DATA_DIR": folder, "PYTHONPATH": ":".join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await child.communicate()
    return out.decode().strip()


if __name__ == "__main__":
    asyncio.run(main())
