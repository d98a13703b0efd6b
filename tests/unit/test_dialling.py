"""A host may have several addresses, of which some are dead."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from app.upstream.dialling import Dialling

Address = tuple[str, int]


@pytest.fixture
def there() -> Iterator[Address]:
    """Where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@pytest.fixture
def nobody() -> Address:
    """Where nobody does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address: Address = listener.getsockname()
    return address


@pytest.fixture
def hangs() -> Iterator[Address]:
    """Where one is neither let in nor turned away: its queue is full."""
    with ExitStack() as open_:
        listener = open_.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = open_.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def resolved_to(monkeypatch: pytest.MonkeyPatch, *addresses: Address) -> None:
    """`somewhere` has these; loops ask for addresses that are none but numbers, too."""
    loop = asyncio.get_running_loop()
    really = loop.getaddrinfo

    async def found(host: str, *where: Any, **how: Any) -> list[tuple[Any, ...]]:
        if host != "somewhere":
            return await really(host, *where, **how)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", found)


class Caller(asyncio.Protocol):
    """Knows where it is connected to."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a TCP connection
        """It is."""
        self.transport = transport


async def reached() -> Address:
    """Where `somewhere` was, in the end."""
    caller = await Dialling(Caller, "somewhere", 80, tls=None).first()
    address: Address = caller.transport.get_extra_info("peername")
    caller.transport.abort()
    return address


async def test_the_next_address_is_tried_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, nobody: Address, there: Address
) -> None:
    """At once."""
    resolved_to(monkeypatch, nobody, nobody, there)

    assert await reached() == there


async def test_the_next_address_is_tried_beside_one_that_hangs(
    monkeypatch: pytest.MonkeyPatch, hangs: Address, nobody: Address, there: Address
) -> None:
    """The time for a connection would be over before it says no."""
    resolved_to(monkeypatch, hangs, there, nobody)

    assert await reached() == there


async def test_where_all_fail_it_is_told_why(monkeypatch: pytest.MonkeyPatch, nobody: Address) -> None:
    """As the last one did."""
    resolved_to(monkeypatch, nobody, nobody)

    with pytest.raises(ConnectionRefusedError):
        await reached()


async def test_who_stops_dialling_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, hangs: Address) -> None:
    """No socket, and no task that goes on."""
    resolved_to(monkeypatch, hangs, hangs)
    before = asyncio.all_tasks()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await reached()

    assert asyncio.all_tasks() == before
