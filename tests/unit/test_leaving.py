"""A caller who hangs up is noticed while the answer is still being made."""

import asyncio

import pytest
from fastapi import HTTPException, Request
from starlette.types import Message

from app.api.leaving import leaving

BODY: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}
LONG_S = 10.0


class Connection:
    """What a server tells of a connection, when a test says so."""

    def __init__(self, *told: Message | Exception) -> None:
        self.told: asyncio.Queue[Message | Exception] = asyncio.Queue()
        for one in told:
            self.told.put_nowait(one)
        self.gone = asyncio.Event()

    @property
    def request(self) -> Request:
        """A request on it."""
        return Request({"type": "http"}, self._receive)

    async def until_gone(self) -> None:
        """Wait until it was noticed."""
        async with asyncio.timeout(LONG_S):
            await self.gone.wait()

    async def _receive(self) -> Message:
        one = await self.told.get()
        if isinstance(one, Exception):
            raise one
        return one


def watchers() -> list[str]:
    """Those that are left."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "leaving"]


async def test_the_end_of_the_connection_is_told() -> None:
    """What comes before it is the body, which nobody asked for."""
    connection = Connection(BODY, BODY)

    async with leaving(connection.request, connection.gone.set):
        assert not connection.gone.is_set()
        connection.told.put_nowait(GONE)
        await connection.until_gone()

    assert watchers() == []


async def test_more_of_a_body_than_is_taken_is_as_good_as_the_end() -> None:
    """Behind it nothing can be heard, and nobody is left to be told of the refusal."""
    connection = Connection(BODY, HTTPException(413))

    async with leaving(connection.request, connection.gone.set):
        await connection.until_gone()

    assert watchers() == []


async def test_whoever_stays_is_not_told_to_have_gone() -> None:
    """The watch ends with the block, however that ends."""
    connection = Connection(BODY)

    async with leaving(connection.request, connection.gone.set):
        pass
    with pytest.raises(RuntimeError):
        async with leaving(connection.request, connection.gone.set):
            raise RuntimeError("the history is away")

    assert not connection.gone.is_set()
    assert watchers() == []
