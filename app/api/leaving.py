"""Notices that a caller has gone while an answer is still being waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request


@asynccontextmanager
async def leaving(request: Request, gone: Callable[[], None]) -> AsyncIterator[None]:
    """Within the block, `gone` is called when the caller's connection ends. Only for a request whose body nobody reads.

    It is called, too, when the caller sends more of a body than is taken: nothing behind that can be heard.
    """

    async def watch() -> None:
        try:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        except HTTPException:
            pass
        gone()

    watcher = asyncio.create_task(watch(), name="leaving")
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
