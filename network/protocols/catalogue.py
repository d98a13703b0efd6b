"""The operations this network offers. Importing it loads no numerical library.

The names are those of the `tripleblind` package and of its public documents.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from network.protocols.operation import AssetInfo, Column, InvalidJob, Operation
from network.protocols.parameters import InferenceParams, IntersectionParams, RegressionParams
from network.protocols.rules import inference_rule, intersection_rule, regression_rule

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
)

_REGRESSION = Operation(
    name="REGRESSION",
    description="A linear or logistic regression over the rows of several teams, from securely aggregated sums.",
    module="network.protocols.regression.protocol",
    params=RegressionParams,
    min_datasets=2,
    max_datasets=32,
    message_types=("RegressionTrainingMetrics",),
    rule=regression_rule,
)

_EXECUTE = Operation(
    name="EXECUTE",
    description="A trained model run on one table, where the table is.",
    module="network.protocols.inference",
    params=InferenceParams,
    min_datasets=1,
    max_datasets=1,
    message_types=("InferenceResults",),
    rule=inference_rule,
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {operation.name: operation for operation in (_INTERSECTION, _REGRESSION, _EXECUTE)}
)
