"""How a part runs: one HTTP server, until a signal or the end of standard input; then streams end and all is closed."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.applications import Starlette

from network import lifeline, ports

_LAST_CALLS_S = 1


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the part decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `stop_event`."""
        yield


def stop_event(*, with_stdin: bool) -> asyncio.Event:
    """Set by SIGINT and SIGTERM and, if asked, when standard input ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def let_go() -> None:
        # The loop may be gone already; then there is nothing left to stop.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    if with_stdin:
        lifeline.watch(let_go)
    return stop


async def serve(app: Starlette, *, host: str, port: int, stop: asyncio.Event, end_streams: Callable[[], None]) -> None:
    """Serve until `stop`; `end_streams` makes the endless answers end by themselves."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_LAST_CALLS_S, ws="none"
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[ports.bind(host, port)]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    end_streams()
    server.should_exit = True
    stopping.cancel()
    await serving


def announce(url: str) -> None:
    """Tell whoever started this part that it answers: the one line it ever prints."""
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()
