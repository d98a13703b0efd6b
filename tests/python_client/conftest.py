"""A session with the shared gateway, and owners who allow what they are asked for."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

import tripleblind_gateway as tb
from tests.support.gateway import NDJSON, WITHIN_S, Gateway
from tests.support.network import RunningNetwork

Consenting = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def session(gateway: Gateway) -> Iterator[tb.Session]:
    """With the shared gateway."""
    with tb.Session(gateway.url) as own:
        yield own


@pytest.fixture
def consenting(gateway: Gateway, running_network: RunningNetwork) -> Consenting:
    """For as long as the block lasts every owner allows the next job of that name."""

    @contextmanager
    def for_job_called(name: str) -> Iterator[None]:
        with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=gateway.url, timeout=WITHIN_S) as client:
            after = client.get("/v1/jobs", params={"limit": 1}).json()["as_of"]
            allowed: Future[None] = pool.submit(_allow, client, running_network, name, after)
            yield
            allowed.result(WITHIN_S)

    return for_job_called


def _allow(client: httpx.Client, network: RunningNetwork, name: str, after: int) -> None:
    query = {"name": name, "phase": "waiting_on_permission", "after": str(after)}
    with client.stream("GET", "/v1/events", params=query, headers=NDJSON) as feed:
        for event in (json.loads(line) for line in feed.iter_lines() if line):
            if event["event"] == "phase" and event["data"]["phase"] == "waiting_on_permission":
                network.accept_all(network.job(event["data"]["job_id"]))
                return
