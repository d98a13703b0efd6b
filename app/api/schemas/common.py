"""What several bodies and answers share."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field

LARGEST_ID = 2**63 - 1  # of an event

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


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
