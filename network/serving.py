"""How a part runs: one HTTP server, until a signal or the end of standard input; then streams end and all is closed."""

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import uvicorn
from starlette.applications import Starlette

from network import ports

# Longer than clients keep an idle connection: closed just as a request sets out on it, its outcome would be unknown.
_KEEP_ALIVE_S = 75
_LAST_CALLS_S = 1


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the part decides when it ends."""

    def __init__(self, config: uvicorn.Config, *, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self._listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `stopping`."""
        yield


class Where(Protocol):
    """The part of a part's settings that says where it listens."""

    @property
    def host(self) -> str:
        """The address to bind."""

    @property
    def port(self) -> int:
        """The port to bind."""


async def serve(
    app: Starlette,
    *,
    settings: Where,
    stop: asyncio.Event,
    listening: Callable[[], None],
    end_streams: Callable[[], None],
) -> None:
    """Serve until `stop`; `end_streams` makes the endless answers end by themselves."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LAST_CALLS_S,
        ws="none",
    )
    server = _Server(config, listening=listening)
    serving = asyncio.create_task(server.serve(sockets=[ports.bind(settings.host, settings.port)]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    end_streams()
    server.should_exit = True
    stopping.cancel()
    await serving


class Announcement:
    """Tells whoever started this part that it answers: the one line it ever prints."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made = False

    def make(self) -> None:
        """Print the line, the first time."""
        if self._made:
            return
        self._made = True
        sys.stdout.write(f"ready {self._url}\n")
        sys.stdout.flush()
