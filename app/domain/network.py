"""What else the Router keeps: operations, assets, access requests. Read through, never stored here."""

from datetime import datetime
from uuid import UUID

import msgspec

from app.domain.reports import StreamAddress as Address


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many datasets an operation takes."""

    min: int
    max: int


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol or operator a job can name; `params` is its JSON Schema; `why_not` is None when it is available."""

    name: str
    description: str
    params: dict[str, object]
    datasets: Bounds
    message_types: tuple[str, ...]
    available: bool
    why_not: str | None


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a table: `role` is identifier, feature or target."""

    name: str
    dtype: str
    role: str


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A table or a model. `records` is None before its bytes have arrived, `content` None for other teams' assets."""

    id: UUID
    name: str
    team: str
    kind: str
    columns: tuple[Column, ...]
    records: int | None
    job_id: UUID | None
    created: datetime
    content: Address | None


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A permission asked for one asset and one job. `owner_team` decides; `team` and `user` ask."""

    job_id: UUID
    asset_id: UUID
    asset: str
    owner_team: str
    team: str
    user: str
    job_name: str
    operation: str
    params: msgspec.Raw
    preprocessor: msgspec.Raw
    since: datetime
    state: str
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """What an Access Point read in the bytes it was sent."""

    id: UUID
    columns: tuple[Column, ...]
    records: int
