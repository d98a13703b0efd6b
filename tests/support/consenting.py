"""Owners who allow what they are asked for."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from tests.support.gateway import NDJSON, WITHIN_S, Gateway
from tests.support.network import RunningNetwork


@contextmanager
def consenting(gateway: Gateway, network: RunningNetwork, name: str) -> Iterator[None]:
    """For as long as the block lasts every owner allows the next job of this name."""
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=gateway.url, timeout=WITHIN_S) as client:
        after = client.get("/v1/jobs", params={"limit": 1}).json()["as_of"]
        allowed: Future[None] = pool.submit(_allow, client, network, name, after)
        yield
        allowed.result(WITHIN_S)


def _allow(client: httpx.Client, network: RunningNetwork, name: str, after: int) -> None:
    query = {"name": name, "phase": "waiting_on_permission", "after": str(after)}
    with client.stream("GET", "/v1/events", params=query, headers=NDJSON) as feed:
        for event in (json.loads(line) for line in feed.iter_lines() if line):
            if event["event"] == "phase" and event["data"]["phase"] == "waiting_on_permission":
                network.accept_all(network.job(event["data"]["job_id"]))
                return
