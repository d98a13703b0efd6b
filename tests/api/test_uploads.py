"""A table that is brought in a form, or for a while only."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.gateway import WITHIN_S, Caller, Gateway, Json

TABLE = b"patient_id,age\np-0001,61\np-0002,47\n"
TEMPORARY = {"temporary": "true"}
FORM = {"Content-Type": "multipart/form-data; boundary=bb"}
HEAD = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\n'


async def uploaded(caller: Caller, *, files: Any, **said: Any) -> Json:
    answer = await caller.client.post("/v1/assets", files=files, **said)
    assert answer.status_code == 201, answer.text
    asset: Json = answer.json()
    assert answer.headers["Location"] == f"/v1/assets/{asset['id']}"
    return asset


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"patient_id": ["p-1", "p-2", "p-3"], "age": [1, 2, 3]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("file", "records"),
    [
        (("t.csv", TABLE), 2),
        (("t", TABLE, "text/csv"), 2),
        (("t.csv", TABLE, "application/vnd.ms-excel"), 2),
        (("t.parquet", parquet()), 3),
    ],
    ids=["suffix", "type", "another-type", "parquet"],
)
async def test_a_form_brings_a_table(caller: Caller, file: tuple[Any, ...], records: int) -> None:
    """As a web page, or curl with -F, sends it."""
    name = f"form-{uuid4()}"

    asset = await uploaded(caller, files={"file": file}, data={"name": name})

    assert (asset["name"], asset["records"], asset["temporary"]) == (f"globex/{name}", records, False)
    assert [column["name"] for column in asset["columns"]] == ["patient_id", "age"]
    assert await caller.get(f"/v1/assets/{asset['id']}") == asset


async def test_the_query_may_say_what_the_form_leaves_out(caller: Caller) -> None:
    """A script has the name at hand, and a file."""
    name = f"query-{uuid4()}"

    asset = await uploaded(caller, files={"file": ("t.csv", TABLE)}, params={"name": name})

    assert asset["name"] == f"globex/{name}"


@pytest.mark.parametrize("in_query", [True, False])
async def test_a_temporary_table_needs_no_name(caller: Caller, *, in_query: bool) -> None:
    """It is found by its id."""
    said = {"params": TEMPORARY} if in_query else {"data": TEMPORARY}

    asset = await uploaded(caller, files={"file": ("t.csv", TABLE)}, **said)

    assert asset["temporary"]
    assert asset["name"].startswith("globex/temporary-")


async def test_a_temporary_table_goes_with_its_job(caller: Caller) -> None:
    """What was brought for one job does not stay for others to find."""
    answer = await caller.client.post(
        "/v1/assets", params=TEMPORARY, content=TABLE, headers={"Content-Type": "text/csv"}
    )
    asset = answer.json()

    job = await caller.finished(
        {"operation": "PRIVATE_SET_INTERSECTION", "dataset": [asset["id"], "mercy/patients"]}, name="for a while"
    )

    assert (job["phase"], job["dataset"][0]) == ("complete", asset["id"])
    gone = await caller.client.get(f"/v1/assets/{asset['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "asset-not-found")
    assert (await caller.get("/v1/assets", name=asset["name"]))["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (HEAD + TABLE, 422, "body"),
        (HEAD + TABLE + b"\r\n" + HEAD + TABLE + b"\r\n--bb--", 422, "file"),
        (b"--bb--", 422, "file"),
        (HEAD.replace(b".csv", b".xls") + TABLE + b"\r\n--bb--", 415, None),
        (HEAD + b"\r\n--bb--", 422, "body"),
        (b"patient_id,age\n", 422, "body"),
    ],
    ids=["cut-off", "two-files", "no-file", "unknown-kind", "empty-file", "no-form"],
)
async def test_a_form_that_brings_no_table_leaves_nothing_behind(
    caller: Caller, body: bytes, status: int, field: str | None
) -> None:
    """Also where the Access Point had all of the table already; the name stays free for the next try."""
    name = f"refused-{uuid4()}"

    refused = await caller.client.post("/v1/assets", params={"name": name}, content=body, headers=FORM)

    assert (refused.status_code, refused.json().get("field")) == (status, field), refused.text
    assert (await caller.get("/v1/assets", name=name))["items"] == []
    await uploaded(caller, files={"file": ("t.csv", TABLE)}, data={"name": name})


@pytest.mark.parametrize("query", [{}, {"temporary": "false"}, {"temporary": "perhaps"}, {"name": ""}])
async def test_a_table_that_stays_has_a_name(caller: Caller, query: dict[str, str]) -> None:
    """Nobody would find it again."""
    answer = await caller.client.post("/v1/assets", params=query, files={"file": ("t.csv", TABLE)})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["field"] == ("temporary" if query == {"temporary": "perhaps"} else "name")


async def test_a_sender_who_leaves_in_the_middle_leaves_nothing_behind(caller: Caller) -> None:
    """The name is free, and the gateway goes on."""
    name = f"left-{uuid4()}"
    begun = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield HEAD + b"patient_id,age\n"
        yield b"p-0001,61\n" * 10_000
        begun.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(
        caller.client.post("/v1/assets", params={"name": name}, content=pieces(), headers=FORM)
    )
    await begun.wait()
    sending.cancel()
    await asyncio.wait([sending])

    assert (await caller.get("/v1/assets", name=name))["items"] == []
    await uploaded(caller, files={"file": ("t.csv", TABLE)}, data={"name": name})


@pytest.mark.parametrize("header", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_form_of_another_sites_page_is_turned_away(caller: Caller, header: dict[str, str]) -> None:
    """A browser sends forms for anybody, but says whose they are."""
    answer = await caller.client.post("/v1/assets", params=TEMPORARY, files={"file": ("t.csv", TABLE)}, headers=header)

    assert (answer.status_code, answer.json()["code"]) == (403, "origin-not-allowed")


async def test_a_large_table_is_passed_on_without_being_held(caller: Caller) -> None:
    """Neither in memory nor, by the gateway, on disk."""
    before_kb = resident_kb(caller.gateway)
    files = set(caller.gateway.data_dir.rglob("*"))

    answer = await caller.client.post("/v1/assets", params=TEMPORARY, content=_large(), headers=FORM)

    assert answer.status_code == 201, answer.text
    assert answer.json()["records"] == 2_000_000
    assert resident_kb(caller.gateway) - before_kb < 15_000
    assert set(caller.gateway.data_dir.rglob("*")) == files


async def test_a_form_has_the_limit_of_uploads(caller: Caller) -> None:
    """Told before it is sent, where its length is."""
    url = httpx.URL(caller.gateway.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST /v1/assets?temporary=true HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {10**12}\r\n"
    writer.write(f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\n".encode())

    async with asyncio.timeout(WITHIN_S):
        answer = await reader.readuntil(b"\r\n\r\n")

    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")


def resident_kb(gateway: Gateway) -> int:
    with open(f"/proc/{gateway.pid}/status", encoding="utf-8") as status:  # noqa: PTH123  (no file of ours)
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


async def _large() -> AsyncIterator[bytes]:
    yield HEAD + b"patient_id,age\n"
    for _ in range(200):
        yield b"p-0001,61\n" * 10_000
    yield b"\r\n--bb--\r\n"
