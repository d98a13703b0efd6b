"""What a caller may set for each operation. The JSON Schemas of these models are published by the Router."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class IntersectionParams(_Params):
    """The params of PRIVATE_SET_INTERSECTION."""

    match_column: ColumnName | Annotated[list[ColumnName], Field(min_length=2, max_length=2)] = Field(
        default="patient_id",
        description="The column to match on: one name for both datasets, or two names in the order of the datasets.",
    )


class RegressionModelParams(_Params):
    """How the regression is fitted."""

    C: float = Field(
        default=1.0,
        gt=0,
        le=1e10,
        description="LOGISTIC: inverse strength of the L2 penalty on the coefficients, as in scikit-learn. "
        "The intercept is not penalised. LINEAR ignores it.",
    )
    alpha: float = Field(
        default=0.0,
        ge=0,
        le=1e10,
        description="LINEAR: strength of the L2 penalty; 0 is ordinary least squares. LOGISTIC ignores it.",
    )
    standardize: bool = Field(
        default=True,
        description="Whether the penalty is on the coefficients of the standardised features (pooled mean 0, variance 1) "
        "or of the features in their own units.",
    )
    max_iter: int = Field(default=100, ge=1, le=1_000_000, description="The most Newton iterations.")
    tol: float = Field(
        default=1e-8,
        ge=0,
        le=1,
        description="Stop once the largest component of the gradient of the loss per record is below this. "
        "0 never stops before max_iter.",
    )


class RegressionParams(_Params):
    """The params of REGRESSION."""

    regression_type: Literal["LINEAR", "LOGISTIC"] = Field(
        description="LINEAR fits a numeric target by least squares; LOGISTIC fits a target that holds 0 and 1."
    )
    target: ColumnName | None = Field(
        default=None, description="The column to predict; by default the one whose role is target."
    )
    model_params: RegressionModelParams = Field(
        default=RegressionModelParams(), description="Penalty, standardisation and when to stop."
    )


class InferenceParams(_Params):
    """The params of EXECUTE."""

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The trained model, an asset; left out when the job's operation is itself the model.",
    )
    security: Literal["fed"] = Field(
        default="fed", description="fed: the model travels to the data. The only one offered; smpc is not."
    )
    stream_output: bool = Field(
        default=False, description="Whether each batch of results is also put on the status stream."
    )
    batch_size: int = Field(default=1000, ge=1, le=20_000, description="Rows scored and sent at a time.")
