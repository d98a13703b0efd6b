"""Many viewers of one stream, and the processors that they and the server run on."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).parent / "fan"
_READY_WITHIN_S = 120.0
_TICK_HZ = os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024
_CORES = sorted(os.sched_getaffinity(0))

# What is measured has a processor of its own, where there are two.
SERVERS = {_CORES[0]}
CLIENTS = set(_CORES[1:2]) or SERVERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What came to all viewers since they began to count; `disorder` has how often a number was not the next."""

    delivered: int
    disorder: int
    bytes: int
    p50_ms: float
    p99_ms: float
    gone: int


class Viewers:
    """A process that holds the connections."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> None:
        """Return once each has the head of its answer."""
        await self._said("ready")

    def begin(self) -> None:
        """Count from here."""
        self._order("count")

    async def count(self) -> Count:
        """What came."""
        self._order("report")
        return Count(**json.loads("{" + await self._said("{")))

    async def reached(self, events: int) -> float:
        """Seconds from the first connect until so many events had come."""
        self._order(f"await {events}")
        return int(await self._said("reached ")) / 1e9

    def stall(self, viewers: int) -> None:
        """Let so many stop reading."""
        self._order(f"stall {viewers}")

    async def close(self) -> float:
        """Close all connections at once; when, by the monotonic clock."""
        self._order("close")
        return int(await self._said("closed ")) / 1e9

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101  (a pipe was asked for)
        self._process.stdin.write(line.encode() + b"\n")

    async def _said(self, word: str) -> str:
        """What follows the word, once it is said."""
        assert self._process.stdout is not None  # noqa: S101  (a pipe was asked for)
        async with asyncio.timeout(_READY_WITHIN_S):
            async for line in self._process.stdout:
                if line.startswith(word.encode()):
                    return line.decode().removeprefix(word)
        raise RuntimeError("The viewers were not let in, or the server was gone.")


@asynccontextmanager
async def watching(tools: Path, port: int, target: str, *, viewers: int) -> AsyncIterator[Viewers]:
    """So many, for as long as the block lasts."""
    command = (str(tools / "viewers"), str(port), str(viewers), target)
    async with child(*command, cores=CLIENTS) as process:
        yield Viewers(process)


@asynccontextmanager
async def child(
    *command: str, cores: set[int], log: Path | None = None, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program on these processors; it is ended with the block."""
    errors = None if log is None else log.open("wb")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **environment},
    )
    os.sched_setaffinity(process.pid, cores)
    try:
        yield process
    finally:
        if errors is not None:
            errors.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextmanager
def compiled() -> Iterator[Path]:
    """The folder with the programs in C, made anew."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("The viewers are a program in C: this benchmark needs a compiler (Debian: gcc, libc6-dev).")
    with tempfile.TemporaryDirectory() as folder:
        for source in _SOURCES.glob("*.c"):
            subprocess.run([compiler, "-O2", "-o", f"{folder}/{source.stem}", source], check=True)
        yield Path(folder)


def cpu_s(pid: int) -> float:
    """What the process has had so far, for itself and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK_HZ


def memory_kb(pid: int) -> float:
    """What it holds of memory that is there."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KB
