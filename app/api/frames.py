"""Events as bytes: Server-Sent Events and newline-delimited JSON carry the same."""

from typing import Protocol

import msgspec

from app.domain.events import Event, Kind
from app.domain.formatting import text_of

_TEXT = "text"


class Frames(Protocol):
    """One way to write events."""

    media_type: str
    ping: bytes

    def event(self, number: int, name: str, data: str) -> bytes:
        """A numbered event with its data, one line of JSON."""

    def snapshot(self, data: str, *, position: int, retry_ms: int) -> bytes:
        """Where this connection stands."""


class SseFrames:
    """text/event-stream. `id` is the last field: some clients store it on sight, before the event is whole."""

    media_type = "text/event-stream"
    ping = b": ping\n"

    def event(self, number: int, name: str, data: str) -> bytes:
        """A message has no name, so that EventSource's onmessage sees it."""
        named = "" if name == Kind.MESSAGE else f"event: {name}\n"
        return f"{named}data: {data}\nid: {number}\n\n".encode()

    def snapshot(self, data: str, *, position: int, retry_ms: int) -> bytes:
        """`retry` rides inside an event: a block of its own is an empty event to some clients."""
        return f"event: snapshot\ndata: {data}\nretry: {retry_ms}\nid: {position}\n\n".encode()


class NdjsonFrames:
    """application/x-ndjson: a line {"id", "event", "data"} each; keepalive is an empty line."""

    media_type = "application/x-ndjson"
    ping = b"\n"

    def event(self, number: int, name: str, data: str) -> bytes:
        """A message is named, as every line is."""
        return f'{{"id":{number},"event":"{name}","data":{data}}}\n'.encode()

    def snapshot(self, data: str, *, position: int, retry_ms: int) -> bytes:  # noqa: ARG002  (no such thing here)
        """Where this connection stands."""
        return f'{{"id":{position},"event":"snapshot","data":{data}}}\n'.encode()


def of_job(event: Event, frames: Frames) -> bytes:
    """An event of one job's stream: a message's data is the Access Point's JSON, unchanged."""
    return frames.event(event.id, event.kind, event.data)


def of_job_as_text(event: Event, frames: Frames) -> bytes:
    """The same with each message as people read it."""
    return frames.event(event.id, *_as_text(event))


def of_all(event: Event, frames: Frames) -> bytes:
    """An event of the feed: a message is wrapped, so that it says whose it is."""
    return frames.event(event.id, event.kind, _wrapped(event))


def of_all_as_text(event: Event, frames: Frames) -> bytes:
    """The same with each message as people read it, and whose it is."""
    return frames.event(event.id, *_as_text(event, f'"job_id":"{event.job_id}",'))


def _wrapped(event: Event) -> str:
    if event.kind is not Kind.MESSAGE:
        return event.data
    return f'{{"job_id":"{event.job_id}","message":{event.data}}}'


def _as_text(event: Event, whose: str = "") -> tuple[str, str]:
    """The event's name and data."""
    if event.kind is not Kind.MESSAGE:
        return event.kind, event.data
    fields = msgspec.json.encode(text_of(event.data)).decode()
    return _TEXT, f"{{{whose}{fields.removeprefix('{')}"
