"""Assets and operations, as they are shown."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue

from app.api.schemas.common import Name, Strict, plain
from app.domain.network import Asset, Operation, Whose

Kind = Literal["table", "model"]


class TableToMake(Strict):
    """What is said of a table that is brought."""

    name: Name | None = None
    temporary: bool = False


class ColumnView(BaseModel):
    """A column of a table."""

    name: str
    dtype: str
    role: str


class TableView(BaseModel):
    """Rows of a table, from `offset` on; `records` is how many it has, `next_offset` null at its end."""

    columns: list[str]
    rows: list[list[JsonValue]]
    offset: int
    records: int
    next_offset: int | None


class AssetView(BaseModel):
    """A table or a model. `records` is null before its bytes have arrived; a `temporary` one goes with its last job."""

    id: UUID
    name: str
    team: str
    kind: str
    columns: list[ColumnView]
    records: int | None
    job_id: UUID | None
    created: datetime
    temporary: bool


class UsageView(BaseModel):
    """Whose permission this team would need: the algorithm's owner's, a dataset owner's, both; null: nobody's."""

    status: Whose | None


class AssetList(BaseModel):
    """Assets."""

    items: list[AssetView]


class OperationView(BaseModel):
    """What a job can name as its operation. `params` is a JSON Schema; `preprocessor` too, null where it takes none."""

    name: str
    description: str
    params: dict[str, Any]
    datasets: dict[str, int]
    preprocessor: dict[str, Any] | None
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
