"""How long a call takes, and how that is told."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import httpx


async def took(call: Callable[[], Awaitable[httpx.Response]]) -> float:
    """Seconds until the answer is there, which must be a good one."""
    began = time.perf_counter()
    (await call()).raise_for_status()
    return time.perf_counter() - began


def tell(what: str, values: Sequence[float], *, unit: str) -> None:
    """Print what was compared, how often, and min, median and max."""
    print(_line(what, values, unit=unit))


def tell_at_most(what: str, values: Sequence[float], aim: float, *, unit: str = "x") -> None:
    """The same, and whether the median is at most the aim."""
    reached = "reached" if statistics.median(values) <= aim else "NOT REACHED"
    print(f"{_line(what, values, unit=unit)} (at most {aim:g}: {reached})")


def tell_at_least(what: str, values: Sequence[float], aim: float, *, unit: str = "x") -> None:
    """The same, and whether the median is at least the aim."""
    reached = "reached" if statistics.median(values) >= aim else "NOT REACHED"
    print(f"{_line(what, values, unit=unit)} (at least {aim:g}: {reached})")


def _line(what: str, values: Sequence[float], *, unit: str) -> str:
    shown = f"min {min(values):.2f}  median {statistics.median(values):.2f}  max {max(values):.2f}"
    return f"{what}, {len(values)} runs: {shown} {unit}"
