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
    shown = f"min {min(values):.2f}  median {statistics.median(values):.2f}  max {max(values):.2f}"
    print(f"{what}, {len(values)} runs: {shown} {unit}")
