"""The operations this network offers. Importing it loads no numerical library.

The names are those of the `tripleblind` package and of its public documents.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from network.protocols.operation import AssetInfo, Column, InvalidJob, Operation
from network.protocols.parameters import (
    BlindLearningParams,
    FederatedParams,
    InferenceParams,
    IntersectionParams,
    RecommenderParams,
    RegressionParams,
)
from network.protocols.preprocessor import ColumnChoice
from network.protocols.rules import inference_rule, intersection_rule, recommender_rule, training_rule

__all__ = ["OPERATIONS", "AssetInfo", "Column", "InvalidJob", "Operation"]


def _missing(module: str, *, package: str) -> str | None:
    if find_spec(module) is not None:
        return None
    return f"{package} is not installed here; it has wheels for CPython up to 3.13 on x86-64 Linux"


_INTERSECTION = Operation(
    name="PRIVATE_SET_INTERSECTION",
    description="Which rows of one's own table have their identifier in another team's table too, and nothing about "
    "the identifiers that do not match.",
    module="network.protocols.private_set_intersection",
    params=IntersectionParams,
    min_datasets=2,
    max_datasets=2,
    message_types=("PSIMetrics",),
    rule=intersection_rule,
    why_not=_missing("private_set_intersection", package="openmined-psi"),
    # Rows that a job has chosen by what they say would tell it of each identifier that matches.
    preprocessor=ColumnChoice,
)

_REGRESSION = Operation(
    name="REGRESSION",
    description="A linear or logistic regression over the rows of several teams, from securely aggregated sums.",
    module="network.protocols.regression.protocol",
    params=RegressionParams,
    min_datasets=2,
    max_datasets=32,
    message_types=("RegressionTrainingMetrics",),
    rule=training_rule,
)

_FEDERATED = Operation(
    name="FEDERATED_LEARNING_PROTOCOL",
    description="A neural network over the rows of several teams, from securely aggregated sums.",
    module="network.protocols.neural.federated",
    params=FederatedParams,
    min_datasets=2,
    max_datasets=32,
    message_types=("FederatedTrainMetrics",),
    rule=training_rule,
)

_BLIND = Operation(
    name="BLIND_LEARNING",
    description="A neural network over the rows of several teams, by split learning: its first layers run at the owners, "
    "the others at the team that starts the job, which gets the targets and what the first layers make of each row.",
    module="network.protocols.neural.blind",
    params=BlindLearningParams,
    min_datasets=2,
    max_datasets=32,
    message_types=("SplitTrainMetrics",),
    rule=training_rule,
    # It could make any column the target, which leaves its owner, or one feature look like many.
    preprocessor=None,
)

_RECOMMENDER = Operation(
    name="RECOMMENDER_TRAIN",
    description="Item factors from the ratings of several teams' users, from securely aggregated sums; the factors of users "
    "stay with their owner.",
    module="network.protocols.recommender.protocol",
    params=RecommenderParams,
    min_datasets=2,
    max_datasets=32,
    message_types=("RecommenderTrainMetrics",),
    rule=recommender_rule,
    # Made-up items and users would get around what an owner asks of their number.
    preprocessor=ColumnChoice,
)

_EXECUTE = Operation(
    name="EXECUTE",
    description="A trained model run on one table: where the table is, or with both hidden from each other.",
    module="network.protocols.inference",
    params=InferenceParams,
    min_datasets=1,
    max_datasets=1,
    message_types=("InferenceResults", "NNFEDMetrics", "NNSMPCMetrics"),
    rule=inference_rule,
    hides_targets=True,
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        operation.name: operation
        for operation in (_INTERSECTION, _REGRESSION, _FEDERATED, _BLIND, _RECOMMENDER, _EXECUTE)
    }
)
