"""How fast do a hundred clients get what has happened? From memory, and from the database.

They ask for all events from the first on. The gateway has them in memory while somebody watches, and else in the
database: both are measured, beside nginx with nchan, which has them in memory, and the usual way in Python.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks._fan import CLIENTS, compiled, watching
from benchmarks._servers import Server, Start, nchan, nchan_is_here, ours, usual
from benchmarks._timing import tell
from benchmarks.streams import event

_RUNS = 5
_EVENTS = 10_000
_CLIENTS = 100
_FEW = 10  # of the usual way, which takes minutes for all
_FIRST = 10_000
_AT_A_TIME = 100


async def main() -> None:
    """Print how many events reach the clients in a second, and how that compares."""
    os.sched_setaffinity(0, CLIENTS)
    print(f"{_EVENTS} events to {_CLIENTS} clients that ask for all of them ({_FEW} of the usual way)")
    rates: dict[str, list[float]] = {}
    with compiled() as tools:
        for _ in range(_RUNS):
            for name, rate in await _in_turn(tools):
                rates.setdefault(name, []).append(rate)
    for name, every in rates.items():
        tell(f"  {name}", every, unit="events/s")
    for ours_ in ("the gateway, from memory", "the gateway, from the database"):
        for name in rates.keys() & {"nginx+nchan", "the usual way"}:
            ratios = [one / other for one, other in zip(rates[ours_], rates[name], strict=True)]
            tell(f"  {ours_} / {name}", ratios, unit="x")


async def _in_turn(tools: Path) -> list[tuple[str, float]]:
    measured = []
    async with _filled(ours, tools) as server:
        measured.append(("the gateway, from the database", await _rate(server, tools, clients=_CLIENTS)))
    async with _filled(ours, tools) as server, watching(tools, server.port, server.target, viewers=1) as kept:
        await kept.reached(_EVENTS)
        measured.append(("the gateway, from memory", await _rate(server, tools, clients=_CLIENTS)))
    if nchan_is_here():
        async with _filled(nchan, tools) as server:
            measured.append(("nginx+nchan", await _rate(server, tools, clients=_CLIENTS)))
    async with _filled(usual, tools) as server:
        measured.append(("the usual way", await _rate(server, tools, clients=_FEW)))
    return measured


@asynccontextmanager
async def _filled(start: Start, tools: Path) -> AsyncIterator[Server]:
    """A server that has been told all; nobody watches it any more."""
    async with start(tools) as server, watching(tools, server.port, server.target, viewers=1) as first:
        await first.ready()
        for number in range(_FIRST, _FIRST + _EVENTS, _AT_A_TIME):
            await server.publish([event(one) for one in range(number, number + _AT_A_TIME)])
        await first.reached(_EVENTS)
        await first.close()
        yield server


async def _rate(server: Server, tools: Path, *, clients: int) -> float:
    """Events a second, from the first connect to the last event at the last client; each must have all in order."""
    async with watching(tools, server.port, server.target, viewers=clients) as viewers:
        seconds = await viewers.reached(_EVENTS * clients)
        count = await viewers.count()
        if count.disorder:
            raise RuntimeError(f"{count.disorder} events were not the next.")
    return _EVENTS * clients / seconds


if __name__ == "__main__":
    asyncio.run(main())
