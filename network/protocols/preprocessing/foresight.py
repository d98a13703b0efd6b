"""What columns come out of a preprocessor, known before any row is read: names, types and roles.

The Router asks it before a job is kept, and the Access Point before it touches the rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from network.protocols.operation import AssetInfo, Column, InvalidJob, Operation
from network.protocols.preprocessing.kinds import fits_nulls, fits_replacement, is_of_kind, kind_of
from network.protocols.preprocessing.steps import (
    LEARNED,
    Binning,
    NullHandling,
    OneHotEncoder,
    OrdinalEncoder,
    Replacement,
    Transformer,
)
from network.protocols.preprocessor import Preprocessor

MAX_COLUMNS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a table's owner holds back from a job that another team starts.

    `hides_targets`: no target becomes a feature, and no row is left out for its target. `min_records`: the fewest rows
    that may be left once SQL or gaps have chosen some.
    """

    hides_targets: bool = False
    min_records: int = 0


OPEN = Guard()


def foreseen_by(
    operation: Operation, *, initiator: str, datasets: Sequence[AssetInfo], preprocessors: Sequence[Preprocessor]
) -> list[AssetInfo]:
    """The datasets as the operation will see them, by one preprocessor for all or one for each; all there are, by none.

    Raises InvalidJob, with the field as in the body of a create, when a preprocessor does not fit.
    """
    if not preprocessors:
        return list(datasets)
    for place, preprocessor in enumerate(preprocessors):
        check_learning(preprocessor, tables=len(datasets), field=f"preprocessor.{place}")
    places = [0] * len(datasets) if len(preprocessors) == 1 else list(range(len(datasets)))
    return [
        foreseen(
            dataset,
            preprocessors[place],
            guard=Guard(hides_targets=operation.hides_targets and dataset.team != initiator),
            field=f"preprocessor.{place}",
        )
        for dataset, place in zip(datasets, places, strict=True)
    ]


def foreseen(dataset: AssetInfo, preprocessor: Preprocessor, *, guard: Guard, field: str) -> AssetInfo:
    """The dataset as a protocol will see it; without columns where they cannot be known.

    Raises InvalidJob, with a field below `field`, when the preprocessor does not fit the table.
    """
    if not dataset.columns or preprocessor.sql_transform is not None:
        return replace(dataset, columns=())
    try:
        return replace(dataset, columns=foresee(dataset.columns, preprocessor, guard=guard))
    except InvalidJob as exc:
        raise InvalidJob(f"{field}.{exc.field}", f"{dataset.name}: {exc.detail}", allowed=exc.allowed) from exc


def check_learning(preprocessor: Preprocessor, *, tables: int, field: str) -> None:
    """Raise InvalidJob when owners would each learn something else from their own table."""
    for place, step in enumerate(preprocessor.handle_nulls):
        if step.strategy in LEARNED and tables > 1:
            raise InvalidJob(
                f"{field}.handle_nulls.{place}.strategy",
                f"each of the {tables} tables has another {step.strategy}; give the value to fill in as "
                '{"strategy": "value", "value": …}',
                allowed=["drop", "value"],
            )


def foresee(columns: Sequence[Column], preprocessor: Preprocessor, *, guard: Guard) -> tuple[Column, ...]:
    """The columns after the choice and all that follows it. Raises InvalidJob where something does not fit."""
    chosen = chosen_columns(columns, preprocessor, guard=guard)
    for place, replacement in enumerate(preprocessor.replace):
        _check_replacement(chosen, replacement, place=place, guard=guard)
    for place, step in enumerate(preprocessor.handle_nulls):
        _check_nulls(chosen, step, place=place, guard=guard)
    if leaves_out_rows(preprocessor):
        chosen = _without_identifiers(chosen, preprocessor)
    for place, transformer in enumerate(preprocessor.add_data_transformer):
        chosen = _transformed(chosen, transformer, name=transformer.column, field=f"add_data_transformer.{place}")
    for place, of_target in enumerate(preprocessor.add_target_transformer):
        field = f"add_target_transformer.{place}"
        chosen = _transformed(chosen, of_target, name=target_of(chosen, preprocessor, field=field), field=field)
    return tuple(_typed(column, preprocessor.dtype) for column in chosen)


def chosen_columns(columns: Sequence[Column], preprocessor: Preprocessor, *, guard: Guard) -> list[Column]:
    """The columns that are kept, with the roles that the choice gives them. Raises InvalidJob for one that is not there."""
    by_name = {column.name: column for column in columns}
    for place, added in enumerate(preprocessor.add_column):
        if added.name not in by_name:
            raise InvalidJob(f"add_column.{place}.name", f"there is no column {added.name!r}", allowed=list(by_name))
        if added.target and by_name[added.name].role == "identifier":
            detail = f"{added.name!r} is an identifier and stays one; it cannot be the target"
            raise InvalidJob(f"add_column.{place}.target", detail)
    names = list(by_name) if preprocessor.all_columns else [added.name for added in preprocessor.add_column]
    targets = {added.name: added.target for added in preprocessor.add_column}
    return [replace(by_name[name], role=_role(by_name[name], targets, guard=guard)) for name in names]


def target_of(columns: Sequence[Column], preprocessor: Preprocessor, *, field: str = "add_target_transformer") -> str:
    """The column to predict. Raises InvalidJob when there is not exactly one."""
    named = [added.name for added in preprocessor.add_column if added.target]
    targets = named or [column.name for column in columns if column.role == "target"]
    if len(targets) != 1:
        raise InvalidJob(field, f"{len(targets)} columns are targets; name one in add_column")
    return targets[0]


def leaves_out_rows(preprocessor: Preprocessor) -> bool:
    """Whether rows may go because a value is missing."""
    return any(step.strategy == "drop" for step in preprocessor.handle_nulls)


def _role(column: Column, targets: dict[str, bool], *, guard: Guard) -> str:
    if targets.get(column.name, False):
        return "target"
    is_freed = column.name in targets or any(targets.values())
    return "feature" if column.role == "target" and is_freed and not guard.hides_targets else column.role


def _check_replacement(columns: Sequence[Column], step: Replacement, *, place: int, guard: Guard) -> None:
    field = f"replace.{place}"
    column = _named(columns, step.column, field=field)
    if column is None:
        return
    _check_touchable(column, field=field, guard=guard)
    if not fits_replacement(step)(column):
        raise InvalidJob(f"{field}.old", f"{column.name!r} holds {column.dtype}, which old and new must be too")


def _check_nulls(columns: Sequence[Column], step: NullHandling, *, place: int, guard: Guard) -> None:
    field = f"handle_nulls.{place}"
    column = _named(columns, step.column, field=field)
    if column is None:
        return
    _check_touchable(column, field=field, guard=guard)
    if not fits_nulls(step)(column):
        what = "value" if step.value is not None else "strategy"
        raise InvalidJob(f"{field}.{what}", f"{column.name!r} holds {column.dtype}; this {what} is none for it")


def _named(columns: Sequence[Column], name: str | None, *, field: str) -> Column | None:
    if name is None:
        return None
    found = next((column for column in columns if column.name == name), None)
    if found is None:
        names = [column.name for column in columns]
        raise InvalidJob(f"{field}.column", f"no column {name!r} is selected", allowed=names)
    return found


def _check_touchable(column: Column, *, field: str, guard: Guard) -> None:
    if column.role == "identifier":
        raise InvalidJob(f"{field}.column", f"{column.name!r} is an identifier and stays as it is")
    if column.role == "target" and guard.hides_targets:
        detail = f"{column.name!r} is the target, which this operation must not reveal: it stays as it is"
        raise InvalidJob(f"{field}.column", detail)


def _without_identifiers(columns: Sequence[Column], preprocessor: Preprocessor) -> list[Column]:
    identifiers = {column.name for column in columns if column.role == "identifier"}
    for place, added in enumerate(preprocessor.add_column):
        if added.name in identifiers:
            detail = f"{added.name!r} is an identifier: it cannot be kept beside rows that a job has chosen (drop)"
            raise InvalidJob(f"add_column.{place}.name", detail)
    return [column for column in columns if column.name not in identifiers]


def _transformed(columns: Sequence[Column], step: Transformer, *, name: str, field: str) -> list[Column]:
    column = _named(columns, name, field=field)
    if column is None or (column.role != "feature" and field.startswith("add_data")):
        raise InvalidJob(f"{field}.column", f"{name!r} is no feature", allowed=_features(columns))
    _check_kind(column, step, field=field)
    made = [replace(column, name=new, dtype=dtype_after(step)) for new in names_after(column.name, step)]
    place = columns.index(column)
    after = [*columns[:place], *made, *columns[place + 1 :]]
    if len({column.name for column in after}) != len(after):
        raise InvalidJob(f"{field}.column", f"a new column of {name!r} would have the name of another one")
    if len(after) > MAX_COLUMNS:
        raise InvalidJob(field, f"the table would have more than {MAX_COLUMNS} columns")
    return after


def _features(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns if column.role == "feature"]


def _check_kind(column: Column, step: Transformer, *, field: str) -> None:
    kind = kind_of(column.dtype)
    if isinstance(step, OneHotEncoder | OrdinalEncoder):
        wrong = next((place for place, value in enumerate(step.categories) if not is_of_kind(value, kind)), None)
        if wrong is not None:
            detail = f"{column.name!r} holds {column.dtype}; this category is none of it"
            raise InvalidJob(f"{field}.categories.{wrong}", detail)
    elif kind not in {"number", "truth"}:
        named = "column" if field.startswith("add_data") else "type"
        raise InvalidJob(f"{field}.{named}", f"{column.name!r} holds {column.dtype}; {step.type} needs numbers")


def names_after(name: str, step: Transformer) -> Iterator[str]:
    """The names of the columns that a transformer makes of one."""
    if isinstance(step, OneHotEncoder):
        kept = step.categories[1:] if step.drop == "first" else step.categories
        yield from (f"{name}_{category}" for category in kept)
    elif isinstance(step, Binning) and step.encode == "onehot":
        yield from (f"{name}_{number}" for number in range(step.count))
    else:
        yield name


def dtype_after(step: Transformer) -> str:
    """The type of the columns that a transformer makes."""
    if isinstance(step, OneHotEncoder) or (isinstance(step, Binning) and step.encode == "onehot"):
        return "int8"
    return "int64" if isinstance(step, OrdinalEncoder | Binning) else "double"


def _typed(column: Column, dtype: str | None) -> Column:
    if dtype is None or column.role == "identifier" or kind_of(column.dtype) not in {"number", "truth"}:
        return column
    arrow = {"float16": "halffloat", "float32": "float", "float64": "double"}
    return replace(column, dtype=arrow.get(dtype, dtype))
