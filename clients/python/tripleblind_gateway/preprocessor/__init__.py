"""What is done to a table at its owner's Access Point before the operation sees it."""

import json
from collections.abc import Mapping
from typing import Any

from tripleblind_gateway.preprocessor.package import Package

__all__ = ["Builder", "Package", "TabularPreprocessor"]


class Builder:
    """Steps to be done, one method each, in the order in which the network does them. Each returns the builder."""

    def __init__(self) -> None:
        self._steps: dict[str, Any] = {"type": "tabular"}

    def __str__(self) -> str:
        return json.dumps(self.as_json())

    def as_json(self) -> Mapping[str, Any]:
        """As it is sent."""
        return self._steps

    def sql_transform(self, sql: str) -> "Builder":
        """One `SELECT … FROM data`; its result is the table for all that follows."""
        return self._with("sql_transform", sql)

    def all_columns(self, include: bool = True) -> "Builder":
        """Keep every column."""
        return self._with("all_columns", include)

    def add_column(self, name: str, *, target: bool = False) -> "Builder":
        """Keep this column; the target is the one to predict."""
        return self._more("add_column", {"name": name, "target": target})

    def replace(self, old: object, new: object, column: str | None = None) -> "Builder":
        """One value for another; None makes a gap. Without a column in every one that can hold both."""
        return self._more("replace", {"old": old, "new": new} | _given(column=column))

    def handle_nulls(self, strategy: str, column: str | None = None, value: object = None) -> "Builder":
        """Gaps: `drop`, `value`, `mean`, `median` or `most_frequent`."""
        return self._more("handle_nulls", {"strategy": strategy} | _given(column=column, value=value))

    def add_data_transformer(self, type_: str, column: str, **settings: object) -> "Builder":
        """Make numbers of a feature: `one_hot_encoder`, `ordinal_encoder`, `binning`, `standard_scaler` or
        `min_max_scaler`, with its settings.
        """
        return self._more("add_data_transformer", {"type": type_, "column": column, **settings})

    def add_target_transformer(self, type_: str, **settings: object) -> "Builder":
        """The same for the target."""
        return self._more("add_target_transformer", {"type": type_, **settings})

    def dtype(self, dtype: str) -> "Builder":
        """The type of every numeric feature and target."""
        return self._with("dtype", dtype)

    def _with(self, step: str, value: object) -> "Builder":
        self._steps[step] = value
        return self

    def _more(self, step: str, value: Mapping[str, object]) -> "Builder":
        self._steps.setdefault(step, []).append(value)
        return self


class TabularPreprocessor:
    """What prepares tables."""

    @staticmethod
    def builder() -> Builder:
        """A new one, which does nothing yet."""
        return Builder()


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
