"""How long it takes to find jobs by filters and patterns, over HTTP, one question at a time, each answered anew."""

import sqlite3
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlencode

from app.store.regexes import AS_FUNCTION, deadline
from benchmarks._asking import Answer, Asking
from benchmarks._questions import questions
from benchmarks._timing import tell, tell_at_least, tell_at_most

_RUNS = 5
_QUESTIONS, _LONGEST_S = 100, 3.0
_MOST_MS = 20.0
_TIMES = 20
_BUDGET_MS = 1_000.0
_SCANNED_WITHIN_S = 600.0
_SCAN = "SELECT key FROM job WHERE re2(?, job_name, ?) ORDER BY key DESC LIMIT 50"
_RARE = ("obsidian-m[aeiou]th$", "zebra.?fish", "(?i)lighthouse")
_HOSTILE = (
    "(a*)*$",
    "(x+x+)+y",
    "((a|aa)+)+$",
    ".*.*.*.*=.*",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "([a-z0-9-]{1,30}){1,30}!",
    "(?i)(.*k.*s.*){8}!",
    "[^!]*!",
    "(.{0,200}){4}!",
    "((((a{30}){30}){30}){30})",
    r"\pL*\pN*\pL*!",
    "|".join(f"x{number}[0-9]+y" for number in range(45)),
)

Timed = tuple[float, str]


async def filter_times(gateway: Asking, file: Path) -> None:
    """Print what each takes; of those that take too long, which question took longest."""
    asked = questions(file)
    rounds = [await _round(gateway, asked, number) for number in range(_RUNS)]
    print(f"Found by filters, of all values: each {_QUESTIONS} times a run, or as often as {_LONGEST_S:g} s allow")
    above = []
    for name in asked:
        runs = [one[name] for one in rounds]
        longest = [_p99(run) for run in runs]
        times = sum(map(len, runs)) // _RUNS
        p50 = statistics.median(ms for run in runs for ms, _ in run)
        tell_at_most(
            f"  {name}, {times} of {len(asked[name])} questions, p50 {p50:.2f} ms, p99", longest, _MOST_MS, unit="ms"
        )
        if statistics.median(longest) > _MOST_MS:
            above += [f"  {name}: {ms:.0f} ms {target}" for ms, target in _longest(runs)]
    print(
        "Above it, the questions that took longest, by the quickest answer that each had:"
        if above
        else "None is above."
    )
    print("\n".join(above))


async def pattern_times(gateway: Asking, file: Path) -> None:
    """Print how rare names are found, beside a scan, and the longest answer to a pattern that means no good."""
    ratios, found_ms, scanned_ms = [], [], []
    for _ in range(_RUNS):
        found = [await _found_ms(gateway, pattern) for pattern in _RARE]
        scanned = [_scanned_ms(file, pattern) for pattern in _RARE]
        found_ms.append(statistics.median(found))
        scanned_ms.append(statistics.median(scanned))
        ratios.append(statistics.median(there / here for here, there in zip(found, scanned, strict=True)))
    print(f"Rare names by {len(_RARE)} patterns")
    tell(f"  GET name_regex, p50 of {_TIMES} each over HTTP", found_ms, unit="ms")
    tell("  SQL that asks RE2 of each name, without HTTP", scanned_ms, unit="ms")
    tell_at_least("  the scan / the gateway", ratios, 30)
    answers = [(await _asked(gateway, pattern), pattern) for pattern in _HOSTILE for _ in range(_RUNS)]
    refused = {pattern for answer, pattern in answers if answer.status == 422}
    times = [1000 * max(one.seconds for one, of in answers if of == pattern) for pattern in _HOSTILE]
    slowest = max(zip(times, _HOSTILE, strict=True))
    what = f"Patterns that mean no good, {len(_HOSTILE)}, of them {len(refused)} refused, longest answer of each"
    tell(what, times, unit="ms")
    tell_at_most(f"  the longest answer of all, to {slowest[1]}", [slowest[0]], 1.1 * _BUDGET_MS, unit="ms")


async def _round(gateway: Asking, asked: Mapping[str, Sequence[str]], number: int) -> dict[str, list[Timed]]:
    """Each round begins elsewhere: where time runs out, others are asked in the next."""
    begun = {name: len(targets) * number // _RUNS for name, targets in asked.items()}
    return {name: await _times(gateway, [*all_[begun[name] :], *all_[: begun[name]]]) for name, all_ in asked.items()}


async def _times(gateway: Asking, targets: Sequence[str]) -> list[Timed]:
    until, timed = time.monotonic() + _LONGEST_S, list[Timed]()
    for target in islice(cycle(targets), max(_QUESTIONS, len(targets))):
        answer = await gateway.get(gateway.anew(target))
        if answer.status != 200:
            raise RuntimeError(f"{target} was answered {answer.status}: {answer.body[:200]!r}")
        timed.append((1000 * answer.seconds, target))
        if time.monotonic() > until:
            break
    return timed


def _p99(run: Sequence[Timed]) -> float:
    ordered = sorted(ms for ms, _ in run)
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def _longest(runs: Sequence[Sequence[Timed]]) -> list[Timed]:
    """The worst few, by the best that each did."""
    best: dict[str, float] = {}
    for ms, target in (one for run in runs for one in run):
        best[target] = min(ms, best.get(target, ms))
    return sorted(((ms, target) for target, ms in best.items()), reverse=True)[:3]


async def _found_ms(gateway: Asking, pattern: str) -> float:
    return 1000 * statistics.median([(await _asked(gateway, pattern)).seconds for _ in range(_TIMES)])


async def _asked(gateway: Asking, pattern: str) -> Answer:
    return await gateway.get(gateway.anew(f"/v1/jobs?{urlencode({'name_regex': pattern})}"))


def _scanned_ms(file: Path, pattern: str) -> float:
    connection = sqlite3.connect(file)
    connection.create_function(*AS_FUNCTION, deterministic=True)
    began = time.perf_counter()
    connection.execute(_SCAN, (pattern, deadline(_SCANNED_WITHIN_S))).fetchall()
    seconds = time.perf_counter() - began
    connection.close()
    return 1000 * seconds
