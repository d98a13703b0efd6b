"""A session with the shared gateway, and owners who allow what they are asked for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

import tripleblind_gateway as tb
from tests.support import consenting as owners
from tests.support.gateway import Gateway
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
    return partial(owners.consenting, gateway, running_network)
