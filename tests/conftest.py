"""What all tests through the public door share: one network and one gateway for each worker, a caller for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import network as carried
from tests.support.gateway import Caller, Finished, Gateway, Listener, finished_jobs, router_settings, served
from tests.support.keys import Guarded, guarded_gateway
from tests.support.network import LONG_REGRESSION, RunningNetwork
from tests.support.prepared import loaded_programs
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network

shared_network = carried.shared_network
running_network = carried.running_network


@pytest.fixture(scope="session", autouse=True)
def _loaded_programs() -> Iterator[None]:
    """Every process of ours that a test starts is forked from one that has loaded them all."""
    with loaded_programs():
        yield


@pytest.fixture(scope="session")
def gateway(shared_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests of a session that leave it running."""
    with served(tmp_path_factory.mktemp("gateway"), **router_settings(shared_network)) as shared:
        yield shared


@pytest.fixture
async def caller(gateway: Gateway, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that uses the shared gateway."""
    async with gateway.client() as client:
        yield Caller(gateway, running_network, client)


@pytest.fixture
def own_gateway(running_network: RunningNetwork, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with a history of its own, to be stopped and started at will."""
    with served(tmp_path / "gateway", **router_settings(running_network)) as own:
        yield own


@pytest.fixture
async def own_caller(own_gateway: Gateway, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that uses it, for as long as it runs at its first address."""
    async with own_gateway.client() as client:
        yield Caller(own_gateway, running_network, client)


@pytest.fixture(scope="session")
def guarded(shared_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One gateway that asks for keys, for all tests of a session that leave it running."""
    with guarded_gateway(tmp_path_factory.mktemp("guarded"), shared_network) as shared:
        yield shared


@pytest.fixture(scope="session")
def finished(gateway: Gateway, shared_network: RunningNetwork) -> Finished:
    """Jobs that have run to their end through the shared gateway, to be looked at by many tests."""
    with ThreadPoolExecutor(1) as apart:  # an event loop of its own, for the tests' loops come and go
        return apart.submit(asyncio.run, finished_jobs(gateway, shared_network)).result()


@pytest.fixture
async def long_job(caller: Caller) -> AsyncIterator[str]:
    """A job that calculates until it is killed; it is gone after the test, for it holds the Access Points' only slot."""
    job_id = await caller.running(LONG_REGRESSION, name="long")
    yield job_id
    await caller.client.post(f"/v1/jobs/{job_id}/kill")
    await caller.until_end(job_id)


@pytest.fixture
async def network() -> AsyncIterator[ScriptedNetwork]:
    """A Router and an Access Point that say what a test tells them to."""
    async with scripted_network() as scripted:
        yield scripted


@pytest.fixture
async def watcher(network: ScriptedNetwork, tmp_path: Path) -> AsyncIterator[Listener]:
    """A program that watches a gateway of theirs."""
    with served(tmp_path, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN) as gateway:
        async with gateway.client() as client:
            yield Listener(gateway, client)
