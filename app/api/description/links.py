"""What leads to what: an answer's ids are where the next operation begins."""

from collections.abc import Mapping
from typing import Any

Links = dict[str, dict[str, Any]]


def _links(parameters: Mapping[str, str], *names: str) -> Links:
    return {name: {"operationId": name, "parameters": dict(parameters)} for name in names}


_OF_A_JOB = (
    "getJob",
    "submitJob",
    "cancelJob",
    "killJob",
    "waitForJob",
    "jobStatuses",
    "jobHistory",
    "jobActions",
    "jobEvents",
    "jobResult",
    "jobResultAsset",
    "jobResultTable",
)
_REQUEST = {"asset_id": "$response.body#/items/0/asset_id", "job_id": "$response.body#/items/0/job_id"}

LINKS: Mapping[str, Mapping[str, Links]] = {
    "createJob": {"201": _links({"job_id": "$response.body#/id"}, *_OF_A_JOB)},
    "findJob": {"200": _links({"job_id": "$response.body#/id"}, *_OF_A_JOB)},
    "findAllJobs": {
        "200": {
            **_links({"job_id": "$response.body#/items/0/id"}, "getJob"),
            **_links({"cursor": "$response.body#/next_cursor"}, "findAllJobs"),
            **_links({"after": "$response.body#/as_of"}, "events"),
        }
    },
    "createAsset": {"201": _links({"asset_id": "$response.body#/id"}, "getAsset")},
    "assets": {"200": _links({"asset_id": "$response.body#/items/0/id"}, "getAsset")},
    "accessRequests": {"200": _links(_REQUEST, "acceptAccessRequest", "denyAccessRequest")},
    "createAgreement": {"201": _links({"agreement_id": "$response.body#/id"}, "endAgreement")},
}
