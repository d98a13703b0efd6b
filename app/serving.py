"""The server around the application: it sends the viewers home before it stops."""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.staying import staying
from app.domain.errors import GatewayError
from app.http11 import Http11
from app.main import create_app
from app.services.hub import Hub
from app.settings import Settings
from app.store.lock import alone
from app.store.schema import migrate_alone

_GRACE_S = 10
_KEEP_ALIVE_S = 75
_RUBBISH_AFTER = (10_000, 20, 20)

Started = Callable[[str], None]


class Server(uvicorn.Server):
    """uvicorn tells neither streams nor the application that it is about to stop; this one ends the streams first."""

    def __init__(self, config: uvicorn.Config, *, hub: Hub, started: Started) -> None:
        super().__init__(config)
        self._hub = hub
        self._tell_started = started
        self._stopped = asyncio.Event()

    async def stopped(self) -> None:
        """Return once the server has been told to stop and the streams are ended."""
        await self._stopped.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the server in good order, and that is the end of them: the exit code is 0."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where we serve, once we do. Raises NotServing."""
        try:
            await super().startup(sockets)
        except SystemExit as refused:  # uvicorn's way to say that it cannot begin, or cannot have the address
            if self.lifespan.should_exit:
                raise NotServing("The gateway did not start.") from refused
            raise NotServing(f"The gateway cannot listen on {self.config.host}:{self.config.port}.") from refused
        if self.started and not self.should_exit:
            _keep_what_there_is()
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._tell_started(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the connections."""
        self._hub.close()
        self._stopped.set()
        await super().shutdown(sockets)


class NotServing(Exception):
    """The server could not begin; why was said already."""


def server_of(settings: Settings, *, started: Started) -> Server:
    """A server that has not begun; `started` is told the address once it has. Raises StoreAway for no database of ours."""
    with alone(settings.database):  # said before anything else is begun
        migrate_alone(settings.database)
    _take_descriptors()
    hub = Hub()
    config = uvicorn.Config(
        _plain_about_failure(staying(create_app(settings, hub=hub))),
        http=Http11,
        ws="none",  # an offer to go on as a WebSocket is ignored: there is none, and it would pass by the doors
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return Server(config, hub=hub, started=started)


def _keep_what_there_is() -> None:
    """What a start has made stays as long as the process; to look through it for rubbish costs a tenth of each request.

    So does looking every 700 objects, which are not even one request of each of 64 who ask at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_RUBBISH_AFTER)


def _take_descriptors() -> None:
    """Each connection needs one, and what a process has at first is meant for programs that have few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where the system gives less than it says, what there is has to do
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _plain_about_failure(app: ASGIApp) -> ASGIApp:
    """A start that fails for a reason we foresaw is told as its sentence, without the traceback."""

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            last = message.get("message", "").rstrip().rpartition("\n")[2]
            if message["type"] == "lifespan.startup.failed" and last.startswith(_OUR_ERRORS):
                message = {**message, "message": last.partition(": ")[2]}
            await send(message)

        await app(scope, receive, told if scope["type"] == "lifespan" else send)

    return plain


_OUR_ERRORS = f"{GatewayError.__module__}."
