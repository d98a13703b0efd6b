"""The ways to a Router and its Access Points, of which the settings choose one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

from app.domain.ports import AccessPoints, Router
from app.domain.reports import Me
from app.upstream.access_points import HttpAccessPoints
from app.upstream.breaker import Breaker
from app.upstream.carried import carried_network
from app.upstream.clients import open_clients
from app.upstream.router import HttpRouter
from app.upstream.sdk.calls import Calls
from app.upstream.sdk.numbers import Numbers
from app.upstream.sdk.points import SdkAccessPoints
from app.upstream.sdk.router import SdkRouter
from app.upstream.sdk.sessions import Sessions
from app.upstream.sdk.surface import loaded_opening, loaded_sdk
from app.upstream.sdk.threads import Threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Fulfils both ports."""

    router: Router
    access_points: AccessPoints


@dataclass(frozen=True, slots=True, kw_only=True)
class OverHttp:
    """As docs/router-api.md says. `folder` is where the carried network keeps its files; None: there is a `url`."""

    url: str
    token: str
    folder: Path | None
    call_timeout_s: float
    silence_s: float
    breaker_failures: int
    now: Callable[[], datetime]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Way]:
        """For as long as the block lasts."""
        async with AsyncExitStack() as open_:
            url, token = self.url, self.token
            if self.folder is not None:
                network = await open_.enter_async_context(carried_network(self.folder))
                url, token = network.router_url, network.token
            clients = await open_.enter_async_context(
                open_clients(url, token=token, call_timeout_s=self.call_timeout_s, silence_s=self.silence_s)
            )
            breaker = Breaker(failures=self.breaker_failures, now_s=monotonic)
            yield Way(
                router=HttpRouter.of(calls=clients.calls, streams=clients.changes, breaker=breaker),
                access_points=HttpAccessPoints(clients.access_points, now=self.now),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSdk:
    """As docs/sdk.md says. `module` and `opening` are names to import; `user` of `team` is whose `token` it is."""

    module: str
    opening: str
    token: str
    user: str
    team: str
    call_timeout_s: float
    retrieve_s: float
    every_s: float
    calls: int
    streams: int
    now: Callable[[], datetime]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Way]:
        """Raises FeatureLacking where one of the two cannot be imported."""
        sdk, opening = loaded_sdk(self.module), loaded_opening(self.opening)
        numbers = Numbers()
        sessions = Sessions(
            lambda token: opening.open_session(sdk, token), close=lambda opened: opening.close_session(opened.session)
        )
        calls = Calls(
            sdk=sdk,
            opening=opening,
            sessions=sessions,
            threads=Threads(at_most=self.calls, within_s=self.call_timeout_s),
            streams=Threads(at_most=self.streams, within_s=self.call_timeout_s),
            token=self.token,
        )
        me = Me(user=self.user, team=self.team, role="", epoch=numbers.epoch)
        try:
            yield Way(
                router=SdkRouter(
                    calls, numbers=numbers, me=me, team=self.team, now=self.now, list_within_s=self.retrieve_s
                ),
                access_points=SdkAccessPoints(
                    calls, team=self.team, now=self.now, every_s=self.every_s, retrieve_within_s=self.retrieve_s
                ),
            )
        finally:
            sessions.close()
