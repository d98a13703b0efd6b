"""What must not leave an Access Point, and what it does not do without its owner."""

import json
import re
import sqlite3
from pathlib import Path

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

    stored = b"".join(path.read_bytes() for path in (running_network.data_dir / "router").iterdir() if path.is_file())

    assert trained["id"].encode() in stored
    texts, numbers = _values(running_network.data_dir)
    assert [text for text in texts if text.encode() in stored] == []
    # Short numbers occur by chance, as a part of a time for example.
    assert {repr(number) for number in numbers if len(repr(number)) > 5} & _decimals(stored) == set()
    assert not any(np.isin(_doubles(stored, offset), sorted(numbers)).any() for offset in range(8))


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
