"""What a job can run that is no trained model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tripleblind_gateway.session import session_or_default

if TYPE_CHECKING:
    from tripleblind_gateway.session import Session


@dataclass(frozen=True)
class Operation:
    """A protocol or operator that the Router knows by this name."""

    name: str

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def all(session: "Session | None" = None) -> "list[Operation]":
        """Those that jobs can name now."""
        items = session_or_default(session).get("/v1/operations")["items"]
        return [Operation(one["name"]) for one in items if one["available"]]


PRIVATE_SET_INTERSECTION = Operation("PRIVATE_SET_INTERSECTION")
REGRESSION = Operation("REGRESSION")
FEDERATED_LEARNING_PROTOCOL = Operation("FEDERATED_LEARNING_PROTOCOL")
BLIND_LEARNING = Operation("BLIND_LEARNING")
RECOMMENDER_TRAIN = Operation("RECOMMENDER_TRAIN")
EXECUTE = Operation("EXECUTE")
