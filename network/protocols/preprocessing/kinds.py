"""Which columns a step is for, by the kind of their type, as the index of assets spells it."""

from collections.abc import Callable, Sequence
from typing import Literal

from network.protocols.operation import Column
from network.protocols.preprocessing.steps import NullHandling, Replacement, Value

Kind = Literal["number", "truth", "text", "other"]

_NUMBERS = ("int", "uint", "halffloat", "float", "double", "decimal")
_TEXTS = ("string", "large_string", "string_view", "dictionary<values=string")


def kind_of(dtype: str) -> Kind:
    """What can be done with a column of this type."""
    if dtype == "bool":
        return "truth"
    if dtype.startswith(_NUMBERS):
        return "number"
    return "text" if dtype.startswith(_TEXTS) else "other"


def is_of_kind(value: Value, kind: Kind) -> bool:
    """Whether a column of this kind can hold the value."""
    if isinstance(value, bool):
        return kind == "truth"
    return kind == ("text" if isinstance(value, str) else "number")


def reached(columns: Sequence[Column], name: str | None, *, fits: Callable[[Column], bool]) -> list[Column]:
    """The columns a step is for: the one it names, or every feature that it fits."""
    if name is not None:
        return [column for column in columns if column.name == name]
    return [column for column in columns if column.role == "feature" and fits(column)]


def fits_replacement(step: Replacement) -> Callable[[Column], bool]:
    """Whether a column can hold the old value and the new one."""
    values = [value for value in (step.old, step.new) if value is not None]
    return lambda column: all(is_of_kind(value, kind_of(column.dtype)) for value in values)


def fits_nulls(step: NullHandling) -> Callable[[Column], bool]:
    """Whether a column's gaps can be handled like this."""
    value = step.value
    if value is not None:
        return lambda column: is_of_kind(value, kind_of(column.dtype))
    if step.strategy in {"mean", "median"}:
        return lambda column: kind_of(column.dtype) == "number"
    return lambda _column: True
