"""What may be done to a table before it is computed on: for now, the choice of its columns.

The keys are those of the tabular builder of the `tripleblind` package. Parsing only; `preprocessing` does the work.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class AddedColumn(BaseModel):
    """A column to keep, and whether it is the one to predict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200, description="The column's name.")]
    target: Annotated[bool, Field(description="Whether this is the column to predict.")] = False


class Preprocessor(BaseModel):
    """Which columns of a table take part, and which of them is the target.

    Raises pydantic's ValidationError; for a key that is not offered the message names it and the allowed ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["tabular"] = Field(default="tabular", description="The kind of data.")
    all_columns: bool = Field(default=False, description="Keep every column; add_column then only names the target.")
    # A list: the check of the keys below makes Python of the JSON, in which strictly read no list is a tuple.
    add_column: list[AddedColumn] = Field(default=[], description="The columns to keep, in order.")

    @model_validator(mode="before")
    @classmethod
    def _only_offered_keys(cls, given: object) -> object:
        if isinstance(given, Mapping):
            unknown = sorted(str(key) for key in given if key not in cls.model_fields)
            if unknown:
                allowed = list(cls.model_fields)
                text = f"{', '.join(unknown)} is not offered; allowed: {', '.join(allowed)}"
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
