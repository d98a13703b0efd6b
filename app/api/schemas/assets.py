"""Assets and operations, as they are shown."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from app.api.schemas.common import plain
from app.domain.network import Asset, Operation

Kind = Literal["table", "model"]


class ColumnView(BaseModel):
    """A column of a table."""

    name: str
    dtype: str
    role: str


class AssetView(BaseModel):
    """A table or a model. `records` is null before its bytes have arrived."""

    id: UUID
    name: str
    team: str
    kind: str
    columns: list[ColumnView]
    records: int | None
    job_id: UUID | None
    created: datetime


class AssetList(BaseModel):
    """Assets."""

    items: list[AssetView]


class OperationView(BaseModel):
    """What a job can name as its operation. `params` is a JSON Schema."""

    name: str
    description: str
    params: dict[str, Any]
    datasets: dict[str, int]
    message_types: list[str]
    available: bool
    why_not: str | None


class OperationList(BaseModel):
    """Operations."""

    items: list[OperationView]


def asset_view(asset: Asset) -> AssetView:
    """The asset as it is shown: without the address and token of its bytes."""
    return AssetView.model_validate(plain(asset))


def operation_view(operation: Operation) -> OperationView:
    """The operation as it is shown."""
    return OperationView.model_validate(plain(operation))
