"""Event streams as bytes: what a client makes of them, and what it would lose."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Event:
    """An event as it came: its own bytes, its name ("message" where it has none), its id, and its data as text."""

    raw: bytes
    name: str
    id: int
    data: str

    @cached_property
    def json(self) -> Any:
        """The data as JSON."""
        return json.loads(self.data)


class SseReader:
    """Takes pieces, cut anywhere, and gives the events that are whole: what a browser does."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are whole now."""
        *blocks, self._rest = (self._rest + piece).split(b"\n\n")
        return [_of_block(block + b"\n\n") for block in blocks]


class NdjsonReader:
    """The same for lines of JSON."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are whole now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [_of_line(line + b"\n") for line in lines if line]


def sse(stream: bytes) -> list[Event]:
    """The whole events of a stream, snapshots included."""
    return SseReader().feed(stream)


def ndjson(stream: bytes) -> list[Event]:
    """The whole events of a stream of lines, snapshots included."""
    return NdjsonReader().feed(stream)


def numbered(events: list[Event]) -> list[Event]:
    """Those that stand in the log: all but snapshots."""
    return [event for event in events if event.name != "snapshot"]


def joined(events: list[Event]) -> bytes:
    """Their bytes, one after the other."""
    return b"".join(event.raw for event in events)


def _of_block(raw: bytes) -> Event:
    fields: dict[str, str] = {}
    for line in raw.decode().removesuffix("\n\n").split("\n"):
        name, _, value = line.partition(": ")
        assert name not in fields or name == "", f"{name} stands twice in {raw!r}"
        fields[name] = value
    return Event(
        raw=_without_pings(raw), name=fields.get("event", "message"), id=int(fields["id"]), data=fields["data"]
    )


def _without_pings(raw: bytes) -> bytes:
    while raw.startswith(b":"):
        raw = raw.partition(b"\n")[2]
    return raw


def _of_line(raw: bytes) -> Event:
    line = json.loads(raw)
    # The data as it stands in the line: byte for byte, not as a JSON library would write it again.
    data = raw.decode().partition('"data":')[2].removesuffix("}\n")
    return Event(raw=raw, name=line["event"], id=line["id"], data=data)
