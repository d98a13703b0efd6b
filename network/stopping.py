"""When a process of the network ends: a signal, or the end of its standard input."""

import asyncio
import signal
from contextlib import suppress

from network import lifeline


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
