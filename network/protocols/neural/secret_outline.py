"""What the three parties of a secret execution tell each other in clear: never a row, never a weight."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from network.protocols.neural.triples import LayerSize
from network.protocols.party import JobFailed, Party

NEEDS_TOPIC, OUTLINE_TOPIC, COUNT_TOPIC = "needs", "outline", "count"

_MOST_NUMBERS = 1 << 20
_Units = Annotated[int, Field(ge=1, le=128)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Outline(_Message):
    """What all three know of the model: its kind and the sizes of its layers, no number of it."""

    kind: Literal["LINEAR", "LOGISTIC", "NETWORK"]
    classifies: bool
    inputs: int = Field(ge=1, le=100_000)
    units: tuple[_Units, ...] = Field(min_length=1, max_length=9)
    squares: tuple[bool, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.squares) != len(self.units):
            raise ValueError("it is not said of each layer whether it is a square")
        if self.units[-1] != 1 and not self.classifies:
            raise ValueError("the layers of a value do not end in one unit")
        return self

    def sizes(self, rows: int) -> list[LayerSize]:
        """The layers over a batch of so many rows."""
        widths = zip((self.inputs, *self.units[:-1]), self.units, self.squares, strict=True)
        return [LayerSize(rows=rows, inputs=inputs, units=units, square=square) for inputs, units, square in widths]

    def batches(self, records: int, *, batch_size: int) -> Iterator[slice]:
        """The rows of each batch: `batch_size`, or fewer where a layer is so wide that its numbers would be too many."""
        size = max(1, min(batch_size, _MOST_NUMBERS // max(self.inputs, *self.units)))
        for start in range(0, records, size):
            yield slice(start, min(start + size, records))


class Needs(_Message):
    """What the table's owner is told of the model besides: which columns it takes, and how they are standardised."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not len(self.mean) == len(self.scale) == len(self.features):
            raise ValueError("there is not one mean and one scale for each feature")
        return self


class Count(_Message):
    """What the others are told of the table: how many rows it has."""

    records: int = Field(ge=0)


_Told = TypeVar("_Told", bound=_Message)


def tell(party: Party, teams: Sequence[str], topic: str, message: _Message) -> None:
    """Say the same to several teams."""
    for team in teams:
        party.send(team, topic, message.model_dump_json().encode())


def heard(party: Party, team: str, topic: str, kind: type[_Told]) -> _Told:
    """Wait for what a team says. Raises JobFailed when it is something else."""
    try:
        return kind.model_validate_json(party.receive(team, topic))
    except ValidationError as exc:
        raise JobFailed(f"{team} sent nothing that can be read for {topic}") from exc
