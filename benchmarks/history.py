"""What does a long history cost? To write it down, and to find jobs in it: a million of them, with ten million events.

The database is made at the first run, which takes a quarter of an hour, and kept in .venv/benchmarks: about 7 GB.
Everything stands beside what it is compared with, in one run and in turn.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import uvloop

from benchmarks import _ingest
from benchmarks._exporting import export_costs
from benchmarks._fan import CLIENTS, memory_kb
from benchmarks._filling import filled
from benchmarks._finding import filter_times, pattern_times
from benchmarks._listing import list_costs, statistics_times
from benchmarks._remembering import remembering
from benchmarks._timing import tell, tell_at_least, tell_at_most

_RUNS = 5
_TOGETHER = (10, 1)


async def main() -> None:
    """Print all of it."""
    arguments = _arguments()
    file = filled(arguments.folder, arguments.jobs)
    os.sched_setaffinity(0, CLIENTS)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        await _written(Path(folder))
    await _started(file)
    async with remembering(file) as gateway:
        await statistics_times(gateway.asking)
        await list_costs(gateway.asking, file, jobs=arguments.jobs)
        await filter_times(gateway.asking, file)
        await pattern_times(gateway.asking, file)
    await export_costs(file, jobs=arguments.jobs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="fewer, to try it")
    parser.add_argument("--folder", type=Path, default=Path(".venv/benchmarks"), help="where the database is kept")
    return parser.parse_args()


async def _written(folder: Path) -> None:
    """What it costs to make events durable, and how long that takes."""
    empty = await _ingest.empty(folder)
    for lines in _TOGETHER:
        course = _ingest.courses(lines)
        _tell_costs(lines, [await _ingest.cost(empty, course) for _ in range(_RUNS)])
    both = [await _ingest.delays(empty, course) for _ in range(_RUNS)]
    print("An event and the state of its job, while nothing else is written")
    tell("  from keep until it is durable and told, p50 of 200", [kept for kept, _ in both], unit="ms")
    tell("  4 KB and fdatasync on the same disk, p50 of 200", [synced for _, synced in both], unit="ms")
    tell_at_most("  durable and told / fdatasync", [kept / synced for kept, synced in both], 3)


def _tell_costs(lines: int, costs: list[_ingest.Cost]) -> None:
    together = statistics.median(one.together for one in costs)
    print(f"CPU for a durable event: {lines} of a job in each keep, {together:.0f} in a transaction, states with them")
    tell("  the writer, from the job as it is known to rows", [one.writer_us for one in costs], unit="us")
    tell("  raw executemany of the very same rows", [one.raw_us for one in costs], unit="us")
    tell("  ORM, add and commit for each event, no state", [one.orm_us for one in costs], unit="us")
    tell("  ORM, the same with the state", [one.orm_with_state_us for one in costs], unit="us")
    tell_at_most("  the writer / raw", [one.writer_us / one.raw_us for one in costs], 2)
    tell_at_least("  ORM, no state / the writer", [one.orm_us / one.writer_us for one in costs], 40)
    tell_at_least("  ORM with the state / the writer", [one.orm_with_state_us / one.writer_us for one in costs], 40)


async def _started(file: Path) -> None:
    """How long a start takes, and how large the process is."""
    seconds, megabytes = [], []
    for _ in range(_RUNS):
        async with remembering(file) as gateway:
            seconds.append(gateway.ready_s)
            megabytes.append(memory_kb(gateway.pid) / 1024)
    print("A gateway on this database, which follows the jobs that are not over")
    tell("  from the command to /readyz", seconds, unit="s")
    tell("  its memory, at rest", megabytes, unit="MB")


if __name__ == "__main__":
    uvloop.run(main())
