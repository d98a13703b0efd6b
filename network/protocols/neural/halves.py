"""What both sides of a split network know: its two halves, how many rows each owner brings, and in what batches."""

import json
from collections.abc import Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.neural.layers import Layers, flat, initial, unflatten
from network.protocols.neural.parts import DIVERGED, shape_of
from network.protocols.parameters import BlindLearningParams
from network.protocols.party import JobFailed

_LIMIT = 2.0**30

COUNTS_TOPIC = "counts"
ACTIVATIONS_TOPIC, SLOPES_TOPIC, TEST_TOPIC = "activations", "slopes", "test-activations"
HALF_TOPIC, AVERAGE_TOPIC = "half", "average"


class Counts(BaseModel):
    """How many rows an owner trains on, and how many it keeps aside to test with."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    training: int = Field(ge=1)
    test: int = Field(ge=1)

    def to_bytes(self) -> bytes:
        """As it travels."""
        return json.dumps(self.model_dump()).encode()

    @classmethod
    def from_bytes(cls, payload: bytes, *, team: str) -> "Counts":
        """What `team` sent. Raises JobFailed when it is something else."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as exc:
            raise JobFailed(f"{team} sent no numbers of its rows") from exc


def halves(features: int, *, params: BlindLearningParams) -> tuple[Layers, Layers]:
    """The owners' layers and the initiator's, as they are before the first step."""
    layers = initial(features, shape_of([*params.client_layers, *params.server_layers]), seed=params.seed)
    cut = len(params.client_layers)
    return layers[:cut], layers[cut:]


def cut_units(params: BlindLearningParams) -> int:
    """How many numbers about a row go to the initiator each time the row is used."""
    return params.client_layers[-1].units


def batches(rows: int, *, size: int) -> Iterator[slice]:
    """The places of the rows of each batch; only the last may be smaller."""
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def stepped(layers: Layers, gradient: Reals, *, rate: float) -> Layers:
    """The layers after one step. Raises JobFailed when they have grown beyond use, or are no numbers any more."""
    numbers = flat(layers) - rate * gradient
    # Written so that what is not a number is refused as well.
    if not (np.abs(numbers) < _LIMIT).all():
        raise JobFailed(DIVERGED)
    return unflatten(numbers, like=layers)
