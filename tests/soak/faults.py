"""What goes wrong: one fault at a time, at random moments, to what this program started and to nothing else."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from tests.soak.stage import GATEWAY, NETWORK_PARTS, ROUTER, Stage, paused, seen_through
from tests.support.relay import BOTH, Way

_PAUSE_S = (1.0, 5.0)
_LASTS_S = (1.0, 8.0)
_DOWN_S = (0.0, 2.0)
_DELAY_S = (0.05, 0.4)
_BACK_WITHIN_S = 60.0
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What was done, and when."""

    what: str
    began: datetime
    ended: datetime

    def __str__(self) -> str:
        return f"{self.began:%H:%M:%S.%f} to {self.ended:%H:%M:%S.%f} {self.what}"


class Faults:
    """Breaks one thing after another, and mends each before the next."""

    def __init__(self, stage: Stage, *, rng: random.Random) -> None:
        self._stage = stage
        self._rng = rng
        self.done: list[Fault] = []

    async def strike(self) -> None:
        """Until cancelled; what is broken then is mended first."""
        kinds: list[Callable[[], Awaitable[str]]] = [
            self._kill_gateway,
            self._kill_part,
            self._pause_one,
            self._pause_one,
            self._drop,
            self._hold,
            self._refuse,
            self._slow_down,
        ]
        while True:
            await asyncio.sleep(self._rng.uniform(*_PAUSE_S))
            began = datetime.now(UTC)
            what = await self._rng.choice(kinds)()
            self.done.append(Fault(what=what, began=began, ended=datetime.now(UTC)))

    async def _kill_gateway(self) -> str:
        down_s = self._rng.uniform(*_DOWN_S)
        gateway = self._stage.gateway
        assert gateway.is_running, f"the gateway ended by itself: {gateway.log[-2000:]}"
        await seen_through(gateway.kill9)
        try:
            await asyncio.sleep(down_s)
        finally:
            await seen_through(gateway.start)
        return f"kill -9 of the gateway, started again after {down_s:.1f} s"

    async def _kill_part(self) -> str:
        part = self._rng.choice(NETWORK_PARTS)
        with self._stage.process(part) as handle:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        began = time.monotonic()
        await self._back(part)
        return f"kill -9 of {part}, back after {time.monotonic() - began:.1f} s"

    async def _pause_one(self) -> str:
        part, lasts_s = self._rng.choice((GATEWAY, *NETWORK_PARTS)), self._lasts_s()
        with self._stage.process(part) as handle, paused(handle):
            await asyncio.sleep(lasts_s)
        return f"SIGSTOP of {part} for {lasts_s:.1f} s"

    async def _drop(self) -> str:
        await self._stage.relay.drop()
        return "every connection to the Router dropped"

    async def _hold(self) -> str:
        ways = self._rng.choice((BOTH, (Way.THERE,), (Way.BACK,)))
        lasts_s = self._lasts_s()
        self._stage.relay.hold(*ways)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            self._stage.relay.let_go()
        return f"held what goes {' and '.join(way.value for way in ways)} for {lasts_s:.1f} s"

    async def _refuse(self) -> str:
        lasts_s = self._lasts_s()
        self._stage.relay.refuse()
        try:
            await self._stage.relay.drop()
            await asyncio.sleep(lasts_s)
        finally:
            await self._stage.relay.admit()
        return f"dropped, and new connections to the Router refused for {lasts_s:.1f} s"

    async def _slow_down(self) -> str:
        lasts_s = self._lasts_s()
        self._stage.relay.delay_s = self._rng.uniform(*_DELAY_S)
        try:
            await asyncio.sleep(lasts_s)
            return f"every piece {self._stage.relay.delay_s:.2f} s late for {lasts_s:.1f} s"
        finally:
            self._stage.relay.delay_s = 0.0

    def _lasts_s(self) -> float:
        return self._rng.uniform(*_LASTS_S)

    async def _back(self, part: str) -> None:
        """Return once the part answers; its supervisor starts it again, later the more often it died."""
        network = self._stage.network
        url = network.router_url if part == ROUTER else network.access_points[part]
        async with asyncio.timeout(_BACK_WITHIN_S), httpx.AsyncClient(trust_env=False, verify=False) as client:
            while not await _answers(client, url):  # noqa: ASYNC110  (no bell rings for it)
                await asyncio.sleep(_LOOK_AGAIN_S)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/ping")).is_success
    except httpx.TransportError:
        return False
