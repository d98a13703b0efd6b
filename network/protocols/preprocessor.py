"""What may be done to a table before it is computed on, as JSON. Parsing only; `preprocessing` does the work.

The keys are those of the tabular builder of the `tripleblind` package, as far as its public documents name them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from network.protocols.preprocessing.steps import DataTransformer, NullHandling, Replacement, Step, TargetTransformer

_A_QUERY = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_WHY_NOT_PYTHON = (
    "python_transform is not offered: it is code of one party that would run, unbounded, where the data of another are; "
    "use sql_transform"
)


class AddedColumn(Step):
    """A column to keep, and whether it is the one to predict."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="The column's name.")]
    target: Annotated[bool, Field(description="Whether this is the column to predict.")] = False


class ColumnChoice(BaseModel):
    """Which columns of a table take part, and which of them is the target.

    Raises pydantic's ValidationError; for a key that is not offered the message names it and the allowed ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["tabular"] = Field(default="tabular", description="The kind of data.")
    all_columns: bool = Field(default=False, description="Keep every column; add_column then only names the target.")
    # A list: the check of the keys below makes Python of the JSON, in which strictly read no list is a tuple.
    add_column: list[AddedColumn] = Field(default=[], max_length=1000, description="The columns to keep, in order.")

    @model_validator(mode="before")
    @classmethod
    def _only_offered_keys(cls, given: object) -> object:
        if isinstance(given, Mapping):
            unknown = sorted(str(key) for key in given if key not in cls.model_fields)
            if unknown:
                allowed = list(cls.model_fields)
                text = f"{', '.join(unknown)} is not offered; allowed: {', '.join(allowed)}"
                if "python_transform" in unknown:
                    text = _WHY_NOT_PYTHON
                # The text is a value here, not the template: a key may hold braces.
                raise PydanticCustomError("not_offered", "{text}", {"text": text, "allowed": allowed})
        return given

    @model_validator(mode="after")
    def _selects_something_once(self) -> Self:
        names = [column.name for column in self.add_column]
        if not names and not self.all_columns:
            raise ValueError("no column is selected: set all_columns or list some in add_column")
        if len(set(names)) != len(names):
            raise ValueError("add_column names a column twice")
        if sum(column.target for column in self.add_column) > 1:
            raise ValueError("add_column has more than one target")
        return self


class Preprocessor(ColumnChoice):
    """The whole of it, in the order in which it is done: SQL, columns, replacements, gaps, transformers, type."""

    sql_transform: str | None = Field(
        default=None,
        max_length=10_000,
        description="One SELECT over the table `data`, in the dialect of DuckDB. Identifiers do not reach it.",
    )
    replace: list[Replacement] = Field(default=[], max_length=1000, description="Values that become others.")
    handle_nulls: list[NullHandling] = Field(default=[], max_length=1000, description="What becomes of missing values.")
    add_data_transformer: list[DataTransformer] = Field(
        default=[], max_length=1000, description="Encoders, bins and scalers of features, done in this order."
    )
    add_target_transformer: list[TargetTransformer] = Field(
        default=[], max_length=10, description="Encoders, bins and scalers of the target, done in this order."
    )
    dtype: Literal["float16", "float32", "float64", "int8", "int16", "int32", "int64"] | None = Field(
        default=None, description="The type that every numeric feature and target is given at the end."
    )

    @model_validator(mode="after")
    def _queries_only(self) -> Self:
        if self.sql_transform is not None and not _A_QUERY.match(self.sql_transform):
            raise ValueError("sql_transform must be one query that begins with SELECT or WITH")
        if any(step.type == "binning" and step.encode == "onehot" for step in self.add_target_transformer):
            raise ValueError("add_target_transformer must leave one target: encode cannot be onehot")
        return self


def only_chooses_columns(preprocessors: Sequence[Mapping[str, object]] | None) -> bool:
    """Whether nothing is done to any table but to choose its columns: what a standing agreement may cover unseen.

    All else (SQL above all) can make of an agreed computation one that asks after single rows.
    """
    return all(
        key in ColumnChoice.model_fields
        for one in preprocessors or ()
        for key, value in one.items()
        if value is not None
    )
