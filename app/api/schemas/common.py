"""What several bodies and answers share."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

LARGEST_ID = 2**63 - 1  # of an event

_ISO = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d\S*([Zz]|[+-]\d\d:?\d\d)")

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


def _as_iso(value: object) -> object:
    if not isinstance(value, str) or _ISO.fullmatch(value) is None:
        raise ValueError("Write a moment in ISO 8601 with its zone, as 2026-03-01T09:30:00Z; in an address + is %2B")
    return value


# Numbers are refused: whether they count seconds or milliseconds would be a guess.
Moment = Annotated[AwareDatetime, BeforeValidator(_as_iso, json_schema_input_type=AwareDatetime)]


class Strict(BaseModel):
    """Refuses what it does not know, so that a misspelt field is never silently ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Reason(Strict):
    """Why it is asked for; kept with the job."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class ResultView(BaseModel):
    """The job's raw output, and the asset it made."""

    raw_status: str
    asset_id: UUID | None


class Health(BaseModel):
    """The gateway is well."""

    status: Literal["alive", "ready"]


def plain(value: object) -> Any:
    """The value as JSON holds it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def with_fields(line: bytes, fields: Mapping[str, object]) -> bytes:
    """A JSON object that is not empty, with more fields at its end."""
    return b"%b,%b" % (line[:-1], msgspec.json.encode(fields)[1:])
