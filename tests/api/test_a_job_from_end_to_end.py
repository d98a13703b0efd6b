"""A job with HTTP alone: created, submitted, allowed by its owners, followed, and its results fetched."""

import csv
import io
import json

from tests.support.events import Event
from tests.support.gateway import Caller, Finished
from tests.support.network import REGRESSION

_JOB_FIELDS = {
    "id",
    "job_name",
    "operation",
    "dataset",
    "preprocessor",
    "params",
    "labels",
    "stream_to",
    "owner",
    "created_by",
    "created",
    "submitted",
    "started",
    "finished",
    "phase",
    "status",
    "market_status",
    "waiting_on",
    "why",
    "message",
    "model_status",
    "error",
    "error_code",
    "result",
}
_SINGLE_READS_ADD = {"observed_at", "stale", "queue", "changed"}


async def test_a_new_job_is_created_and_not_begun(caller: Caller) -> None:
    """Creation and submission are two steps, as in the reference."""
    answer = await caller.client.post("/v1/jobs", json={"job_name": "new", "labels": {"study": "a"}, **REGRESSION})

    job = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["phase"], job["status"], job["submitted"]) == ("created", 0, None)
    assert job["labels"] == {"study": "a"}
    assert job["why"] == {"kind": "not_submitted"}
    assert job.keys() == _JOB_FIELDS
    assert (await caller.get(f"/v1/jobs/{job['id']}")).keys() == _JOB_FIELDS | _SINGLE_READS_ADD


async def test_a_job_waits_for_every_owner_and_says_for_whom(caller: Caller) -> None:
    """The question "why is it not running?" is answered as data."""
    job = await caller.submit((await caller.create(REGRESSION))["id"])

    assert job["phase"] == "waiting_on_permission"
    assert {(one["asset"], one["team"]) for one in job["waiting_on"]} == {
        ("mercy/breast-cancer", "mercy"),
        ("lakeside/breast-cancer", "lakeside"),
    }
    assert job["why"] == {"kind": "permission", "waiting_on": job["waiting_on"]}
    assert "mercy/breast-cancer from mercy" in job["message"]


async def test_one_grant_of_two_leaves_the_job_waiting_for_the_other(caller: Caller) -> None:
    """The stream tells each grant, so that nobody chases an owner who has said yes."""
    job = await caller.waiting(REGRESSION)
    mercys = next(one for one in job["waiting_on"] if one["team"] == "mercy")

    async with caller.listening(f"/v1/jobs/{job['id']}/events") as events:
        caller.accept({**job, "waiting_on": [mercys]})
        told = await anext(event async for event in events if _waits_for(event) == ["lakeside"])

    assert told.json["previous"] == "waiting_on_permission"
    seen = await caller.get(f"/v1/jobs/{job['id']}")
    assert [one["team"] for one in seen["waiting_on"]] == ["lakeside"]


async def test_a_job_goes_through_its_phases_in_order(caller: Caller, finished: Finished) -> None:
    """From nothing to complete; how long it queued or started depends on the moment, the order does not."""
    events = await caller.until_end(finished.regression["id"])

    phases = [event.json["phase"] for event in events if event.name == "phase"]
    order = [*dict.fromkeys(phases)]
    assert order[:2] == ["created", "waiting_on_permission"]
    assert order[-3:] == ["starting", "in_progress", "complete"]
    assert set(order) <= {"created", "waiting_on_permission", "waiting_on_queue", "starting", "in_progress", "complete"}
    assert [event.id for event in events] == sorted({event.id for event in events})


async def test_the_messages_come_between_the_grant_and_the_end(caller: Caller, finished: Finished) -> None:
    """What the Access Points say is the reason to watch at all."""
    events = await caller.until_end(finished.regression["id"])

    messages = [event.json for event in events if event.name == "message"]
    kinds = [message if isinstance(message, str) else message["__type"] for message in messages]
    assert "starting" in kinds
    assert "RegressionTrainingMetrics" in kinds
    assert events[-1].json == {"job_id": finished.regression["id"], "phase": "complete"}


async def test_a_finished_job_shows_what_it_was_and_what_it_made(finished: Finished) -> None:
    """The job alone answers what the reference's attributes answer."""
    job = finished.regression

    assert (job["phase"], job["status"], job["market_status"]) == ("complete", 4, "complete")
    assert job["owner"]["team"] == "globex"
    assert job["created"] <= job["submitted"] <= job["started"] <= job["finished"]
    assert job["model_status"]["type"] == job["model_status"]["latest"]["__type"] == "RegressionTrainingMetrics"
    assert str(job["model_status"]["latest"]["iteration"]) in job["model_status"]["parties"]["all"]
    assert (job["waiting_on"], job["why"], job["error"], job["error_code"]) == ([], None, "", None)
    assert job["result"]["asset_id"] is not None
    assert job["stale"] is False


async def test_statuses_tell_in_progress_and_then_complete(caller: Caller, finished: Finished) -> None:
    """The reference: a job shows 0, then 3 and later."""
    statuses = (await caller.get(f"/v1/jobs/{finished.regression['id']}/statuses"))["items"]

    codes = [status["code"] for status in statuses]
    assert (codes[0], codes[-1]) == (3, 4)
    assert set(codes) == {3, 4}
    assert {status["job_id"] for status in statuses} == {finished.regression["id"]}
    assert len({status["id"] for status in statuses}) == len(statuses)
    assert statuses[-1]["communications"] > 0


async def test_history_holds_what_the_stream_told_with_who_said_it(caller: Caller, finished: Finished) -> None:
    """The stream is a view of the log; the log keeps more."""
    job_id = finished.intersection["id"]
    told = await caller.until_end(job_id)

    history = (await caller.get(f"/v1/jobs/{job_id}/history"))["items"]

    kept = [(row["id"], row["event"], row["data"]) for row in history if not row["late"]]
    assert kept == [(event.id, event.name, event.json) for event in told]
    sources = {row["event"]: row["source"] for row in history}
    assert (sources["message"], sources["status"], sources["end"]) == ("access_point", "access_point", "gateway")


async def test_history_in_pages_is_the_history(caller: Caller, finished: Finished) -> None:
    """A long job's history does not fit one answer."""
    path = f"/v1/jobs/{finished.intersection['id']}/history"
    whole = (await caller.get(path))["items"]

    pages, after = [], "0"
    while after:
        page = await caller.get(path, after=after, limit="3")
        pages += page["items"]
        after = str(page["next_after"] or "")

    assert pages == whole


async def test_the_raw_result_is_the_access_points_text(caller: Caller, finished: Finished) -> None:
    """The reference's `raw_status`, and the asset beside it."""
    result = await caller.get(f"/v1/jobs/{finished.intersection['id']}/result")

    assert result == finished.intersection["result"]
    assert json.loads(result["raw_status"])["operation"] == "PRIVATE_SET_INTERSECTION"


async def test_a_table_comes_as_json_and_as_csv_with_the_same_rows(caller: Caller, finished: Finished) -> None:
    """Two spellings of one table, both of an operation's own output and of a model's."""
    for job in (finished.intersection, finished.inference):
        path = f"/v1/jobs/{job['id']}/result/table"
        as_json = await caller.client.get(path, headers={"Accept": "application/json"})
        as_csv = await caller.client.get(path, headers={"Accept": "text/csv"})

        columns, *rows = csv.reader(io.StringIO(as_csv.text))
        table = as_json.json()
        assert as_json.headers["Content-Type"] == "application/json"
        assert as_csv.headers["Content-Type"].startswith("text/csv")
        assert columns == table["columns"]
        assert [row[0] for row in rows] == [str(row[0]) for row in table["rows"]]
        assert len(rows) > 1


async def test_an_intersection_holds_the_common_identifiers(caller: Caller, finished: Finished) -> None:
    """The result is right, not only there."""
    table = await caller.get(f"/v1/jobs/{finished.intersection['id']}/result/table")
    mine = caller.network.client("globex").get("/v1/assets", params={"name": "globex/patients"}).json()["items"][0]

    identifiers = {row[table["columns"].index("patient_id")] for row in table["rows"]}
    assert 0 < len(identifiers) < mine["records"]
    assert len(identifiers) == len(table["rows"])


async def test_a_trained_model_comes_as_bytes(caller: Caller, finished: Finished) -> None:
    """An asset that is no table is fetched as it is stored."""
    answer = await caller.client.get(f"/v1/jobs/{finished.regression['id']}/result/asset")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert len(answer.content) > 100


async def test_a_model_is_no_table(caller: Caller, finished: Finished) -> None:
    """The refusal says where the bytes are instead."""
    answer = await caller.client.get(f"/v1/jobs/{finished.regression['id']}/result/table")

    assert (answer.status_code, answer.json()["code"]) == (404, "result-not-found")
    assert "/result/asset" in answer.json()["detail"]


async def test_a_table_in_a_form_nobody_makes_is_refused(caller: Caller, finished: Finished) -> None:
    """The allowed forms stand in the answer."""
    path = f"/v1/jobs/{finished.intersection['id']}/result/table"
    answer = await caller.client.get(path, headers={"Accept": "image/png"})

    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    assert "text/csv" in answer.json()["allowed"]


async def test_the_result_of_a_job_that_has_not_ended_is_not_there_yet(caller: Caller) -> None:
    """409 and not 404: it may come."""
    job = await caller.create(REGRESSION)

    answer = await caller.client.get(f"/v1/jobs/{job['id']}/result")

    assert (answer.status_code, answer.json()["code"]) == (409, "job-not-finished")


async def test_inference_streams_its_results_as_they_are_made(caller: Caller, finished: Finished) -> None:
    """`stream_output` puts every batch on the stream; together they are the result's rows."""
    events = await caller.until_end(finished.inference["id"])
    table = await caller.get(f"/v1/jobs/{finished.inference['id']}/result/table")

    messages = [event.json for event in events if event.name == "message" and isinstance(event.json, dict)]
    batches = [message["result"] for message in messages if message["__type"] == "InferenceResults"]
    assert len(batches) > 1
    assert [row[0] for batch in batches for row in batch] == [
        row[table["columns"].index("probability")] for row in table["rows"]
    ]


def _waits_for(event: Event) -> list[str] | None:
    if event.name != "phase" or event.json["phase"] != "waiting_on_permission":
        return None
    return [one["team"] for one in event.json["why"]["waiting_on"]]
