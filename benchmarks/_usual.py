"""Server-Sent Events as they are usually made in Python: a queue for each viewer, and each event put into JSON for each."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from sse_starlette import EventSourceResponse

app = FastAPI()
_queues: set["asyncio.Queue[tuple[int, Any]]"] = set()
_told: list[Any] = []


@app.post("/publish")
async def publish(request: Request) -> dict[str, int]:
    """Hand an event to every queue."""
    _told.append(await request.json())
    for queue in _queues:
        queue.put_nowait((len(_told), _told[-1]))
    return {"viewers": len(_queues)}


@app.get("/events")
async def events() -> EventSourceResponse:
    """All from the first on."""
    return EventSourceResponse(_watched())


async def _watched() -> AsyncIterator[dict[str, str]]:
    queue: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
    for number, event in enumerate(_told, start=1):
        queue.put_nowait((number, event))
    _queues.add(queue)
    try:
        while True:
            number, event = await queue.get()
            yield {"id": str(number), "data": json.dumps(event)}
    finally:
        _queues.discard(queue)


def main() -> None:
    """Serve on a free port, and say which."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, access_log=False, log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
