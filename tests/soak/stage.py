"""What the soak plays on: the carried network, a gateway, and the relay between them, each started and ended here."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.domain.access import Role
from network import ports
from tests.support.gateway import Gateway, router_settings
from tests.support.keys import KEYED, made_key
from tests.support.network import TEAMS, RunningNetwork, supervised
from tests.support.processes import descendants
from tests.support.relay import Relay, relay

GATEWAY, ROUTER = "gateway", "router"
NETWORK_PARTS = (ROUTER, *TEAMS)

# Who uses the gateway: two who create jobs, one who may stop everybody's, one who watches.
PEOPLE = {"sam": Role.SUBMITTER, "tom": Role.SUBMITTER, "root": Role.ADMIN, "vera": Role.VIEWER}
CREATORS, ADMIN, WATCHER = ("sam", "tom"), "root", "vera"

_LOOPBACK = "127.0.0.1"
_SETTINGS = {
    # Short enough for calls to give up, and streams to count as cut, while something is paused or held.
    "GATEWAY_CALL_TIMEOUT_S": "3",
    "GATEWAY_SILENCE_S": "3",
    "GATEWAY_PING_S": "5",
    # Longer than any Access Point is away: past this the gateway does without the last lines, and says so in its log.
    "GATEWAY_END_MARKER_S": "150",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs, and the keys of those who use the gateway."""

    network: RunningNetwork
    supervisor_pid: int
    relay: Relay
    gateway: Gateway
    keys: dict[str, str]

    @contextmanager
    def process(self, part: str) -> Iterator[int]:
        """A handle of the part's process as it is now, which cannot come to mean another's.

        Raises ProcessLookupError when it has none at the moment.
        """
        pid = self.gateway.pid if part == GATEWAY else int(self.network.listing["pids"][part])
        handle = os.pidfd_open(pid)
        try:
            if part != GATEWAY and pid not in descendants(self.supervisor_pid):
                raise ProcessLookupError(part)
            yield handle
        finally:
            os.close(handle)


@contextmanager
def paused(handle: int) -> Iterator[None]:
    """The process stands still for as long as the block lasts."""
    signal.pidfd_send_signal(handle, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # where somebody ended it meanwhile, nothing stands still
            signal.pidfd_send_signal(handle, signal.SIGCONT)


async def seen_through(call: Callable[[], object]) -> None:
    """Run in a thread what blocks; also when we are cancelled meanwhile, it comes to its end first."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """All of it, for as long as the block lasts."""
    with supervised(folder / "network") as supervisor:
        network = RunningNetwork(folder / "network")
        async with relay(network.router_url) as between:
            port = ports.keep_or_choose(_LOOPBACK, known=None, taken=set())
            to_the_relay = {**router_settings(network), "GATEWAY_ROUTER_URL": between.url}
            settings = {**KEYED, **_SETTINGS, **to_the_relay, "GATEWAY_PORT": str(port)}
            gateway = Gateway(folder / "gateway", **settings)
            try:
                await seen_through(gateway.start)
                yield Stage(
                    network=network,
                    supervisor_pid=supervisor.pid,
                    relay=between,
                    gateway=gateway,
                    keys={who: (await made_key(gateway.data_dir, who, role))[1] for who, role in PEOPLE.items()},
                )
            finally:
                await seen_through(gateway.end)
