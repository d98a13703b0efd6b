"""What a file of every job costs in memory, and how long it takes."""

import asyncio
import time
from pathlib import Path

from benchmarks._fan import memory_kb
from benchmarks._remembering import remembering
from benchmarks._timing import tell, tell_at_most

_WITHIN_S = 600.0
_LOOK_AGAIN_S = 0.05
_MOST_MB = 50.0
_FORMS = ("ndjson", "csv")


async def export_costs(file: Path, *, jobs: int) -> None:
    """Print by how much the process grows while all jobs leave it, in each form, by a process that has done nothing else."""
    for form in _FORMS:
        async with remembering(file) as gateway:
            before_kb = memory_kb(gateway.pid)
            began = time.perf_counter()
            reading = asyncio.create_task(_lines(gateway.port, form), name="export")
            most_kb = before_kb
            while not reading.done():
                most_kb = max(most_kb, memory_kb(gateway.pid))
                await asyncio.wait([reading], timeout=_LOOK_AGAIN_S)
            seconds = time.perf_counter() - began
        if await reading < jobs:
            raise RuntimeError(f"The {form} is not whole.")
        tell(f"{jobs} jobs as {form}, one file", [seconds], unit="s")
        tell_at_most("  the process grows by", [(most_kb - before_kb) / 1024], _MOST_MB, unit="MB")


async def _lines(port: int, form: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"GET /v1/jobs/export?format={form} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        lines = 0
        async with asyncio.timeout(_WITHIN_S):
            while piece := await reader.read(1 << 16):
                lines += piece.count(b"\n")
        return lines
    finally:
        writer.close()
