"""What does it cost to pass a question on to the Router? With 64 connections that ask without a pause.

Beside the gateway, in turn in one run, ask the same Router: a FastAPI route over a stock httpx client, as it is usually
done, and a FastAPI route that has the answer itself, which is the least that such a server can do.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks._fan import CLIENTS, SERVERS, child, cpu_s
from benchmarks._passing import ANSWER, TARGET
from benchmarks._timing import tell

_RUNS = 5
_CONNECTIONS = 64
_WARM_S = 0.5
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Of one run of one server."""

    per_second: float
    cpu_us: float


class Asker(asyncio.Protocol):
    """A connection that asks again as soon as it is answered."""

    def __init__(self, port: int) -> None:
        self.answers = 0
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = f"GET {TARGET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._came = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a TCP connection
        """Ask."""
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Ask again, where that was the whole of a good answer."""
        self._came += data
        if self._came.endswith(ANSWER):
            if not self._came.startswith(b"HTTP/1.1 200 "):
                self.close()
            self._came = b""
            self.answers += 1
            self._transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        """That is no answer."""
        if not self.failed.done():
            self.failed.set_exception(RuntimeError(f"not an answer: {self._came!r}"))

    def close(self) -> None:
        """Enough."""
        self._transport.abort()


async def main() -> None:
    """Print requests/s, what the gateway's processor had to do for each, and the ratios."""
    os.sched_setaffinity(0, CLIENTS)
    rates: dict[str, list[Rate]] = {}
    async with AsyncExitStack() as open_:
        router = await open_.enter_async_context(_program("router", cores=CLIENTS))
        url = f"http://127.0.0.1:{router.port}"
        servers = {
            "stock httpx": await open_.enter_async_context(_program("stock", url)),
            "no upstream": await open_.enter_async_context(_program("alone")),
            "the gateway": await open_.enter_async_context(_gateway(url)),
        }
        for _ in range(_RUNS):
            for name, server in servers.items():
                rates.setdefault(name, []).append(await _asked(server))
    _compare(rates)


def _compare(rates: dict[str, list[Rate]]) -> None:
    print(f"GET {TARGET} over {_CONNECTIONS} connections, {_SECONDS:.0f} s each in turn")
    for name, every in rates.items():
        tell(f"  {name}", [one.per_second for one in every], unit="requests/s")
        tell(f"  {name}: CPU for each", [one.cpu_us for one in every], unit="us")
    for other in ("stock httpx", "no upstream"):
        pairs = zip(rates["the gateway"], rates[other], strict=True)
        tell(
            f"  requests/s, the gateway / {other}", [one.per_second / than.per_second for one, than in pairs], unit="x"
        )


async def _asked(server: Served) -> Rate:
    askers = [await _asker(server.port) for _ in range(_CONNECTIONS)]
    await _none_fails(askers, _WARM_S)
    answers_before, cpu_before_s, began_s = _answers(askers), cpu_s(server.pid), time.perf_counter()
    await _none_fails(askers, _SECONDS)
    answers, took_s = _answers(askers) - answers_before, time.perf_counter() - began_s
    rate = Rate(per_second=answers / took_s, cpu_us=1e6 * (cpu_s(server.pid) - cpu_before_s) / answers)
    for one in askers:
        one.failed.cancel()
        one.close()
    return rate


async def _asker(port: int) -> Asker:
    _, asker = await asyncio.get_running_loop().create_connection(lambda: Asker(port), "127.0.0.1", port)
    return asker


def _answers(askers: Sequence[Asker]) -> int:
    return sum(one.answers for one in askers)


async def _none_fails(askers: Sequence[Asker], seconds: float) -> None:
    every = [one.failed for one in askers]
    failed, _ = await asyncio.wait(every, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for one in failed:
        one.result()


@asynccontextmanager
async def _program(*which: str, cores: set[int] = SERVERS) -> AsyncIterator[Served]:
    async with child(sys.executable, "-m", "benchmarks._passing", *which, cores=cores) as process:
        yield Served(process.pid, int(await _first_line(process)))


@asynccontextmanager
async def _gateway(router_url: str) -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"GATEWAY_PORT": "0", "GATEWAY_DATA_DIR": folder, "GATEWAY_ROUTER_URL": router_url}
        command, log = (sys.executable, "-m", "app", "serve"), Path(folder) / "log"
        async with child(*command, cores=SERVERS, log=log, GATEWAY_ROUTER_TOKEN="t", **settings) as process:  # noqa: S106  (opens nothing)
            where = (await _first_line(process)).removeprefix("Serving on ")
            yield Served(process.pid, urlsplit(where).port or 0)


async def _first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
    return (await process.stdout.readline()).decode().strip()


if __name__ == "__main__":
    uvloop.run(main())
