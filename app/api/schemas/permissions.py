"""Access requests, as they are shown."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue

from app.api.schemas.common import plain
from app.domain.network import AccessRequest

RequestState = Literal["pending", "accepted", "denied", "withdrawn"]


class AccessRequestView(BaseModel):
    """A permission asked for one asset and one job. `owner_team` decides; `team` and `user` ask."""

    job_id: UUID
    asset_id: UUID
    asset: str
    owner_team: str
    team: str
    user: str
    job_name: str
    operation: str
    params: JsonValue
    preprocessor: JsonValue
    since: datetime
    state: str
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class AccessRequestList(BaseModel):
    """Access requests."""

    items: list[AccessRequestView]


def access_request_view(request: AccessRequest) -> AccessRequestView:
    """The request as it is shown."""
    return AccessRequestView.model_validate(plain(request))
