"""What a caller may set for each operation. The JSON Schemas of these models are published by the Router."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class IntersectionParams(_Params):
    """The params of PRIVATE_SET_INTERSECTION."""

    match_column: ColumnName | Annotated[list[ColumnName], Field(min_length=2, max_length=2)] = Field(
        default="patient_id",
        description="The column to match on: one name for both datasets, or two names in the order of the datasets.",
    )
    security: Literal["smpc"] = Field(
        default="smpc", description="Identifiers stay hidden from the other team; it is done in no other way."
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


class TargetParams(_Params):
    """Which column is to be predicted."""

    target: ColumnName | None = Field(
        default=None, description="The column to predict; by default the one whose role is target."
    )


class RegressionParams(TargetParams):
    """The params of REGRESSION."""

    regression_type: Literal["LINEAR", "LOGISTIC"] = Field(
        description="LINEAR fits a numeric target by least squares; LOGISTIC fits a target that holds 0 and 1."
    )
    model_params: RegressionModelParams = Field(
        default=RegressionModelParams(), description="Penalty, standardisation and when to stop."
    )


class LayerParams(_Params):
    """One layer of a neural network; the last layer, linear, is always added."""

    units: int = Field(ge=1, le=128, description="How many units it has.")
    activation: Literal["linear", "relu", "sigmoid", "square", "tanh"] = Field(
        default="tanh",
        description="What each unit makes of its weighted sum. A network of square and linear layers alone can later be "
        "run with security smpc.",
    )


class FederatedParams(TargetParams):
    """The params of FEDERATED_LEARNING_PROTOCOL."""

    model_output: Literal["binary", "multiclass", "regression"] = Field(
        default="binary",
        description="binary: the target holds 0 and 1. multiclass: it holds whole numbers from 0 on. regression: it is any "
        "number.",
    )
    classes: int | None = Field(
        default=None, ge=3, le=100, description="multiclass: how many classes there are. The others take none."
    )
    layers: list[LayerParams] = Field(
        default=[LayerParams(units=8)],
        max_length=4,
        description="The hidden layers, from the input on; none is a linear or logistic regression.",
    )
    epochs: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Rounds of steps at the owners, after each of which they are averaged.",
    )
    local_steps: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Steps of gradient descent at each owner in an epoch, each over all its rows. With 1 an epoch is one "
        "step over the rows of all.",
    )
    learning_rate: float = Field(
        default=0.5, gt=0, le=100, description="The step as a multiple of the gradient of the mean loss per record."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="What the initial weights are drawn from.")

    @model_validator(mode="after")
    def _counts_classes_where_there_are_many(self) -> Self:
        if (self.classes is not None) != (self.model_output == "multiclass"):
            raise ValueError("classes is needed with model_output multiclass, and with that alone")
        return self

    @property
    def outputs(self) -> int:
        """How many units the last layer has: one for each of many classes, else one."""
        return self.classes or 1


class BlindLearningParams(_Params):
    """The params of BLIND_LEARNING. The target is the column whose role is target, and no other: it leaves its owner."""

    client_layers: list[LayerParams] = Field(
        default=[LayerParams(units=2)],
        min_length=1,
        max_length=4,
        description="The layers at the owners, from the input on. Epochs times the units of the last must be fewer than the "
        "features that vary.",
    )
    server_layers: list[LayerParams] = Field(
        default=[LayerParams(units=8)], max_length=4, description="The layers that follow, at the initiator."
    )
    epochs: int = Field(default=5, ge=1, le=1000, description="How often each row is used.")
    batch_size: int = Field(default=32, ge=1, le=4096, description="Rows of an owner in one step.")
    learning_rate: float = Field(
        default=0.5, gt=0, le=100, description="The step as a multiple of the gradient of the mean loss per record."
    )
    test_size: float = Field(
        default=0.2, ge=0.1, le=0.5, description="The share of each owner's rows that is only tested with."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="What the initial weights and the order of rows come from."
    )


class RecommenderParams(_Params):
    """The params of RECOMMENDER_TRAIN."""

    user_column: ColumnName = Field(default="user_id", description="The column that says who rated.")
    item_column: ColumnName = Field(
        default="item_id", description="The column that says what: a number, the same for an item at every owner."
    )
    rating_column: ColumnName = Field(default="rating", description="The column with the rating, a number.")
    item_count: int = Field(ge=1, le=20_000, description="Items have the whole numbers from 0 to this, less one.")
    factors: int = Field(default=8, ge=1, le=32, description="How many numbers describe a user, and an item.")
    epochs: int = Field(default=20, ge=1, le=1000, description="Steps of the item factors, each over all ratings.")
    regularization: float = Field(
        default=1.0, gt=0, le=1e6, description="Strength of the L2 penalty on the factors of users and items."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="What the initial item factors are drawn from.")


class InferenceParams(_Params):
    """The params of EXECUTE."""

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The trained model, an asset; left out when the job's operation is itself the model.",
    )
    security: Literal["fed", "smpc"] = Field(
        default="fed",
        description="fed: the model travels to the data. smpc: table and model stay hidden from each other's owner; they "
        "must belong to two teams, neither of which starts the job, and the model may have square and linear layers only.",
    )
    stream_output: bool = Field(
        default=False, description="Whether each batch of results is also put on the status stream."
    )
    batch_size: int = Field(default=1000, ge=1, le=20_000, description="Rows scored and sent at a time.")
