"""What a job left behind: in every form, in parts, and again where a download broke off."""

import csv
import io
import re
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.gateway import Caller, Finished

ROWS = 114  # of globex/holdout, which the model was applied to
FORMS = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}


@pytest.fixture
def table(finished: Finished) -> str:
    """Where the predictions are."""
    return f"/v1/jobs/{finished.inference['id']}/result/table"


@pytest.fixture
def model(finished: Finished) -> str:
    """Where the model's bytes are."""
    return f"/v1/jobs/{finished.regression['id']}/result/asset"


def rows_of(answer: httpx.Response) -> list[list[Any]]:
    """The rows, whatever the form."""
    kind = answer.headers["Content-Type"].partition(";")[0]
    if kind == FORMS["json"]:
        return list(answer.json()["rows"])
    if kind == FORMS["csv"]:
        return [[float(value) for value in row] for row in list(csv.reader(io.StringIO(answer.text)))[1:]]
    if kind == FORMS["arrow"]:
        read = pa.ipc.open_stream(answer.content).read_all()
    else:
        read = pq.read_table(io.BytesIO(answer.content))
    return [list(row.values()) for row in read.to_pylist()]


async def get(caller: Caller, path: str, **headers: str) -> httpx.Response:
    answer = await caller.client.get(path, headers=headers)
    assert answer.is_success, answer.text
    return answer


@pytest.mark.parametrize("form", FORMS)
async def test_a_table_comes_in_every_form_by_accept_or_by_name(caller: Caller, table: str, form: str) -> None:
    """The same rows; and a name in the address wins over what a browser accepts."""
    expected = rows_of(await get(caller, table))

    accepted = await get(caller, table, Accept=FORMS[form])
    named = await get(caller, f"{table}?format={form}", Accept="text/html,text/csv,*/*;q=0.8")

    for answer in (accepted, named):
        assert answer.headers["Content-Type"].partition(";")[0] == FORMS[form]
        assert answer.headers["Vary"] == "Accept"
        assert rows_of(answer) == [pytest.approx(row) for row in expected]
    assert len(expected) == ROWS


@pytest.mark.parametrize("form", FORMS)
async def test_the_links_lead_through_the_whole_table(caller: Caller, table: str, form: str) -> None:
    """Each row once, and the last page leads nowhere."""
    expected = rows_of(await get(caller, table))
    path, found, pages = f"{table}?limit=50&format={form}", [], 0

    while path:
        answer = await get(caller, path)
        assert answer.headers["X-Records"] == str(ROWS)
        found += rows_of(answer)
        link = re.fullmatch(r'<(/\S+)>; rel="next"', answer.headers.get("Link", ""))
        assert (link is None) == ("X-Next-Offset" not in answer.headers)
        path, pages = link[1] if link else "", pages + 1

    assert pages == 3
    assert found == [pytest.approx(row) for row in expected]


async def test_a_part_of_a_table_in_json_says_where_it_stands(caller: Caller, table: str) -> None:
    """A program needs no headers."""
    middle = (await get(caller, f"{table}?offset=10&limit=5")).json()
    last = (await get(caller, f"{table}?offset=110&limit=50")).json()
    beyond = (await get(caller, f"{table}?offset={10**9}")).json()

    assert middle.keys() == {"columns", "rows", "offset", "records", "next_offset"}
    assert [
        (one["offset"], len(one["rows"]), one["records"], one["next_offset"]) for one in (middle, last, beyond)
    ] == [
        (10, 5, ROWS, 15),
        (110, 4, ROWS, None),
        (10**9, 0, ROWS, None),
    ]


@pytest.mark.parametrize("query", ["offset=-1", "limit=0", "limit=1000001", "offset=x", "format=xml", "fromat=csv"])
async def test_rows_that_there_cannot_be_are_refused(caller: Caller, table: str, query: str) -> None:
    """And what is misspelt is not taken for the whole."""
    answer = await caller.client.get(f"{table}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["field"] == query.partition("=")[0]


async def test_a_download_that_broke_off_goes_on_where_it_stopped(caller: Caller, model: str) -> None:
    """The ETag says that it is still the same."""
    whole = await get(caller, model)
    assert (whole.headers["Accept-Ranges"], len(whole.content)) == ("bytes", int(whole.headers["Content-Length"]))
    half = len(whole.content) // 2

    rest = await get(caller, model, Range=f"bytes={half}-", **{"If-Range": whole.headers["ETag"]})
    other = await get(caller, model, Range=f"bytes={half}-", **{"If-Range": '"another"'})

    assert (rest.status_code, rest.content) == (206, whole.content[half:])
    assert rest.headers["Content-Range"] == f"bytes {half}-{len(whole.content) - 1}/{len(whole.content)}"
    assert rest.headers["ETag"] == whole.headers["ETag"]
    assert (other.status_code, other.content) == (200, whole.content)


async def test_what_one_has_already_is_not_sent_again(caller: Caller, model: str, table: str) -> None:
    """Assets never change."""
    for path in (model, f"{table}?format=parquet"):
        etag = (await get(caller, path)).headers["ETag"]

        answer = await caller.client.get(path, headers={"If-None-Match": etag})

        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)


async def test_bytes_that_are_not_there_are_a_problem_that_says_how_many_are(caller: Caller, model: str) -> None:
    """With the header that clients look for."""
    length = len((await get(caller, model)).content)

    answer = await caller.client.get(model, headers={"Range": f"bytes={length}-"})

    assert (answer.status_code, answer.json()["code"]) == (416, "range-not-satisfiable")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Content-Range"] == f"bytes */{length}"


async def test_several_ranges_at_once_are_all_there_in_some_way(caller: Caller, model: str) -> None:
    """Nobody must serve them as parts; the whole holds them all."""
    whole = await get(caller, model)

    answer = await caller.client.get(model, headers={"Range": "bytes=0-1,4-5"})

    assert answer.status_code in (200, 206)
    assert whole.content[4:6] in answer.content
