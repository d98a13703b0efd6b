"""A process that asks a Router at the address it is given, with each of the gateway's clients, in its own environment."""

import asyncio
import sys

from app.upstream.clients import open_clients
from app.upstream.passage import Passage


async def ask(url: str) -> None:
    """One question each."""
    async with open_clients(url, token="t", call_timeout_s=10, silence_s=10) as clients:  # noqa: S106  (opens nothing)
        await (await clients.calls.ask("GET", "/v1/me", passage=Passage())).aclose()
        await clients.changes.get("/v1/changes")
        await clients.access_points.get(f"{url}/stream")


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1]))
