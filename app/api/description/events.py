"""What a stream says, event by event: OpenAPI 3.2 describes one item of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from app.api.schemas.events import (
    FeedMessage,
    FeedSnapshot,
    FeedText,
    Gap,
    JobEnd,
    JobSnapshot,
    PhaseChange,
    Text,
    TypedMessage,
    UpstreamChange,
    Why,
)
from app.api.schemas.log import StatusView

SHOWN = (
    FeedMessage,
    FeedSnapshot,
    FeedText,
    Gap,
    JobEnd,
    JobSnapshot,
    PhaseChange,
    Text,
    TypedMessage,
    UpstreamChange,
    Why,
)

Schema = dict[str, Any]

_MESSAGE = "message"


def ref(model: type[BaseModel]) -> Schema:
    """The schema of this name."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_ANY_MESSAGE: Schema = {"anyOf": [{"type": "string"}, ref(TypedMessage), {}]}
_OF_BOTH = {
    "status": ref(StatusView),
    "phase": ref(PhaseChange),
    "upstream": ref(UpstreamChange),
    "end": ref(JobEnd),
}
_EVENTS: Mapping[str, Mapping[str, Schema]] = {
    "jobEvents": {"snapshot": ref(JobSnapshot), **_OF_BOTH, _MESSAGE: _ANY_MESSAGE, "text": ref(Text)},
    "events": {
        "snapshot": ref(FeedSnapshot),
        "gap": ref(Gap),
        **_OF_BOTH,
        _MESSAGE: ref(FeedMessage),
        "text": ref(FeedText),
    },
}
STREAMS = frozenset(_EVENTS)


def stream_bodies(operation: str) -> Schema:
    """The content of a stream's answer, by media type."""
    events = _EVENTS[operation]
    return {
        "text/event-stream": {"itemSchema": {"oneOf": list(_frames(events))}},
        "application/x-ndjson": {"itemSchema": {"oneOf": list(_lines(events))}},
    }


def _frames(events: Mapping[str, Schema]) -> Iterator[Schema]:
    """As Server-Sent Events: a message has no name, and only a snapshot says when to come back."""
    for name, data in events.items():
        fields: Schema = {
            "event": {"const": name},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
            "retry": {"type": "integer", "minimum": 0},
            "id": {"type": "string", "pattern": "^[0-9]+$"},
        }
        if name == _MESSAGE:
            del fields["event"]
        if name != "snapshot":
            del fields["retry"]
        yield _object(name, fields)


def _lines(events: Mapping[str, Schema]) -> Iterator[Schema]:
    for name, data in events.items():
        yield _object(name, {"id": {"type": "integer", "minimum": 0}, "event": {"const": name}, "data": data})


def _object(title: str, fields: Schema) -> Schema:
    return {
        "title": title,
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
