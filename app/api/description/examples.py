"""An example of each body, as the carried network would have it."""

from collections.abc import Mapping
from typing import Any

Example = dict[str, Any]

_JOB_ID = "f5950d5e-6b1c-4c0d-9c65-2f1b5a7e9d10"
_MERCY = "0b0f3a52-38c7-4f43-8d5c-0b7ddf3f3b61"
_LAKESIDE = "a3a1c1c4-52a5-4b8a-9a39-8a6f5c3f2e77"
_MODEL = "4d7f1e0a-93f2-4a57-8f0e-5a0c8a1d6b42"
_BEGAN = "2026-03-01T09:30:00.528831Z"
_ENDED = "2026-03-01T09:30:07.104412Z"

_TO_CREATE: Example = {
    "job_name": "benign or malignant",
    "operation": "REGRESSION",
    "dataset": ["mercy/breast-cancer", "lakeside/breast-cancer"],
    "preprocessor": {"all_columns": True, "add_column": [{"name": "target", "target": True}]},
    "params": {"regression_type": "LOGISTIC"},
    "labels": {"study": "bc-7"},
}
_RESULT: Example = {"raw_status": '{"operation": "REGRESSION", "records": 455, "accuracy": 0.989}', "asset_id": _MODEL}
_METRICS: Example = {
    "__type": "RegressionTrainingMetrics",
    "iteration": 6,
    "max_iter": 100,
    "records": 455,
    "loss": 0.0532,
    "gradient_norm": 2.1e-09,
    "accuracy": 0.989,
}
_JOB: Example = {
    "id": _JOB_ID,
    "job_name": "benign or malignant",
    "operation": "REGRESSION",
    "dataset": [_MERCY, _LAKESIDE],
    "preprocessor": [{"all_columns": True, "add_column": [{"name": "target", "target": True}]}],
    "params": {"regression_type": "LOGISTIC"},
    "labels": {"study": "bc-7"},
    "stream_to": [],
    "owner": {"user": "owner@globex", "team": "globex"},
    "created_by": "vera",
    "created": _BEGAN,
    "submitted": _BEGAN,
    "started": _BEGAN,
    "finished": _ENDED,
    "phase": "complete",
    "status": 4,
    "market_status": "complete",
    "waiting_on": [],
    "why": None,
    "message": "Complete",
    "model_status": {
        "type": "RegressionTrainingMetrics",
        "latest": _METRICS,
        "parties": {"all": {"6": {"records": 455, "loss": 0.0532, "gradient_norm": 2.1e-09, "accuracy": 0.989}}},
    },
    "error": "",
    "error_code": None,
    "result": _RESULT,
}
_WAITING: Example = {
    **_JOB,
    "started": None,
    "finished": None,
    "phase": "waiting_on_permission",
    "status": 0,
    "market_status": "perm",
    "waiting_on": [{"asset_id": _MERCY, "asset": "mercy/breast-cancer", "team": "mercy", "since": _BEGAN}],
    "why": {
        "kind": "permission",
        "waiting_on": [{"asset_id": _MERCY, "asset": "mercy/breast-cancer", "team": "mercy", "since": _BEGAN}],
    },
    "message": "Waiting on permission to use mercy/breast-cancer from mercy",
    "model_status": None,
    "result": None,
}
_STOPPED: Example = {
    **_WAITING,
    "finished": _ENDED,
    "waiting_on": [],
    "why": {"kind": "decision", "reason": "owner@globex: wrong table"},
}
_FRESH: Example = {"observed_at": _ENDED, "stale": False}
_STATUS: Example = {
    "id": "1f2c7c43-0f3e-4f9c-93c5-3d6f8f0f7a55",
    "job_id": _JOB_ID,
    "code": 4,
    "status": "complete",
    "when": _ENDED,
    "communications": 58,
    "error": "",
    "error_code": None,
    "result": _RESULT,
}
_ASSET: Example = {
    "id": _MERCY,
    "name": "mercy/breast-cancer",
    "team": "mercy",
    "kind": "table",
    "columns": [{"name": "patient_id", "dtype": "string", "role": "identifier"}],
    "records": 228,
    "job_id": None,
    "temporary": False,
    "created": _BEGAN,
}
_OPERATION: Example = {
    "name": "PRIVATE_SET_INTERSECTION",
    "description": "Which rows of one's own table have their identifier in another team's table too.",
    "params": {"type": "object", "properties": {"match_column": {"type": "string", "default": "patient_id"}}},
    "preprocessor": None,
    "datasets": {"min": 2, "max": 2},
    "message_types": ["PSIMetrics"],
    "available": True,
    "why_not": None,
}
_REQUEST: Example = {
    "job_id": _JOB_ID,
    "asset_id": _MERCY,
    "asset": "mercy/breast-cancer",
    "owner_team": "mercy",
    "team": "globex",
    "user": "owner@globex",
    "job_name": "benign or malignant",
    "operation": "REGRESSION",
    "params": {"regression_type": "LOGISTIC"},
    "preprocessor": None,
    "since": _BEGAN,
    "state": "accepted",
    "decided_by": "owner@mercy",
    "decided_at": _ENDED,
    "reason": "within the study",
}
_TO_AGREE: Example = {
    "to_team": "mercy",
    "asset_id": "globex/holdout",
    "protocol": "REGRESSION",
    "expiration": "2027-01-01T00:00:00Z",
    "run_limit": 10,
}
_AGREEMENT: Example = {
    "id": "7c9f7a30-2b8a-4c1f-8a55-0d6d2f4c9e18",
    "team": "globex",
    "to_team": "mercy",
    "asset_id": _LAKESIDE,
    "asset": "globex/holdout",
    "asset_restricted": True,
    "expiration": "2027-01-01T00:00:00Z",
    "run_limit": 10,
    "runs": 2,
    "algorithm": None,
    "algorithm_security": None,
    "protocol": "REGRESSION",
    "created": _BEGAN,
    "created_by": "owner@globex",
    "ended": None,
    "ended_by": None,
    "state": "active",
}
_APPROVAL: Example = {
    "asset_id": _MERCY,
    "asset": "mercy/breast-cancer",
    "team": "mercy",
    "use": "data",
    "agreement_id": None,
}
_ACTION: Example = {
    "id": 17,
    "when": _BEGAN,
    "verb": "create",
    "user": "vera",
    "key_id": "k3J9dQ2x",
    "router_user": None,
    "asset_id": None,
    "reason": None,
    "outcome": "done",
    "answers": [],
}
_EVENT: Example = {
    "id": 12,
    "event": "message",
    "source": "access_point",
    "when": _BEGAN,
    "received": _BEGAN,
    "late": False,
    "data": _METRICS,
    "text": {
        "lines": [
            "Regression, iteration 6 of 100",
            "Records: 455",
            "Loss: 0.0532",
            "Gradient norm: 2.1e-09",
            "Accuracy: 0.989",
        ],
        "line": "Regression, iteration 6 of 100: records 455, loss 0.0532, gradient norm 2.1e-09, accuracy 0.989",
    },
}

# By the name of the schema.
EXAMPLES: Mapping[str, Example] = {
    "JobToCreate": _TO_CREATE,
    "Reason": {"reason": "wrong table"},
    "StreamWanted": {"job_id": _JOB_ID},
    "AgreementToMake": _TO_AGREE,
    "JobView": _WAITING,
    "JobSeen": {**_JOB, "queue": [], "changed": None, **_FRESH},
    "JobPage": {"items": [_WAITING], "next_cursor": None, "partial": False, "as_of": 12, **_FRESH},
    "Cancelled": {"cancelled": True, "job": {**_STOPPED, "phase": "cancelled", "market_status": "cancelled"}},
    "Killed": {"killed": True, "job": {**_STOPPED, "phase": "killed", "market_status": "killed"}},
    "Statuses": {"items": [_STATUS]},
    "StatusPage": {"items": [_STATUS], "next_cursor": None, "as_of": 12, **_FRESH},
    "StatisticsView": {
        "jobs": 3,
        "phases": {"waiting_on_permission": 1, "complete": 2},
        "operations": [{"value": "REGRESSION", "jobs": 3, "phases": {"waiting_on_permission": 1, "complete": 2}}],
        "owners": [{"value": "owner@globex", "jobs": 3, "phases": {"waiting_on_permission": 1, "complete": 2}}],
        "days": [{"value": "2026-03-01", "jobs": 3, "phases": {"waiting_on_permission": 1, "complete": 2}}],
        "waiting_on_permission": {"stays": 2, "p50_s": 41.2, "p90_s": 96.5},
        "waiting_on_queue": {"stays": 2, "p50_s": 0.02, "p90_s": 0.09},
        "running": {"stays": 2, "p50_s": 3.1, "p90_s": 3.4},
        "as_of": 41,
        **_FRESH,
    },
    "HistoryPage": {"items": [_EVENT], "next_after": None},
    "ActionList": {"items": [_ACTION]},
    "ResultView": _RESULT,
    "TableView": {"columns": ["row", "prediction"], "rows": [[0, 1]], "offset": 0, "records": 1, "next_offset": None},
    "AssetView": _ASSET,
    "AssetList": {"items": [_ASSET]},
    "UsageView": {"status": "data"},
    "PreflightView": {"status": "data", "approvals": [_APPROVAL]},
    "OperationList": {"items": [_OPERATION]},
    "AccessRequestView": _REQUEST,
    "AccessRequestList": {"items": [_REQUEST]},
    "AgreementView": _AGREEMENT,
    "AgreementList": {"items": [_AGREEMENT]},
    "StreamTicket": {
        "ticket": "Kx0S1cVb2m3nQw",
        "url": f"/v1/jobs/{_JOB_ID}/events?ticket=Kx0S1cVb2m3nQw",
        "expires": _ENDED,
    },
    "Health": {"status": "ready"},
    "StatusView": _STATUS,
    "EventView": _EVENT,
    "PhaseChange": {
        "job_id": _JOB_ID,
        "phase": "waiting_on_permission",
        "previous": "created",
        "when": _BEGAN,
        "why": _WAITING["why"],
        "actor": {"user": "ada", "router_user": "owner@globex", "team": "globex"},
        "reason": None,
    },
    "UpstreamChange": {"job_id": _JOB_ID, "state": "lost", "since": _BEGAN},
    "JobEnd": {"job_id": _JOB_ID, "phase": "complete"},
    "JobSnapshot": {"job": _WAITING, "as_of": 12},
    "FeedSnapshot": {"as_of": 12},
    "Gap": {"after": 12, "resumes_at": 4711},
    "TypedMessage": _METRICS,
    "FeedMessage": {"job_id": _JOB_ID, "message": _METRICS},
    "Text": _EVENT["text"],
    "FeedText": {"job_id": _JOB_ID, **_EVENT["text"]},
    "Problem": {
        "type": "urn:tripleblind-gateway:problem:job-finished",
        "title": "Conflict",
        "status": 409,
        "detail": "The job is complete; nothing is left to stop.",
        "instance": f"/v1/jobs/{_JOB_ID}/kill",
        "code": "job-finished",
        "request_id": "78f4f353-3c57-4f06-9f7e-2d0d0d7f9a11",
    },
}
