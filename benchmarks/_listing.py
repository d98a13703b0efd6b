"""What a page of the list costs the process that answers it: the gateway's, beside the least and the usual."""

import asyncio
import sqlite3
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.domain.ports import JobFilter
from app.store.cursors import cursor_after
from benchmarks._asking import Asking, asking
from benchmarks._fan import SERVERS, child
from benchmarks._timing import tell, tell_at_least, tell_at_most

_RUNS = 5
_ANSWERS, _ORM_ANSWERS, _TIMED = 1_000, 200, 200
_WITHIN_S = 60.0
_DAYS = 366
_NEWEST = "/v1/jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU microseconds for an answer of each sort; medians of the time that the gateway's two take, in ms."""

    newest: float
    newest_anew: float
    unchanged: float
    deep: float
    deep_anew: float
    empty: float
    orm: float
    newest_ms: float
    deep_ms: float


async def list_costs(gateway: Asking, file: Path, *, jobs: int) -> None:
    """Print them."""
    row = jobs * 9 // 10
    deep = f"{_NEWEST}?cursor={_cursor(file, row)}"
    async with _plain(file) as plain:
        costs = [await _cost(gateway, plain, deep) for _ in range(_RUNS)]
    print(f"A page of 50, newest first, over HTTP: CPU of the server for an answer, {_ANSWERS} each in turn")
    tell("  the gateway, newest page, while nothing changes", [one.newest for one in costs], unit="us")
    tell(
        "  the gateway, newest page, each time another limit, so that it is read",
        [one.newest_anew for one in costs],
        unit="us",
    )
    tell("  the gateway, If-None-Match and nothing new", [one.unchanged for one in costs], unit="us")
    tell(f"  the gateway, page after row {row}, by cursor", [one.deep for one in costs], unit="us")
    tell("  FastAPI, empty answer", [one.empty for one in costs], unit="us")
    tell(
        f"  FastAPI, ORM and response_model, the same page, {_ORM_ANSWERS} each", [one.orm for one in costs], unit="us"
    )
    tell_at_most("  newest page / empty answer", [one.newest / one.empty for one in costs], 2)
    tell("  newest page, read / empty answer", [one.newest_anew / one.empty for one in costs], unit="x")
    tell("  ORM / newest page, read", [one.orm / one.newest_anew for one in costs], unit="x")
    tell_at_most("  nothing new / empty answer", [one.unchanged / one.empty for one in costs], 2)
    tell_at_least("  ORM / newest page", [one.orm / one.newest for one in costs], 10)
    tell_at_most(f"  page after row {row} / newest page", [one.deep / one.newest for one in costs], 1.5)
    tell_at_most(
        f"  page after row {row} / newest page, both read", [one.deep_anew / one.newest_anew for one in costs], 1.5
    )
    tell(f"  newest page, read, until it is there, p50 of {_TIMED}", [one.newest_ms for one in costs], unit="ms")
    tell(f"  page after row {row}, the same", [one.deep_ms for one in costs], unit="ms")


async def _cost(gateway: Asking, plain: Asking, deep: str) -> Cost:
    tag = f"If-None-Match: {(await gateway.get(_NEWEST)).header('etag')}"
    return Cost(
        newest=await gateway.cpu_us(_NEWEST, times=_ANSWERS),
        newest_anew=await gateway.cpu_us(_NEWEST, times=_ANSWERS, anew=True),
        empty=await plain.cpu_us("/empty", times=_ANSWERS),
        unchanged=await gateway.cpu_us(_NEWEST, tag, times=_ANSWERS, status=304),
        deep=await gateway.cpu_us(deep, times=_ANSWERS),
        deep_anew=await gateway.cpu_us(deep, times=_ANSWERS, anew=True),
        orm=await plain.cpu_us("/jobs", times=_ORM_ANSWERS),
        newest_ms=await _median_ms(gateway, _NEWEST),
        deep_ms=await _median_ms(gateway, deep),
    )


async def statistics_times(gateway: Asking) -> None:
    """Print how long the statistics take, of another number of days each time."""
    runs = [
        [1000 * (await gateway.get(f"/v1/stats?days={1 + number % _DAYS}")).seconds for number in range(_TIMED)]
        for _ in range(_RUNS)
    ]
    tell_at_most(
        f"GET /v1/stats, p50 of {_TIMED}, each counted anew", [statistics.median(run) for run in runs], 2, unit="ms"
    )


async def _median_ms(gateway: Asking, target: str) -> float:
    return 1000 * statistics.median([(await gateway.get(gateway.anew(target))).seconds for _ in range(_TIMED)])


def _cursor(file: Path, row: int) -> str:
    connection = sqlite3.connect(file)
    ((key,),) = connection.execute("SELECT key FROM job ORDER BY key DESC LIMIT 1 OFFSET ?", (row - 1,)).fetchall()
    connection.close()
    return cursor_after(key, wanted=JobFilter(), of="jobs")


@asynccontextmanager
async def _plain(file: Path) -> AsyncIterator[Asking]:
    """The server that both are asked of."""
    async with child(sys.executable, "-m", "benchmarks._plain", str(file), cores=SERVERS) as process:
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
        async with asyncio.timeout(_WITHIN_S):
            port = int(await process.stdout.readline())
        async with asking(port, pid=process.pid) as asked:
            yield asked
