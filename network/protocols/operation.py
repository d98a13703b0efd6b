"""What an operation is, before any of it runs: its name, its params, and which jobs it accepts.

Light on purpose: the Router reads the catalogue and computes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from network.protocols.preprocessor import ColumnChoice, Preprocessor


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the index of assets shows it; `role` is identifier, feature or target."""

    name: str
    dtype: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetInfo:
    """What the index of assets says about an input of a job; `columns` is empty before its bytes have arrived."""

    asset_id: str
    name: str
    team: str
    kind: str
    columns: tuple[Column, ...] = ()


class InvalidJob(Exception):
    """A job that no party should start: which field of it is wrong, why, and what would be allowed.

    `field` is dotted as in the body (`dataset.1`, `params.target`); `allowed` is None where there is no closed set.
    """

    def __init__(self, field: str, detail: str, *, allowed: Sequence[str] | None = None) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail
        self.allowed = allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A job that somebody wants to run: who, on which inputs, with which params."""

    initiator: str
    datasets: Sequence[AssetInfo]
    params: BaseModel

    @property
    def teams(self) -> list[str]:
        """The teams that hold inputs, each once, sorted."""
        return sorted({dataset.team for dataset in self.datasets})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing a job can compute.

    `module` is the dotted path of the module whose `run(party)` computes it; it is imported only where a job runs.
    `why_not` says why this machine cannot offer it, None where it can. `preprocessor` is what it takes of one, None where
    it takes none. `hides_targets` is for an operation that gives back a function of each row: no target may get into it.
    """

    name: str
    description: str
    module: str
    params: type[BaseModel]
    min_datasets: int
    max_datasets: int
    message_types: tuple[str, ...]
    rule: Callable[[Proposal], None]
    why_not: str | None = None
    preprocessor: type[ColumnChoice] | None = Preprocessor
    hides_targets: bool = False

    def check(self, *, initiator: str, datasets: Sequence[AssetInfo], params: BaseModel) -> None:
        """Raise InvalidJob when the job could not give a result that its owners can agree to."""
        self._check_count(len(datasets))
        _check_tables(datasets)
        _check_distinct(datasets)
        self.rule(Proposal(initiator=initiator, datasets=datasets, params=params))

    def _check_count(self, given: int) -> None:
        if self.min_datasets <= given <= self.max_datasets:
            return
        wanted = f"{self.min_datasets} to {self.max_datasets} datasets"
        if self.min_datasets == self.max_datasets:
            wanted = f"exactly {self.min_datasets} {'dataset' if self.min_datasets == 1 else 'datasets'}"
        raise InvalidJob("dataset", f"{self.name} takes {wanted}, {given} given")


def _check_tables(datasets: Sequence[AssetInfo]) -> None:
    for place, dataset in enumerate(datasets):
        if dataset.kind != "table":
            raise InvalidJob(f"dataset.{place}", f"{dataset.name} is a {dataset.kind}, not a table", allowed=["table"])


def _check_distinct(datasets: Sequence[AssetInfo]) -> None:
    seen: set[str] = set()
    for place, dataset in enumerate(datasets):
        if dataset.asset_id in seen:
            raise InvalidJob(f"dataset.{place}", f"{dataset.name} is given twice; its rows would count twice")
        seen.add(dataset.asset_id)
