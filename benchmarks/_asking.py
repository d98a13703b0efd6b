"""One kept connection to a server on this machine, and what its answers cost there."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

from benchmarks._fan import cpu_s

_WITHIN_S = 30.0
# More of them than answers are held ready; fifty on the average.
_LEAST, _LIMITS = 1, 99


class Answer(NamedTuple):
    """Its number, its head, its body, and how long it took."""

    status: int
    head: str
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """Empty where it has none."""
        found = re.search(rf"\r\n{name}: ?([^\r]*)", self.head, re.IGNORECASE)
        return found[1] if found else ""


class Asking:
    """Asks one thing at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, pid: int) -> None:
        self._reader = reader
        self._writer = writer
        self._pid = pid
        self._asked = count()

    def anew(self, target: str) -> str:
        """The same question in other words: by a limit, so that it is not answered with what was said to the last."""
        return f"{target}{'&' if '?' in target else '?'}limit={_LEAST + next(self._asked) % _LIMITS}"

    async def get(self, target: str, *headers: str) -> Answer:
        """The answer, whatever it is."""
        return await self._ask("GET", target, headers, b"")

    async def post(self, target: str, body: bytes) -> Answer:
        """The answer to JSON, whatever it is."""
        return await self._ask("POST", target, ("Content-Type: application/json",), body)

    async def cpu_us(self, target: str, *headers: str, times: int, status: int = 200, anew: bool = False) -> float:
        """What one such answer costs the server's process, of so many in a row; `anew`: each found anew."""
        began_s = cpu_s(self._pid)
        for _ in range(times):
            answer = await self.get(self.anew(target) if anew else target, *headers)
            if answer.status != status:
                raise RuntimeError(f"{target} was answered {answer.status}: {answer.body[:200]!r}")
        return 1e6 * (cpu_s(self._pid) - began_s) / times

    async def _ask(self, verb: str, target: str, headers: tuple[str, ...], body: bytes) -> Answer:
        lines = (f"{verb} {target} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers, "", "")
        began = time.perf_counter()
        async with asyncio.timeout(_WITHIN_S):
            self._writer.write("\r\n".join(lines).encode() + body)
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            answer = Answer(int(head.split(" ", 2)[1]), head, b"", 0.0)
            content = await self._reader.readexactly(int(answer.header("content-length") or 0))
        return answer._replace(body=content, seconds=time.perf_counter() - began)


@asynccontextmanager
async def asking(port: int, *, pid: int) -> AsyncIterator[Asking]:
    """For as long as the block lasts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        yield Asking(reader, writer, pid=pid)
    finally:
        writer.close()
