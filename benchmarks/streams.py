"""What does an event cost that a thousand watch? And how soon is it there.

Four servers tell the same events to the same viewers in turn: send() in C, which is the least there can be; nginx with
nchan; the usual way in Python; and the gateway, where each event goes from the Access Point through the log.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks._fan import CLIENTS, Count, compiled, cpu_s, memory_kb, watching
from benchmarks._servers import Server, Start, nchan, nchan_is_here, ours, send_loop, usual
from benchmarks._timing import tell

_RUNS = 5
_VIEWERS = 1000
_LATE_S = 0.5  # an event that comes later than this after the last one was told counts as not delivered
_STARTS: dict[str, Start] = {
    "send() in C": send_loop,
    "nginx+nchan": nchan,
    "the usual way": usual,
    "the gateway": ours,
}
_BEHIND = 10_000  # numbers begin here, so that all events are equally long


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one run of one server."""

    cpu_us: float
    per_second: float
    share: float
    p50_ms: float
    p99_ms: float
    connection_kb: float


async def main() -> None:
    """Print both rates, and the delay of a few viewers."""
    os.sched_setaffinity(0, CLIENTS)
    with compiled() as tools:
        for rate, seconds in ((20, 6), (500, 4)):
            print(f"{rate} events/s to {_VIEWERS} viewers, for {seconds} s")
            _compare(await _in_turn(tools, rate=rate, seconds=seconds))
        delays = [await _paced(ours, tools, viewers=10, rate=100, seconds=4) for _ in range(_RUNS)]
        tell("An Access Point's line at 10 viewers, at 100 lines/s, p50", [one.p50_ms for one in delays], unit="ms")
        tell("the same, p99", [one.p99_ms for one in delays], unit="ms")


async def _in_turn(tools: Path, *, rate: int, seconds: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in _STARTS}
    for _ in range(_RUNS):
        for name, start in _STARTS.items():
            if start is not nchan or nchan_is_here():
                costs[name].append(await _paced(start, tools, viewers=_VIEWERS, rate=rate, seconds=seconds))
    return {name: every for name, every in costs.items() if every}


def _compare(costs: dict[str, list[Cost]]) -> None:
    for name, every in costs.items():
        tell(f"  {name}: CPU per delivered event", [one.cpu_us for one in every], unit="us")
        tell(f"  {name}: delivered in order", [one.per_second for one in every], unit="events/s")
        tell(f"  {name}: share of what was offered", [100 * one.share for one in every], unit="%")
        tell(f"  {name}: p50", [one.p50_ms for one in every], unit="ms")
        tell(f"  {name}: p99", [one.p99_ms for one in every], unit="ms")
        tell(f"  {name}: memory per connection", [one.connection_kb for one in every], unit="KB")
    gateway = costs.pop("the gateway")
    for name, every in costs.items():
        pairs = list(zip(gateway, every, strict=True))
        tell(f"  CPU per event, the gateway / {name}", [one.cpu_us / other.cpu_us for one, other in pairs], unit="x")
        tell(
            f"  delivered, the gateway / {name}",
            [one.per_second / max(other.per_second, 1) for one, other in pairs],
            unit="x",
        )


async def _paced(start: Start, tools: Path, *, viewers: int, rate: int, seconds: int) -> Cost:
    async with start(tools) as server:
        before_kb = memory_kb(server.pid)
        async with watching(tools, server.port, server.target, viewers=viewers) as watchers:
            await watchers.ready()
            connection_kb = (memory_kb(server.pid) - before_kb) / viewers
            await publish(server, rate=rate, seconds=1, first=_BEHIND)  # everything has been used once
            await asyncio.sleep(_LATE_S)
            watchers.begin()
            began_s = cpu_s(server.pid)
            await publish(server, rate=rate, seconds=seconds, first=_BEHIND + rate)
            await asyncio.sleep(_LATE_S)
            count, spent_s = await watchers.count(), cpu_s(server.pid) - began_s
            return _cost(count, spent_s, offered=viewers * rate * seconds, seconds=seconds, connection_kb=connection_kb)


def _cost(count: Count, spent_s: float, *, offered: int, seconds: int, connection_kb: float) -> Cost:
    in_order = count.delivered - count.disorder
    return Cost(
        cpu_us=1e6 * spent_s / max(in_order, 1),
        per_second=in_order / seconds,
        share=in_order / offered,
        p50_ms=count.p50_ms,
        p99_ms=count.p99_ms,
        connection_kb=connection_kb,
    )


async def publish(server: Server, *, rate: int, seconds: int, first: int, more_bytes: int = 0) -> None:
    """Each when it is due; a server that cannot take them so fast is told what there is time for."""
    began, told, total = time.monotonic(), 0, rate * seconds
    while told < total and time.monotonic() < began + seconds:
        await server.publish([event(first + told, more_bytes=more_bytes)])
        told += 1
        await asyncio.sleep(max(0.0, began + told / rate - time.monotonic()))


def event(number: int, *, more_bytes: int = 0) -> bytes:
    """A message as an Access Point sends them, with its number, and the moment at which it was made."""
    told = {"n": number, "t": time.monotonic_ns(), "__type": "EpochMetrics", "party": "mercy", "epoch": number}
    metrics = {"loss": 0.10767, "accuracy": 0.96703}
    return json.dumps(told | {"metrics": metrics, **({"more": "x" * more_bytes} if more_bytes else {})}).encode()


if __name__ == "__main__":
    asyncio.run(main())
