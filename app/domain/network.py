"""What else the Router keeps: operations, assets, access requests, agreements. Read through, never stored here."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from app.domain.jobs import Moment
from app.domain.reports import StreamAddress as Address

# Whose permission a use of assets needs: the algorithm's owner's, a dataset owner's, or both.
Whose = Literal["both", "alg", "data"]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many datasets an operation takes."""

    min: int
    max: int


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol or operator a job can name; `params` is its JSON Schema; `why_not` is None when it is available.

    `preprocessor` is a JSON Schema too; None where the operation takes none.
    """

    name: str
    description: str
    params: dict[str, object]
    datasets: Bounds
    message_types: tuple[str, ...]
    available: bool
    why_not: str | None
    preprocessor: dict[str, object] | None = None


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a table: `role` is identifier, feature or target."""

    name: str
    dtype: str
    role: str


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A table or a model, and where its bytes lie. `content` is None for other teams' assets."""

    id: UUID
    name: str
    team: str
    kind: str
    content: Address | None


class Asset(Stored, frozen=True, kw_only=True):
    """All that the Router tells of one. `records` is None before its bytes have arrived.

    A `temporary` one is gone once no job needs it any more.
    """

    columns: tuple[Column, ...]
    records: int | None
    job_id: UUID | None
    created: datetime
    temporary: bool = False


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


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Whose permission our team would need to use some assets; None: nobody's."""

    status: Whose | None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One use of another team's asset. `agreement_id` grants it; None: a person of `team` must answer."""

    asset_id: UUID
    asset: str
    team: str
    use: Literal["alg", "data"]
    agreement_id: UUID | None


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """Every approval that a job would need."""

    status: Whose | None
    approvals: tuple[Approval, ...]


class NewAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner grants for the future: to `to_team`, the use of one asset or (not `asset_restricted`) of all.

    For runs of one `algorithm`, which is an asset, or of one `protocol`.
    """

    to_team: str
    asset_id: str | None
    asset_restricted: bool
    expiration: datetime | None
    run_limit: int | None
    algorithm: str | None
    algorithm_security: str | None
    protocol: str | None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A standing grant of `team` to `to_team`. `runs` counts the jobs that were granted by it."""

    id: UUID
    team: str
    to_team: str
    asset_id: UUID | None
    asset: str | None
    asset_restricted: bool
    expiration: Moment | None
    run_limit: int | None
    runs: int
    algorithm: UUID | None
    algorithm_security: str | None
    protocol: str | None
    created: Moment
    created_by: str
    ended: Moment | None
    ended_by: str | None
    state: str


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """What an Access Point read in the bytes it was sent."""

    id: UUID
    columns: tuple[Column, ...]
    records: int
