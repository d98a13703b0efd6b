"""A gateway with the network it carries, for as long as a benchmark runs."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_READY_WITHIN_S = 60
_LEAVES_WITHIN_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Clients of both, and the owners' tokens."""

    gateway: httpx.AsyncClient
    router: httpx.AsyncClient
    tokens: dict[str, str]


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """Start both on free ports with an empty data folder; end both."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GATEWAY_PORT": "0", "GATEWAY_DATA_DIR": folder}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve"), stdout=asyncio.subprocess.PIPE, env=environment
        )
        try:
            url = await _address(child)
            network = json.loads(await asyncio.to_thread((Path(folder) / "network" / "network.json").read_bytes))
            headers = {"Authorization": f"Bearer {network['tokens']['globex']}"}
            async with (
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as gateway,
                httpx.AsyncClient(
                    base_url=network["router_url"], headers=headers, trust_env=False, timeout=60
                ) as router,
            ):
                yield Running(gateway=gateway, router=router, tokens=network["tokens"])
        finally:
            child.terminate()
            async with asyncio.timeout(_LEAVES_WITHIN_S):
                await child.wait()


async def _address(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None  # noqa: S101  (a pipe was asked for)
    async with asyncio.timeout(_READY_WITHIN_S):
        line = (await child.stdout.readline()).decode()
    return line.removeprefix("Serving on ").strip()
