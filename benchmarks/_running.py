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
    """Clients of both, where the Router is, and the owners' tokens."""

    gateway: httpx.AsyncClient
    router: httpx.AsyncClient
    router_url: str
    tokens: dict[str, str]


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """Start both on free ports with an empty data folder; end both."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(folder) as url:
            network = json.loads(await asyncio.to_thread((Path(folder) / "network" / "network.json").read_bytes))
            async with (
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as gateway,
                httpx.AsyncClient(
                    base_url=network["router_url"],
                    headers=bearer(network["tokens"]["globex"]),
                    trust_env=False,
                    timeout=60,
                ) as router,
            ):
                yield Running(
                    gateway=gateway, router=router, router_url=network["router_url"], tokens=network["tokens"]
                )


@asynccontextmanager
async def serving(folder: str, **settings: str) -> AsyncIterator[str]:
    """A gateway with these settings and its log in the folder; its address."""
    environment = {**os.environ, "GATEWAY_PORT": "0", "GATEWAY_DATA_DIR": folder, **settings}
    with (Path(folder) / "gateway.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve"), stdout=asyncio.subprocess.PIPE, stderr=log, env=environment
        )
        try:
            yield await _address(child)
        finally:
            child.terminate()
            async with asyncio.timeout(_LEAVES_WITHIN_S):
                await child.wait()


def bearer(token: str) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {token}"}


async def _address(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None  # noqa: S101  (a pipe was asked for)
    async with asyncio.timeout(_READY_WITHIN_S):
        line = (await child.stdout.readline()).decode()
    return line.removeprefix("Serving on ").strip()
