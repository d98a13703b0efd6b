"""What do connections cost that only stay, that stop reading, that close all at once? And those there are at a stop."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks._fan import CLIENTS, Viewers, compiled, memory_kb, watching
from benchmarks._servers import Server, Start, nchan, nchan_is_here, ours
from benchmarks._timing import tell
from benchmarks.streams import event, publish
from tests.support.processes import sockets_of

_RUNS = 5
_IDLE = 10_000
_READING, _STALLED = 50, 20
_LONG_EVENT_BYTES, _LONG_EVENTS, _LONG_RATE = 13_000, 500, 100
_AT_A_STOP = 500
_AT_ONCE, _TIMES = 1_000, 10
_LOOK_EVERY_S = 0.005
_SETTLED_S = 1.0
_FIRST = 10_000


async def main() -> None:
    """Print all four."""
    os.sched_setaffinity(0, CLIENTS)
    with compiled() as tools:
        await _idle(tools)
        await _stalled(tools)
        tell(
            f"SIGTERM with {_AT_A_STOP} streams, until the last has ended",
            [await _stopped(tools) for _ in range(_RUNS)],
            unit="s",
        )
        left = [await _closed(tools) for _ in range(_RUNS)]
        tell(f"{_AT_ONCE} connections closed at once, until the last was noticed", [one for one, _ in left], unit="s")
        tell(f"  memory left by each, {_TIMES} times after {_TIMES} times", [kb for _, kb in left], unit="KB")


async def _idle(tools: Path) -> None:
    each = {"the gateway": [await _memory_each(ours, tools) for _ in range(_RUNS)]}
    if nchan_is_here():
        each["nginx+nchan"] = [await _memory_each(nchan, tools) for _ in range(_RUNS)]
    for name, every in each.items():
        tell(f"Memory of an idle connection of {_IDLE}, {name}", every, unit="KB")
    if nchan_is_here():
        ratios = [one / other for one, other in zip(each["the gateway"], each["nginx+nchan"], strict=True)]
        tell("  the gateway / nginx+nchan", ratios, unit="x")


async def _memory_each(start: Start, tools: Path) -> float:
    async with start(tools) as server:
        before_kb = memory_kb(server.pid)
        async with watching(tools, server.port, server.target, viewers=_IDLE) as viewers:
            await viewers.ready()
            await asyncio.sleep(_SETTLED_S)
            return (memory_kb(server.pid) - before_kb) / _IDLE


async def _stalled(tools: Path) -> None:
    """The same events to the same viewers, once alone and once beside those who read nothing."""
    size_mb = _LONG_EVENT_BYTES * _LONG_EVENTS / 1e6
    control, beside, grown = [], [], []
    for _ in range(_RUNS):
        async with ours(tools) as server, _reading(server, tools) as readers:
            control.append(await _p99_ms(server, readers))
            alone_kb = memory_kb(server.pid)
        async with ours(tools) as server, _reading(server, tools) as readers, _stalling(server, tools):
            beside.append(await _p99_ms(server, readers))
            grown.append((memory_kb(server.pid) - alone_kb) / _STALLED)
    tell(f"p99 of {_READING} viewers, {_LONG_RATE} events/s, {size_mb:.1f} MB each", control, unit="ms")
    tell(f"  the same beside {_STALLED} that stopped reading", beside, unit="ms")
    tell("  ratio", [one / other for one, other in zip(beside, control, strict=True)], unit="x")
    tell("  more memory for each that stopped", grown, unit="KB")


@asynccontextmanager
async def _reading(server: Server, tools: Path) -> AsyncIterator[Viewers]:
    async with watching(tools, server.port, server.target, viewers=_READING) as readers:
        await readers.ready()
        yield readers


@asynccontextmanager
async def _stalling(server: Server, tools: Path) -> AsyncIterator[None]:
    async with watching(tools, server.port, server.target, viewers=_STALLED) as stuck:
        await stuck.ready()
        stuck.stall(_STALLED)
        yield


async def _p99_ms(server: Server, readers: Viewers) -> float:
    await asyncio.sleep(_SETTLED_S)
    readers.begin()
    await publish(
        server, rate=_LONG_RATE, seconds=_LONG_EVENTS // _LONG_RATE, first=_FIRST, more_bytes=_LONG_EVENT_BYTES
    )
    await asyncio.sleep(_SETTLED_S)
    count = await readers.count()
    if count.delivered - count.disorder != _READING * _LONG_EVENTS:
        raise RuntimeError(
            f"{count.delivered} of {_READING * _LONG_EVENTS} events came, {count.disorder} out of order."
        )
    return count.p99_ms


async def _stopped(tools: Path) -> float:
    async with ours(tools) as server, watching(tools, server.port, server.target, viewers=_AT_A_STOP) as viewers:
        await viewers.ready()
        await server.publish([event(_FIRST)])
        await asyncio.sleep(_SETTLED_S)
        os.kill(server.pid, signal.SIGTERM)
        began = time.monotonic()
        while (await viewers.count()).gone < _AT_A_STOP:  # noqa: ASYNC110  (no bell rings for it)
            await asyncio.sleep(_LOOK_EVERY_S)
        return time.monotonic() - began


async def _closed(tools: Path) -> tuple[float, float]:
    """How long the sockets stay open, and how much each connection has left behind once allocators had their share."""
    async with ours(tools) as server:
        usual = sockets_of(server.pid)
        left_kb = []
        for _ in range(2 * _TIMES):
            async with watching(tools, server.port, server.target, viewers=_AT_ONCE) as viewers:
                await viewers.ready()
                await asyncio.sleep(_SETTLED_S)
                began = await viewers.close()
                while sockets_of(server.pid) > usual:  # noqa: ASYNC110  (nor for this)
                    await asyncio.sleep(_LOOK_EVERY_S)
                took_s = time.monotonic() - began
            left_kb.append(memory_kb(server.pid))
        return took_s, (left_kb[-1] - left_kb[_TIMES - 1]) / (_TIMES * _AT_ONCE)


if __name__ == "__main__":
    asyncio.run(main())
