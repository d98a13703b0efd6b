"""What the Access Points say while they train arrives as messages, as text, and as metrics by party and epoch."""

from typing import Any

import pytest

from tests.support.gateway import Caller

_TABLES = ["mercy/breast-cancer", "lakeside/breast-cancer"]


@pytest.mark.parametrize(
    ("operation", "params", "kind", "parties"),
    [
        ("FEDERATED_LEARNING_PROTOCOL", {"epochs": 2}, "FederatedTrainMetrics", {"all"}),
        ("BLIND_LEARNING", {"epochs": 2, "batch_size": 128}, "SplitTrainMetrics", {"0", "1"}),
        ("REGRESSION", {"regression_type": "LINEAR"}, "RegressionTrainingMetrics", {"all"}),
    ],
)
async def test_each_kind_of_training_tells_its_metrics(
    caller: Caller, operation: str, params: dict[str, Any], kind: str, parties: set[str]
) -> None:
    """On the running network, over HTTP, in each of the three forms."""
    job = await caller.finished({"operation": operation, "dataset": _TABLES, "params": params})
    assert job["phase"] == "complete", job["error"]

    history = (await caller.get(f"/v1/jobs/{job['id']}/history", limit="1000"))["items"]
    told = [row for row in history if row["event"] == "message" and isinstance(row["data"], dict)]
    assert {row["data"]["__type"] for row in told} == {kind}
    assert all(row["text"]["lines"] and row["text"]["line"] for row in told)

    status = job["model_status"]
    assert (status["type"], status["latest"]) == (kind, told[-1]["data"])
    assert status["parties"].keys() >= parties
    assert all(numbers for epochs in status["parties"].values() for numbers in epochs.values())
