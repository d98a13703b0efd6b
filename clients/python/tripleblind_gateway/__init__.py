"""The names of the reference's module, over a tripleblind-gateway: `import tripleblind_gateway as tb`."""

from tripleblind_gateway import job, preprocessor
from tripleblind_gateway.asset import Asset, ModelAsset, TableAsset
from tripleblind_gateway.errors import TripleblindAPIError, TripleblindError, TripleblindProcessError
from tripleblind_gateway.job import (
    AssetUsageProps,
    Job,
    JobResult,
    JobStatus,
    RemoteStatusOutputStream,
    StatusOutputStream,
    create_job,
    fetch_asset,
    status_list,
)
from tripleblind_gateway.operation import (
    BLIND_LEARNING,
    EXECUTE,
    FEDERATED_LEARNING_PROTOCOL,
    PRIVATE_SET_INTERSECTION,
    RECOMMENDER_TRAIN,
    REGRESSION,
    Operation,
)
from tripleblind_gateway.preprocessor import TabularPreprocessor
from tripleblind_gateway.session import Session, initialize

__all__ = [
    "BLIND_LEARNING",
    "EXECUTE",
    "FEDERATED_LEARNING_PROTOCOL",
    "PRIVATE_SET_INTERSECTION",
    "RECOMMENDER_TRAIN",
    "REGRESSION",
    "Asset",
    "AssetUsageProps",
    "Job",
    "JobResult",
    "JobStatus",
    "ModelAsset",
    "Operation",
    "RemoteStatusOutputStream",
    "Session",
    "StatusOutputStream",
    "TableAsset",
    "TabularPreprocessor",
    "TripleblindAPIError",
    "TripleblindError",
    "TripleblindProcessError",
    "create_job",
    "fetch_asset",
    "initialize",
    "job",
    "preprocessor",
    "status_list",
]
