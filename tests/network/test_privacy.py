"""What must not leave an Access Point, and what it does not do without its owner."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from tests.support.network import INTERSECTION, REGRESSION, TEAMS, RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}


def test_no_row_of_data_reaches_the_router(running_network: RunningNetwork) -> None:
    """Its storage and its log are searched byte for byte, after each kind of job has run."""
    matched = running_network.run(INTERSECTION)
    trained = running_network.reached(running_network.run(REGRESSION)["id"], FINAL)
    body = {
        "operation": trained["result"]["asset_id"],
        "dataset": ["globex/holdout"],
        "params": {"stream_output": True},
    }
    scored = running_network.run(body)
    for job in (matched, scored):
        assert running_network.reached(job["id"], FINAL)["market_status"] == "complete"

    stored = _stored(running_network.data_dir / "router")

    assert trained["id"].encode() in stored
    texts, numbers = _values(running_network.data_dir)
    assert [text for text in texts if text.encode() in stored] == []
    # Short numbers occur by chance, as a part of a time for example.
    assert {repr(number) for number in numbers if len(repr(number)) > 5} & _decimals(stored) == set()
    assert not any(np.isin(_doubles(stored, offset), sorted(numbers)).any() for offset in range(8))


def test_what_a_job_came_to_is_told_to_the_team_that_asked_and_to_nobody_else(
    running_network: RunningNetwork,
) -> None:
    """Not to the owners of what it used, and not to the Router, which could pass it on."""
    trained = running_network.reached(running_network.run(REGRESSION)["id"], FINAL)
    scoring = {"operation": trained["result"]["asset_id"], "dataset": ["mercy/breast-cancer"]}
    jobs = [
        trained,
        *(running_network.reached(running_network.run(body)["id"], FINAL) for body in (INTERSECTION, scoring)),
    ]
    results = [_result(running_network, job["id"]) for job in jobs]

    assert [job["result"] for job in jobs] == [{"asset_id": result["asset_id"]} for result in results]
    summaries = [json.loads(result["raw_status"]) for result in results]
    assert [{"loss", "matched", "accuracy"} & summary.keys() for summary in summaries[1:]] == [
        {"matched"},
        {"accuracy"},
    ]
    telling = [*_telling(summaries), *(result["raw_status"] for result in results)]
    stored = _stored(running_network.data_dir / "router")
    seen = _seen_by("mercy", running_network, jobs)
    assert [text for text in telling if text in seen or text.encode() in stored] == []
    # The model is known as the operation of the last job; what was made of it is not.
    assert not any(result["asset_id"] in seen.partition("assets:")[0] for result in results[1:])


def test_the_table_a_job_made_is_described_to_its_own_team_only(running_network: RunningNetwork) -> None:
    """How many rows it has is how many identifiers matched."""
    job = running_network.reached(running_network.run(INTERSECTION)["id"], FINAL)
    asset_id = job["result"]["asset_id"]

    own, other = (running_network.client(team).get(f"/v1/assets/{asset_id}").json() for team in ("globex", "mercy"))

    assert (own["records"] > 0, [column["name"] for column in own["columns"]]) == (True, ["patient_id"])
    assert (other["records"], other["columns"]) == (None, [])
    body = INTERSECTION | {"dataset": [asset_id, "mercy/patients"], "params": {"match_column": "colour"}}
    body |= {"client_ref": asset_id, "job_name": "a guess"}
    refused = running_network.client("mercy").post("/v1/jobs", json=body).json()["error"]
    assert refused["detail"].startswith("mercy/patients has no column")


def test_an_access_point_refuses_a_job_that_its_owner_did_not_accept(running_network: RunningNetwork) -> None:
    """Whatever the Router says: the terms of the job are changed in its storage after the owner agreed."""
    running_network.stop_access_point("globex")
    job = running_network.run(INTERSECTION)
    running_network.stop_router()
    with sqlite3.connect(running_network.data_dir / "router" / "router.sqlite") as db:
        db.execute("UPDATE jobs SET params = ? WHERE id = ?", ('{"match_column":"other"}', job["id"]))
    db.close()

    running_network.start_router()
    running_network.start_access_point("globex")

    after = running_network.reached(job["id"], FINAL)
    assert (after["market_status"], after["error_code"]) == ("error", 1002)
    assert json.loads(running_network.stream(job["id"])[-1])["outcome"] == "error"


def _result(network: RunningNetwork, job_id: str) -> dict[str, str]:
    result: dict[str, str] = json.loads(network.stream(job_id)[-2])["status"]["result"]
    return result


def _telling(summaries: list[dict[str, Any]]) -> list[str]:
    # The names of the summary's members, as JSON, and its numbers that could not be there by chance.
    names = {json.dumps(name) for summary in summaries for name in ("accuracy", "loss", "matched") if name in summary}
    numbers = {repr(value) for summary in summaries for value in summary.values() if isinstance(value, float)}
    return sorted(names) + sorted(number for number in numbers if len(number) > 5)


def _stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def _seen_by(team: str, network: RunningNetwork, jobs: list[dict[str, Any]]) -> str:
    """The jobs, their changes, and then the assets, as the team's token gets them."""
    client = network.client(team)
    read = [client.get(f"/v1/jobs/{job['id']}").text for job in jobs]
    listed = client.get("/v1/jobs").text
    assert all(json.loads(text)["market_status"] == "complete" for text in read)
    return "".join([*read, listed, *_changes(client), "assets:", client.get("/v1/assets").text])


def _changes(client: httpx.Client) -> Iterator[str]:
    """All lines up to the first sign of life after them."""
    with client.stream("GET", "/v1/changes") as feed:
        for place, line in enumerate(feed.iter_lines()):
            if place and "job" not in json.loads(line):
                return
            yield line


def _values(data_dir: Path) -> tuple[set[str], set[float]]:
    """All texts, and all numbers that are not whole, in the tables the teams hold."""
    files = [path for team in TEAMS for path in (data_dir / team / "assets").glob("*.parquet")]
    columns = [column.to_pylist() for path in files for column in pyarrow.parquet.read_table(path).columns]
    values = {value for column in columns for value in column}
    numbers = {value for value in values if isinstance(value, float) and not value.is_integer()}
    assert len(numbers) > 1000
    return {value for value in values if isinstance(value, str)}, numbers


def _decimals(content: bytes) -> set[str]:
    return {found.decode() for found in re.findall(rb"\d+\.\d+", content)}


def _doubles(content: bytes, offset: int) -> NDArray[np.float64]:
    count = (len(content) - offset) // 8
    return np.frombuffer(content, dtype="<f8", offset=offset, count=count)
