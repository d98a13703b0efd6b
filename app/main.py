"""Where the rooms meet."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.api import (
    agreements,
    assets,
    events,
    export,
    health,
    jobs,
    log,
    pages,
    permissions,
    results,
    statistics,
    statuses,
    tickets,
)
from app.api.description.document import Application
from app.api.doors import Admission, Origins
from app.api.middleware import BodyLimit, Requests
from app.api.problems import REPLAYED, handle_problems
from app.api.ready import Ready, ReadyAnswers
from app.api.rooms import Rooms
from app.domain.ports import History, Router
from app.services.agreements import Agreements
from app.services.assets import Assets
from app.services.backoff import Backoff
from app.services.changes import Changes
from app.services.contact import Contact
from app.services.follow import Follower
from app.services.followers import open_followers
from app.services.gatekeeper import Gatekeeper
from app.services.hub import Hub
from app.services.jobs import Jobs
from app.services.observe import Observer
from app.services.once import Once
from app.services.permissions import Permissions
from app.services.polling import Polling
from app.services.prune import Pruner
from app.services.reconcile import Reconciler
from app.services.record import Record
from app.services.refresh import Refresher
from app.services.results import Results
from app.services.streams import Streams
from app.settings import Settings
from app.store.memory import open_memory
from app.upstream.ways import OverHttp, OverSdk


def create_app(settings: Settings, *, hub: Hub | None = None) -> FastAPI:
    """The gateway. `hub` may be kept by whoever serves it, to send the viewers home before the server stops."""
    listeners = hub or Hub()
    ready = ReadyAnswers()
    listeners.also_note(ready.changed)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # takes long, and the first request needs it
        async with open_rooms(settings, hub=listeners) as rooms:
            app.state.rooms = rooms
            yield

    app = Application(
        title="tripleblind-gateway",
        version="0.1.0",
        summary=_SUMMARY,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a path names one thing, and a redirect would repeat the query
    )
    for room in (
        export,
        jobs,
        log,
        statuses,
        statistics,
        results,
        events,
        tickets,
        permissions,
        agreements,
        assets,
        health,
        pages,
    ):
        app.router.routes += room.router.routes
    handle_problems(app)
    app.add_middleware(Ready, answers=ready)
    app.add_middleware(BodyLimit, body_limit=settings.body_limit, upload_limit=settings.upload_limit)
    app.add_middleware(Admission, by_key=settings.auth == "key", cross_site=bool(settings.cors_origins))
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        )
    app.add_middleware(Origins, allowed=settings.cors_origins, loopback_only=settings.auth == "none")
    app.add_middleware(Requests)
    return app


_EXPOSED = (
    *("Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"),
    *("ETag", "Accept-Ranges", "Content-Range", "Link", "X-Records", "X-Next-Offset"),
    REPLAYED,
)


# There is one Router and one reader of its changes: trying it often is cheap, and everybody waits for it.
_SLOWEST_REDIAL_S = 2.0
_ASKED_AT_ONCE = 16
_SUMMARY = "REST and Server-Sent Events in front of a Router that coordinates jobs amongst Access Points"
_DESCRIPTION = """One job history for an organisation, and one stream of each job for any number of viewers.

Every error is a problem document (RFC 9457) whose `code` says which. Unknown fields and query parameters are refused.
Times are ISO 8601 in UTC, ids are UUIDs, and an asset may also be named `team/name` in bodies and queries.
"""


@asynccontextmanager
async def open_rooms(settings: Settings, *, hub: Hub) -> AsyncIterator[Rooms]:
    """Everything that runs while the gateway does; shut in the opposite order."""
    async with AsyncExitStack() as open_:
        way = await open_.enter_async_context(_way(settings).open())
        router, access_points = way.router, way.access_points
        memory = await open_.enter_async_context(
            open_memory(settings.database, tell=hub.tell, now=_now, synchronous=settings.synchronous)
        )
        history = memory.history
        contact = Contact(router, now=_now)
        record = Record(memory.actions)
        observer = Observer(
            history,
            actions=memory.actions,
            contact=contact,
            now=_now,
            lost_after=timedelta(seconds=settings.lost_after_s),
        )
        backoff = Backoff(tries=settings.redial_tries, first_s=settings.redial_first_s, factor=settings.redial_factor)

        asking = asyncio.Semaphore(_ASKED_AT_ONCE)

        def follower(job_id: UUID) -> Follower:
            return Follower(
                job_id,
                observer=observer,
                router=router,
                access_points=access_points,
                backoff=backoff,
                end_within_s=settings.end_marker_s,
                asking=asking,
            )

        followers = await open_.enter_async_context(open_followers(history, follower=follower))
        hub.also_tell(followers.notice)
        await followers.resume()
        for listening in _listening(settings, router, history=history, observer=observer, contact=contact):
            open_.push_async_callback(_ended, asyncio.create_task(listening, name="changes"))
        reconciler = Reconciler(
            router, history=history, observer=observer, contact=contact, every_s=settings.reconcile_s
        )
        open_.push_async_callback(_ended, asyncio.create_task(reconciler.run(), name="reconcile"))
        if settings.keep_days is not None:
            pruner = Pruner(memory.retention, keep=timedelta(days=settings.keep_days), now=_now)
            open_.push_async_callback(_ended, asyncio.create_task(pruner.run(), name="prune"))
        gatekeeper = Gatekeeper(memory.keys, memory.passes, now=_now, refusal_pause_s=settings.refusal_pause_s)
        if settings.auth == "key":
            await gatekeeper.warn_if_locked()
        open_.push_async_callback(_ended, asyncio.create_task(gatekeeper.watch(), name="keys"))
        streams = Streams(
            history,
            newest=await history.head(),
            ping_s=settings.ping_s,
            stall_s=settings.stall_s,
            at_most=settings.streams_at_most,
            each=settings.streams_each,
        )
        hub.also_tell(streams.notice)
        hub.also_close(streams.close)
        open_.push_async_callback(_ended, asyncio.create_task(streams.ping(), name="pings"))
        open_.callback(hub.close)
        job_service = Jobs(
            router,
            history=history,
            record=record,
            observer=observer,
            hub=hub,
            contact=contact,
            confirm_within_s=settings.confirm_s,
        )
        yield Rooms(
            jobs=job_service,
            once=Once(memory.attempts),
            refresher=Refresher(router, history=history, observer=observer, now=_now, now_s=monotonic),
            results=Results(job_service, router=router, access_points=access_points),
            permissions=Permissions(router, record=record),
            agreements=Agreements(router, record=record),
            assets=Assets(router, access_points=access_points, record=record),
            streams=streams,
            history=history,
            storage=memory.storage,
            actions=memory.actions,
            gatekeeper=gatekeeper,
            contact=contact,
            upload_limit=settings.upload_limit,
        )


def _way(settings: Settings) -> OverHttp | OverSdk:
    if settings.router == "sdk":
        return OverSdk(
            module=settings.sdk_module,
            opening=settings.sdk_opening,
            token=settings.token,
            user=settings.sdk_user or "",
            team=settings.sdk_team or "",
            call_timeout_s=settings.call_timeout_s,
            retrieve_s=settings.retrieve_s,
            every_s=settings.poll_s,
            calls=settings.sdk_calls,
            streams=settings.sdk_streams,
            now=_now,
        )
    return OverHttp(
        url=settings.router_url or "",
        token=settings.token,
        folder=settings.data_dir / "network" if settings.carries_network else None,
        call_timeout_s=settings.call_timeout_s,
        silence_s=settings.silence_s,
        breaker_failures=settings.breaker_failures,
        now=_now,
    )


def _listening(
    settings: Settings, router: Router, *, history: History, observer: Observer, contact: Contact
) -> Sequence[Coroutine[None, None, None]]:
    """To the Router's changes, or where it tells of none, looking for them."""
    backoff = Backoff(first_s=settings.redial_first_s, slowest_s=_SLOWEST_REDIAL_S)
    if router.feed is not None:
        return [Changes(router.feed, history=history, observer=observer, contact=contact, backoff=backoff).run()]
    assert router.listing is not None  # noqa: S101  (it has the one or the other)
    polling = Polling(
        router,
        router.listing,
        history=history,
        observer=observer,
        contact=contact,
        backoff=backoff,
        every_s=settings.poll_s,
    )
    return [polling.run(), polling.meet_all()]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _now() -> datetime:
    return datetime.now(UTC)
