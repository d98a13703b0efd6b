"""The chain: a gateway → our client for Python, in the SDK's place → the shared gateway → the network."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Caller, Gateway, served
from tests.support.network import RunningNetwork


def sdk_settings(url: str, network: RunningNetwork) -> dict[str, str]:
    """What makes a gateway globex's, through the SDK over the gateway at this address."""
    return {
        "GATEWAY_ROUTER": "sdk",
        "GATEWAY_ROUTER_TOKEN": network.tokens["globex"],
        "GATEWAY_SDK_MODULE": "tripleblind_gateway",
        "GATEWAY_SDK_USER": "owner@globex",
        "GATEWAY_SDK_TEAM": "globex",
        "GATEWAY_POLL_S": "0.2",
        "TRIPLEBLIND_GATEWAY_URL": url,
    }


@pytest.fixture
def chained_gateway(gateway: Gateway, running_network: RunningNetwork, tmp_path: Path) -> Iterator[Gateway]:
    """The gateway at the near end, with a history of its own."""
    with served(tmp_path / "near", **sdk_settings(gateway.url, running_network)) as near:
        yield near


@pytest.fixture
async def chained(chained_gateway: Gateway, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that uses it."""
    async with chained_gateway.client() as client:
        yield Caller(chained_gateway, running_network, client)
