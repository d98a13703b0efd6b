"""The network we carry, as a child process: it is spoken to over HTTP like any other."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from app.domain.errors import Unreachable

log = logging.getLogger(__name__)

_READY_WITHIN_S = 60
_LEAVES_WITHIN_S = 10
_TEAM = "globex"


class Network(msgspec.Struct):
    """The network's own description of itself, `network.json`."""

    router_url: str
    tokens: dict[str, str]

    @property
    def token(self) -> str:
        """The token of the team this gateway serves."""
        return self.tokens[_TEAM]


@asynccontextmanager
async def carried_network(data_dir: Path) -> AsyncIterator[Network]:
    """Start it, and see it out. It leaves when its standard input closes, so it cannot outlive us.

    It has a session of its own: Ctrl-C in a terminal reaches us alone, and we see it out in our own time.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "network", "--data-dir", str(data_dir), "--stop-with-stdin"),
        env=_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield await _ready(child)
    finally:
        await _see_out(child)


def _environment() -> dict[str, str]:
    """Ours without our settings: they are none of its business, and some are secret."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


async def _ready(child: asyncio.subprocess.Process) -> Network:
    assert child.stdout is not None  # noqa: S101  (a pipe was asked for)
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            line = (await child.stdout.readline()).decode().strip()
    except TimeoutError as error:
        raise Unreachable(f"The carried network was not ready within {_READY_WITHIN_S} s.") from error
    word, _, path = line.partition(" ")
    if word != "ready":
        raise Unreachable("The carried network did not start; its own words stand above.")
    return msgspec.json.decode(await asyncio.to_thread(Path(path).read_bytes), type=Network)


async def _see_out(child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None  # noqa: S101  (a pipe was asked for)
    child.stdin.close()
    try:
        async with asyncio.timeout(_LEAVES_WITHIN_S):
            await child.wait()
    except TimeoutError:
        log.warning("carried network did not leave; ending it")
        child.kill()
        await child.wait()
