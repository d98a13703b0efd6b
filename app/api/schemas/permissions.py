"""Access requests and agreements: what is sent to make them, and how they are shown."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, JsonValue, field_validator

from app.api.schemas.common import Name, Strict, plain
from app.domain.network import AccessRequest, Agreement, NewAgreement, Preflight, Whose

RequestState = Literal["pending", "accepted", "denied", "withdrawn"]
AgreementState = Literal["active", "expired", "used_up", "ended"]
Security = Literal["smpc", "fed"]


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


class ApprovalView(BaseModel):
    """One use of another team's asset. `agreement_id` grants it; null: a person of `team` must answer."""

    asset_id: UUID
    asset: str
    team: str
    use: Literal["alg", "data"]
    agreement_id: UUID | None


class PreflightView(BaseModel):
    """What a job would need: `status` says whose permission is missing, null nobody's."""

    status: Whose | None
    approvals: list[ApprovalView]


class AgreementToMake(Strict):
    """A standing grant, for one algorithm or one protocol. Assets are named by UUID or as `team/name`."""

    to_team: Name
    asset_id: (
        Annotated[str, Field(min_length=1, description="The asset that may be used, if it is for one alone")] | None
    ) = None
    asset_restricted: bool = Field(True, description="False: for every asset of this gateway's team")
    expiration: AwareDatetime | None = Field(None, description="When it ends; with its zone")
    run_limit: Annotated[int, Field(ge=1, le=2**53, description="How many jobs it grants")] | None = None
    algorithm: Annotated[str, Field(min_length=1, description="The model's asset that may be run")] | None = None
    algorithm_security: Security | None = Field(None, description="How the algorithm runs; by default smpc")
    protocol: Annotated[str, Field(min_length=1, description="A name of /v1/operations")] | None = None

    @field_validator("expiration")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            return None if value is None else value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("This time does not exist in UTC") from error

    def value(self) -> NewAgreement:
        """As we say it."""
        return NewAgreement(**self.model_dump())


class AgreementView(BaseModel):
    """A standing grant of `team` to `to_team`; `runs` counts the jobs that were granted by it."""

    id: UUID
    team: str
    to_team: str
    asset_id: UUID | None
    asset: str | None
    asset_restricted: bool
    expiration: datetime | None
    run_limit: int | None
    runs: int
    algorithm: UUID | None
    algorithm_security: str | None
    protocol: str | None
    created: datetime
    created_by: str
    ended: datetime | None
    ended_by: str | None
    state: str


class AgreementList(BaseModel):
    """Agreements, newest first."""

    items: list[AgreementView]


def access_request_view(request: AccessRequest) -> AccessRequestView:
    """The request as it is shown."""
    return AccessRequestView.model_validate(plain(request))


def preflight_view(preflight: Preflight) -> PreflightView:
    """What it needs, as it is shown."""
    return PreflightView.model_validate(plain(preflight))


def agreement_view(agreement: Agreement) -> AgreementView:
    """The agreement as it is shown."""
    return AgreementView.model_validate(plain(agreement))
