"""The two ways between this Access Point and the Router: orders come in, reports go out. Both outlive its absence."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec

from network.access_point import outbox
from network.access_point.orders import Orders
from network.ledger import Ledger

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_IDLE_S = 3600.0
# The Router gives a sign of life every second.
_LIMITS = httpx.Timeout(5.0, read=5.0)
log = logging.getLogger(__name__)


class Link:
    """What goes over the wire to the Router, retried until it has gone."""

    def __init__(self, *, url: str, token: str, ledger: Ledger) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=_LIMITS, trust_env=False)
        self._ledger = ledger

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def deliver(self) -> None:
        """Send reports, oldest first, until the bell is closed."""
        while not self._ledger.bell.closed:
            if await self._send_oldest() is None:
                await self._ledger.bell.heard(within_s=_IDLE_S)

    async def delivered(self, number: int) -> None:
        """Wait until the Router has acknowledged the report."""
        while not self._ledger.bell.closed and outbox.is_waiting(self._ledger, number):
            await self._ledger.bell.heard(within_s=_IDLE_S)

    async def follow(self, orders: Orders, *, in_touch: Callable[[], None]) -> None:
        """Take orders, for ever."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async for told in self._feed(orders):
                    pause_s = _FIRST_PAUSE_S
                    _take(orders, told)
                    in_touch()
            except httpx.HTTPError as exc:
                log.info("orders feed lost", extra={"why": type(exc).__name__})
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _feed(self, orders: Orders) -> AsyncIterator[dict[str, Any]]:
        place: dict[str, str | int] = {"epoch": orders.epoch, "after": orders.after}
        async with self._client.stream("GET", "/internal/orders", params=place) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield msgspec.json.decode(line)

    async def _send_oldest(self) -> int | None:
        found = outbox.oldest(self._ledger)
        if found is None:
            return None
        number, content = found
        pause_s = _FIRST_PAUSE_S
        while not await self._is_taken(content):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        outbox.acknowledged(self._ledger, number)
        return number

    async def _is_taken(self, content: bytes) -> bool:
        try:
            answer = await self._client.post("/internal/reports", content=content)
        except httpx.HTTPError:
            return False
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            # It would be refused for ever and hold up all that come after it.
            log.error("report refused", extra={"bytes": len(content)})
            return True
        return answer.is_success


def _take(orders: Orders, told: dict[str, Any]) -> None:
    if "order" in told:
        orders.take(told["sequence"], told["order"])
    else:
        orders.begin(told["epoch"])
