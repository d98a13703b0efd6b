"""Do many hold each other up? `python -m benchmarks.crowd --minutes 5`: 24 who write and 24 who read at once, beside the
same reads while nobody writes and one reads. Exit code 1 where anything was refused, or met a database that was locked.

Of the writers half are callers, who create, submit and cancel, and half Access Points, which tell of their jobs.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from benchmarks._asking import Asking, asking
from benchmarks._fan import CLIENTS
from benchmarks._filling import filled
from benchmarks._remembering import Remembering, remembering
from benchmarks._timing import tell_at_most
from benchmarks.crowd._network import Busy

_JOBS = 50_000
_READERS, _CALLERS, _ACCESS_POINTS = 24, 12, 12
_READ_EVERY_S, _WRITE_EVERY_S, _TELL_EVERY_S = 0.5, 1.0, 0.1
_ALONE_MINUTES = 0.5
_REST_S = 60.0
_LOCKED = b"database is locked"
_NEW: Mapping[str, object] = {
    "job_name": "one of many",
    "operation": "REGRESSION",
    "dataset": [],
    "preprocessor": None,
    "params": {},
}
_QUESTIONS = tuple(
    f"/v1/jobs?{urlencode(wanted)}"
    for wanted in (
        {},
        {"job_status": "active"},
        {"job_status": "history", "owner": "ada@globex"},
        {"phase": "error"},
        {"operation": "REGRESSION"},
        {"label": "project=project-05"},
        {"q": "nightly scores"},
        {"name_regex": "obsidian-m[aeiou]th$"},
    )
)


class Crowd:
    """What happened to everybody."""

    def __init__(self, gateway: Remembering, network: Busy) -> None:
        self.reads_ms: list[float] = []
        self.writes = 0
        self.refused: list[str] = []
        self._gateway = gateway
        self._network = network

    async def read(self, readers: int, *, minutes: float) -> Sequence[float]:
        """What each read took, in milliseconds."""
        self.reads_ms = []
        async with asyncio.timeout(60 * minutes + _REST_S), asyncio.TaskGroup() as tasks:
            until = time.monotonic() + 60 * minutes
            for number in range(readers):
                tasks.create_task(self._reader(number, until), name=f"reader {number}")
        return self.reads_ms

    async def read_and_write(self, *, minutes: float) -> Sequence[float]:
        """The same, while others write."""
        writing = [asyncio.create_task(self._caller(), name="caller") for _ in range(_CALLERS)]
        writing += [asyncio.create_task(self._access_point(), name="Access Point") for _ in range(_ACCESS_POINTS)]
        try:
            return await self.read(_READERS, minutes=minutes)
        finally:
            for task in writing:
                task.cancel()
            for ended in await asyncio.gather(*writing, return_exceptions=True):
                if isinstance(ended, Exception):
                    self.refused.append(repr(ended))

    async def _reader(self, number: int, until: float) -> None:
        async with asking(self._gateway.port, pid=self._gateway.pid) as asked:
            await _pause(_READ_EVERY_S)
            while time.monotonic() < until:
                target = asked.anew(_QUESTIONS[number % len(_QUESTIONS)])
                answer = await asked.get(target)
                number += 1
                self._note(target, answer.status, 200)
                self.reads_ms.append(1000 * answer.seconds)
                await _pause(_READ_EVERY_S)

    async def _caller(self) -> None:
        async with asking(self._gateway.port, pid=self._gateway.pid) as asked:
            while True:
                await _pause(_WRITE_EVERY_S)
                job_id = await self._write(asked, "/v1/jobs", {**_NEW, "labels": {"run": uuid4().hex}}, status=201)
                for verb, status in (("submit", 202), ("cancel", 200)):
                    await _pause(_WRITE_EVERY_S)
                    await self._write(asked, f"/v1/jobs/{job_id}/{verb}", {}, status=status)

    async def _write(self, asked: Asking, target: str, body: Mapping[str, object], *, status: int) -> str:
        answer = await asked.post(target, json.dumps(dict(body)).encode())
        self._note(target, answer.status, status)
        self.writes += 1
        return str(json.loads(answer.body).get("id"))

    async def _access_point(self) -> None:
        job_id = str(uuid4())
        await self._network.router_says("running", job_id=job_id)
        while True:
            await self._network.tell(job_id)
            await _pause(_TELL_EVERY_S)

    def _note(self, target: str, status: int, wanted: int) -> None:
        if status != wanted:
            self.refused.append(f"{target}: {status}")


async def _pause(mean_s: float) -> None:
    """Nobody in a crowd keeps step with the others."""
    await asyncio.sleep(random.uniform(0.0, 2 * mean_s))  # noqa: S311  (no secret)


async def main() -> int:
    """Print how it went."""
    arguments = _arguments()
    file = filled(arguments.folder, _JOBS)
    os.sched_setaffinity(0, CLIENTS)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        ours = _anew(Path(shutil.copy(file, folder)))
        async with remembering(ours, network := Busy()) as gateway:
            crowd = Crowd(gateway, network)
            before = await _head(gateway)
            alone = [await crowd.read(1, minutes=_ALONE_MINUTES)]
            together = await crowd.read_and_write(minutes=arguments.minutes)
            events = await _head(gateway) - before
            alone.append(await crowd.read(1, minutes=_ALONE_MINUTES))
            locked = gateway.log.read_bytes().count(_LOCKED)
    print(
        f"{_READERS} readers, {_CALLERS} callers and {_ACCESS_POINTS} Access Points for {arguments.minutes:g} minutes"
    )
    print(f"  {len(together)} lists read, {crowd.writes} calls that change a job, {events} events in the log")
    print(f"  refused: {len(crowd.refused)}; said that the database is locked: {locked}")
    print("\n".join(crowd.refused[:10]))
    slowest = statistics.median(map(_p99, alone))
    print(
        f"  a read, while one reads and nobody writes: p50 {statistics.median(alone[0]):.2f} ms, p99 {slowest:.2f} ms"
    )
    print(f"  a read, amongst all: p50 {statistics.median(together):.2f} ms, p99 {_p99(together):.2f} ms")
    tell_at_most("  p99 amongst all / alone", [_p99(together) / slowest], 3)
    return 1 if locked or crowd.refused else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long all are there")
    parser.add_argument("--folder", type=Path, default=Path(".venv/benchmarks"), help="where the database is kept")
    return parser.parse_args()


def _anew(file: Path) -> Path:
    """The Router has told nothing yet."""
    connection = sqlite3.connect(file)
    connection.execute("DELETE FROM position")
    connection.commit()
    connection.close()
    return file


async def _head(gateway: Remembering) -> int:
    async with asking(gateway.port, pid=gateway.pid) as asked:
        return int(json.loads((await asked.get("/v1/jobs?limit=1")).body)["as_of"])


def _p99(reads_ms: Sequence[float]) -> float:
    return sorted(reads_ms)[len(reads_ms) * 99 // 100]


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
