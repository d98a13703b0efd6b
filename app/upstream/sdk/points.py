"""What Access Points tell and keep, through the SDK: status streams, and the bytes of what jobs have made."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from hashlib import sha256
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import msgspec

from app.domain.errors import AssetNotKnown, FeatureLacking, JobNotKnown, NotAcceptable, Unreachable
from app.domain.jobs import Mark
from app.domain.network import Asset, Stored, Uploaded
from app.domain.ports import Content, Wanted
from app.domain.reports import EndLine, MessageLine, Status, StatusLine, StreamAddress, StreamLine
from app.upstream.sdk.calls import Calls
from app.upstream.sdk.seen import message_text, status_of
from app.upstream.sdk.surface import Opened

log = logging.getLogger(__name__)

_QUEUED = 100
_PIECE_BYTES = 1 << 16
_FILES = {"text/csv": "result.csv", "application/octet-stream": "result"}


class Place:
    """How far a stream has been heard, as a mark can hold it: so many messages, by the first of them, and the last status.

    A stream that begins with the same message as before is told from its beginning, one that does not goes on.
    """

    def __init__(self, after: Mark | None) -> None:
        self._first, _, self._status = after.epoch.partition(".") if after is not None else ("", "", "")
        self._heard = after.sequence if after is not None else 0
        self._to_skip = 0
        self._is_begun = False

    def message(self, text: str) -> Mark | None:
        """The mark of a message. None: it was heard before."""
        if not self._is_begun:
            self._is_begun = True
            first = _digest(text)
            if not self._first or not self._heard:
                self._first, self._heard = first, 0
            elif first == self._first:
                self._to_skip = self._heard
        if self._to_skip:
            self._to_skip -= 1
            return None
        self._heard += 1
        return self._mark()

    def status(self, status: Status) -> Mark | None:
        """The mark of a status. None: it was heard before."""
        digest = _digest(msgspec.json.encode(status).decode())
        if digest == self._status:
            return None
        self._status = digest
        return self._mark()

    def end(self) -> Mark:
        """The mark of the end."""
        return Mark(epoch=f"{self._first}.{self._status}.end", sequence=self._heard)

    def _mark(self) -> Mark:
        return Mark(epoch=f"{self._first}.{self._status}", sequence=self._heard)


class SdkAccessPoints:
    """Fulfils the port AccessPoints. Messages come from the job's stream, statuses from looking every so often."""

    def __init__(
        self, calls: Calls, *, team: str, now: Callable[[], datetime], every_s: float, retrieve_within_s: float
    ) -> None:
        self._calls = calls
        self._team = team
        self._now = now
        self._every_s = every_s
        self._retrieve_within_s = retrieve_within_s

    @asynccontextmanager
    async def lines(
        self, job_id: UUID, address: StreamAddress, *, after: Mark | None
    ) -> AsyncIterator[AsyncIterator[Sequence[StreamLine]]]:
        del address  # the SDK knows the job by its id
        reading = _Reading(self._calls, job_id, team=self._team)
        reader = asyncio.create_task(reading.run(), name=f"sdk stream {job_id}")
        try:
            yield self._told(job_id, reading, reader, Place(after))
        finally:
            reading.leave()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _told(
        self, job_id: UUID, reading: "_Reading", reader: asyncio.Task[None], place: Place
    ) -> AsyncIterator[Sequence[StreamLine]]:
        loop = asyncio.get_running_loop()
        next_look_s = loop.time()
        while True:
            is_over = reader.done()
            status: list[StreamLine] | None = []
            if is_over or loop.time() >= next_look_s:
                status = await self._status(job_id, place, is_last=is_over)
                next_look_s = loop.time() + self._every_s
            # The messages that came meanwhile first: the status that calls it over must not come before them.
            lines = [*self._messages(reading, place), *(status or ())]
            if lines or status is not None:
                yield lines
            if is_over:
                reader.result()  # raises what ended it
                yield [EndLine(mark=place.end(), when=self._now())]
                return
            await reading.news(reader, within_s=max(0.0, next_look_s - loop.time()))

    def _messages(self, reading: "_Reading", place: Place) -> Iterator[StreamLine]:
        for text in reading.taken():
            mark = place.message(text)
            if mark is not None:
                yield MessageLine(mark=mark, when=self._now(), text=text)

    async def _status(self, job_id: UUID, place: Place, *, is_last: bool) -> list[StreamLine] | None:
        """The newest, if it is new. None: it could not be asked for, which is borne until the stream itself breaks off."""

        def look(opened: Opened) -> list[Status]:
            found = self._calls.sdk.status_list(session=opened.session, job_id=str(job_id))
            return [status_of(one, opening=self._calls.opening) for one in found or ()]

        try:
            seen = await self._calls.read(look)
        except Unreachable:
            if is_last:
                raise
            return None
        found = sorted(seen, key=lambda status: status.when)[-1:]
        return [
            StatusLine(mark=mark, when=status.when, status=status)
            for status in found
            if (mark := place.status(status)) is not None
        ]

    @asynccontextmanager
    async def content(self, asset: Stored, wanted: Wanted) -> AsyncIterator[Content]:
        """All of it, in a file that is gone afterwards; the reference documents no other way, and no part."""
        if wanted.offset is not None or wanted.limit is not None:
            raise FeatureLacking("Rows cannot be chosen here: the SDK fetches a result as a whole.", field="offset")
        if wanted.media_type not in _FILES:
            raise NotAcceptable(
                f"The SDK saves a {asset.kind} as {' or '.join(_FILES)}, and not as {wanted.media_type}."
            )
        with TemporaryDirectory() as folder:
            file = Path(folder) / _FILES[wanted.media_type]
            await self._retrieve(asset, file)
            yield Content(media_type=wanted.media_type, length=file.stat().st_size, pieces=_pieces(file))

    async def upload(self, asset: Asset, *, media_type: str, pieces: AsyncIterator[bytes]) -> Uploaded:
        """Never asked for: there is no catalogue here that an asset could be announced in."""
        del asset, media_type, pieces
        raise FeatureLacking("The reference of the SDK documents no way to keep a table.")

    async def _retrieve(self, asset: Stored, file: Path) -> None:
        def save(opened: Opened) -> None:
            found = self._calls.opening.asset(self._calls.sdk, opened.session, str(asset.id))
            if found is None:
                raise AssetNotKnown(f"There is no asset {asset.id}.")
            found.retrieve(save_as=str(file))

        await self._calls.stream(save, within_s=self._retrieve_within_s)


class _Reading:
    """One status stream in a thread: what it says is handed over, and it waits while too much of that lies there."""

    def __init__(self, calls: Calls, job_id: UUID, *, team: str) -> None:
        self._calls = calls
        self._job_id = job_id
        self._team = team
        self._loop = asyncio.get_running_loop()
        self._texts: list[str] = []
        self._bell = asyncio.Event()
        self._room = asyncio.Semaphore(_QUEUED)
        self._left = False

    async def run(self) -> None:
        """Read it to its end. Raises Unreachable where it breaks off."""
        await self._calls.stream(self._read, within_s=inf)

    def taken(self) -> list[str]:
        """What has come since it was asked last."""
        texts, self._texts = self._texts, []
        self._bell.clear()
        for _ in texts:
            self._room.release()
        return texts

    async def news(self, reader: asyncio.Task[None], *, within_s: float) -> None:
        """Wait until something has come, or it is over."""
        reader.add_done_callback(self._ring)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._bell.wait()
        reader.remove_done_callback(self._ring)

    def leave(self) -> None:
        """Nobody listens any more: the thread ends with the next message."""
        self._left = True
        self._room.release()

    def _ring(self, _: object) -> None:
        self._bell.set()

    # In a thread

    def _read(self, opened: Opened) -> None:
        sdk, session = self._calls.sdk, opened.session
        job = sdk.Job.find(job_id=str(self._job_id), session=session)
        if job is None:
            raise JobNotKnown("The Router knows no such job any more.")
        if self._calls.opening.owner(job).team == self._team:
            self._hand_over(job.get_status_stream(session=session).status())
        else:
            remote = sdk.RemoteStatusOutputStream(str(self._job_id), session=session)
            self._hand_over(_if_shared(remote.remote_status()))

    def _hand_over(self, messages: Iterable[object]) -> None:
        for message in messages:
            asyncio.run_coroutine_threadsafe(self._room.acquire(), self._loop).result()
            if self._left:
                return
            self._loop.call_soon_threadsafe(self._put, message_text(message))

    def _put(self, text: str) -> None:
        self._texts.append(text)
        self._bell.set()


def _if_shared(messages: Iterable[object]) -> Iterator[object]:
    """What another team's job says. One that cannot even be begun is not shared with us: the SDK tells no reason."""
    told = iter(messages)
    try:
        first = next(told)
    except StopIteration:
        return
    except Exception as error:  # noqa: BLE001  (whatever the SDK raises)
        log.info("stream of another team's job not begun", extra={"why": str(error)})
        return
    yield first
    yield from told


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    opened = await asyncio.to_thread(file.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
