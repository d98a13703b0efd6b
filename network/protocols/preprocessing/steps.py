"""The steps of a preprocessor as JSON: gaps, replacements, transformers. Parsing only.

Nothing is learned from a table that several owners would learn differently: categories, edges, means and ranges are given.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=1000)]
Value = Text | bool | int | float

LEARNED = ("mean", "median", "most_frequent")


class Step(BaseModel):
    """Keys that are not known are refused, and so are numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NullHandling(Step):
    """What becomes of missing values; a float that is not a number is missing too."""

    column: ColumnName | None = Field(default=None, description="The column; by default every feature that it fits.")
    strategy: Literal["drop", "value", "mean", "median", "most_frequent"] = Field(
        description="drop leaves out the rows; value fills in `value`; the others fill in what the column itself gives, "
        "in jobs on one table only."
    )
    value: Value | None = Field(default=None, description="What is filled in, for the strategy value.")

    @model_validator(mode="after")
    def _has_a_value_if_it_fills_one_in(self) -> Self:
        if (self.strategy == "value") != (self.value is not None):
            raise ValueError("value belongs to the strategy value, and to no other")
        return self


class Replacement(Step):
    """One value for another, where the whole value is equal."""

    column: ColumnName | None = Field(default=None, description="The column; by default every feature that it fits.")
    old: Value = Field(description="The value that goes.")
    new: Value | None = Field(description="The value that comes; null makes it a missing one.")


class Categories(Step):
    """A column whose values are known beforehand."""

    categories: list[Value] = Field(min_length=1, max_length=1000, description="Every value there is, in order.")

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("categories names a value twice")
        return self


class OrdinalEncoder(Categories):
    """The place of the value among the categories, from 0."""

    type: Literal["ordinal_encoder"] = Field(description="The kind of transformer.")


class OneHotEncoder(Categories):
    """A column of 0 and 1 for each category, named `column_category`."""

    type: Literal["one_hot_encoder"] = Field(description="The kind of transformer.")
    handle_unknown: Literal["error", "ignore"] = Field(
        default="error",
        description="Whether a missing value, or one that is no category, fails the job or gives only 0.",
    )
    drop: Literal["first"] | None = Field(
        default=None, description="first: no column for the first category, which the others tell."
    )


class Binning(Step):
    """The number of the bin, from 0; what lies outside counts to the outermost bins."""

    type: Literal["binning"] = Field(description="The kind of transformer.")
    edges: list[float] | None = Field(
        default=None, min_length=3, max_length=1001, description="The edges, rising; one more than there are bins."
    )
    n_bins: int | None = Field(default=None, ge=2, le=1000, description="How many bins of equal width, with `range`.")
    range: list[float] | None = Field(
        default=None, min_length=2, max_length=2, description="The first and the last edge, with `n_bins`."
    )
    encode: Literal["ordinal", "onehot"] = Field(
        default="ordinal", description="The number of the bin, or a column of 0 and 1 for each, named `column_number`."
    )

    @model_validator(mode="after")
    def _has_rising_edges(self) -> Self:
        if (self.edges is None) == (self.n_bins is None) or (self.n_bins is None) != (self.range is None):
            raise ValueError("give either edges, or n_bins and range: all owners must have the same bins")
        if not all(low < high for low, high in pairwise(self.edges or self.range or [])):
            raise ValueError("edges and range must rise")
        return self

    @property
    def count(self) -> int:
        """How many bins there are."""
        return self.n_bins or len(self.edges or []) - 1


class StandardScaler(Step):
    """(value - mean) / scale."""

    type: Literal["standard_scaler"] = Field(description="The kind of transformer.")
    mean: float = Field(description="What becomes 0.")
    scale: float = Field(gt=0, description="What becomes 1 wide.")


class MinMaxScaler(Step):
    """From the range `min` to `max` onto `feature_range`; what lies outside is not cut off."""

    type: Literal["min_max_scaler"] = Field(description="The kind of transformer.")
    min: float = Field(description="What becomes the lower end of feature_range.")
    max: float = Field(description="What becomes the upper end of feature_range.")
    feature_range: list[float] = Field(
        default=[0.0, 1.0], min_length=2, max_length=2, description="The range that comes out."
    )

    @model_validator(mode="after")
    def _has_rising_ranges(self) -> Self:
        if not (self.min < self.max and self.feature_range[0] < self.feature_range[1]):
            raise ValueError("min must lie below max, and feature_range must rise")
        return self


class OfColumn(Step):
    """A transformer of a feature; of the target none needs to be named."""

    column: ColumnName = Field(description="The feature.")


class ColumnOrdinalEncoder(OfColumn, OrdinalEncoder):
    """Of a feature: the place of the value among the categories, from 0."""


class ColumnOneHotEncoder(OfColumn, OneHotEncoder):
    """Of a feature: a column of 0 and 1 for each category, named `column_category`."""


class ColumnBinning(OfColumn, Binning):
    """Of a feature: the number of the bin, from 0; what lies outside counts to the outermost bins."""


class ColumnStandardScaler(OfColumn, StandardScaler):
    """Of a feature: (value - mean) / scale."""


class ColumnMinMaxScaler(OfColumn, MinMaxScaler):
    """Of a feature: from the range `min` to `max` onto `feature_range`; what lies outside is not cut off."""


Transformer = OneHotEncoder | OrdinalEncoder | Binning | StandardScaler | MinMaxScaler
DataTransformer = Annotated[
    ColumnOneHotEncoder | ColumnOrdinalEncoder | ColumnBinning | ColumnStandardScaler | ColumnMinMaxScaler,
    Field(discriminator="type"),
]
TargetTransformer = Annotated[OrdinalEncoder | Binning | StandardScaler | MinMaxScaler, Field(discriminator="type")]
