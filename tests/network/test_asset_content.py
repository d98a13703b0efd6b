"""The bytes of an asset: its forms, some of its rows, ranges of what is stored."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from network import passes
from network.access_point import assets, formats, rendering
from network.access_point.app import create_app
from network.access_point.formats import ARROW, BYTES, CSV, JSON, PARQUET
from network.access_point.rendering import Window
from network.access_point.station import Station
from network.access_point.tables import TABLES
from network.ledger import Ledger
from network.settings import AccessPointSettings

FORMS = (PARQUET, CSV, JSON, ARROW)
RECORDS = 40
TABLE = pa.table({"row": range(RECORDS), "word": [f"wörd, {row}" for row in range(RECORDS)]})
MODEL = bytes(range(200))


class Shelf:
    """An Access Point's assets, as the team that owns them asks for them."""

    def __init__(self, station: Station, client: httpx.AsyncClient) -> None:
        self.station = station
        self._client = client

    def keep(self, kind: str, content: bytes | pa.Table) -> str:
        """A new asset with this content."""
        asset_id = str(uuid4())
        file = f"{asset_id}{assets.SUFFIXES[kind]}"
        described: dict[str, Any] = {"id": asset_id, "name": None, "kind": kind, "file": file, "columns": []}
        if isinstance(content, bytes):
            (self.station.assets / file).write_bytes(content)
        else:
            formats.store(content, self.station.assets / file)
        with self.station.ledger.change() as db:
            assets.keep(db, described | {"records": 1 if isinstance(content, bytes) else content.num_rows})
        return asset_id

    async def get(self, asset_id: str, *, query: str = "", **headers: str) -> httpx.Response:
        """What a GET answers; `Accept` and others as given."""
        token = passes.issue("key", purpose="content", subject=asset_id)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Authorization": f"Bearer {token}", "Accept": "*/*"} | named
        return await self._client.get(f"/v1/assets/{asset_id}{query}", headers=sent)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    told = {"team": "globex", "host": "127.0.0.1", "port": 1, "router_url": "http://127.0.0.1:1"}
    settings = AccessPointSettings.model_validate(told | {"router_token": "", "pass_key": "key"})
    ledger = Ledger(tmp_path / "access-point.sqlite", TABLES)
    station = Station(settings, folder=tmp_path, ledger=ledger)
    transport = httpx.ASGITransport(create_app(station))
    async with httpx.AsyncClient(transport=transport, base_url="http://access-point") as client:
        yield Shelf(station, client)
    ledger.close()


def read(content: bytes, media_type: str) -> list[dict[str, Any]]:
    """The rows in the content."""
    if media_type == JSON:
        document = msgspec.json.decode(content)
        return [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]
    source = io.BytesIO(content)
    rows: list[dict[str, Any]] = {
        PARQUET: pa.parquet.read_table,
        CSV: pa.csv.read_csv,
        ARROW: lambda found: pa.ipc.open_stream(found).read_all(),
    }[media_type](source).to_pylist()
    return rows


@pytest.mark.parametrize("media_type", FORMS)
async def test_a_table_can_be_had_in_every_form(shelf: Shelf, media_type: str) -> None:
    """The same rows each time."""
    answer = await shelf.get(shelf.keep("table", TABLE), Accept=media_type)

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)
    assert read(answer.content, media_type) == TABLE.to_pylist()
    assert (answer.headers["x-records"], "x-next-offset" in answer.headers) == (str(RECORDS), False)


@pytest.mark.parametrize("media_type", FORMS)
@pytest.mark.parametrize(
    ("query", "rows", "further"),
    [
        ("?limit=7", range(7), "7"),
        ("?offset=35&limit=7", range(35, 40), None),
        ("?offset=33&limit=7", range(33, 40), None),
        ("?offset=39", range(39, 40), None),
        ("?offset=40", range(0), None),
        ("?offset=9223372036854775807&limit=1000000", range(0), None),
        ("?offset=12&limit=1", range(12, 13), "13"),
        ("?offset=0", range(40), None),
    ],
)
async def test_offset_and_limit_select_rows_in_every_form(
    shelf: Shelf, media_type: str, query: str, rows: range, further: str | None
) -> None:
    """And the headers tell where to go on."""
    answer = await shelf.get(shelf.keep("table", TABLE), query=query, Accept=media_type)

    assert read(answer.content, media_type) == TABLE.slice(rows.start, len(rows)).to_pylist()
    assert (answer.headers["x-records"], answer.headers.get("x-next-offset")) == (str(RECORDS), further)


async def test_json_tells_its_place(shelf: Shelf) -> None:
    """For those who do not look at headers."""
    asset_id = shelf.keep("table", TABLE)

    some = (await shelf.get(asset_id, query="?offset=10&limit=2", Accept=JSON)).json()
    last = (await shelf.get(asset_id, query="?offset=38&limit=2", Accept=JSON)).json()

    assert some == {
        "columns": ["row", "word"],
        "rows": [[10, "wörd, 10"], [11, "wörd, 11"]],
        "offset": 10,
        "records": 40,
        "next_offset": 12,
    }
    assert (last["offset"], last["next_offset"]) == (38, None)


@pytest.mark.parametrize("query", ["?limit=0", "?limit=-1", "?limit=1000001", "?offset=-1", "?offset=x", "?limit=1.5"])
async def test_a_place_that_is_none_is_refused(shelf: Shelf, query: str) -> None:
    """By its name."""
    answer = await shelf.get(shelf.keep("table", TABLE), query=query)

    assert (answer.status_code, answer.json()["error"]["field"]) == (422, query[1:].partition("=")[0])


async def test_a_model_has_no_rows_and_no_other_form(shelf: Shelf) -> None:
    """Bytes are bytes."""
    asset_id = shelf.keep("model", MODEL)

    assert (await shelf.get(asset_id, Accept=BYTES)).content == MODEL
    assert (await shelf.get(asset_id, query="?limit=1")).status_code == 422
    assert (await shelf.get(asset_id, Accept=CSV)).status_code == 406


async def test_what_has_no_form_as_csv_is_not_acceptable(shelf: Shelf) -> None:
    """Lists in a column; JSON and the others can hold them."""
    asset_id = shelf.keep("table", pa.table({"a": [[1, 2], None]}))

    refused = await shelf.get(asset_id, Accept=CSV)

    assert (refused.status_code, refused.json()["error"]["code"]) == (406, "not-acceptable")
    assert (await shelf.get(asset_id, Accept=JSON)).json()["rows"] == [[[1, 2]], [None]]
    assert (await shelf.get(asset_id, Accept=f"{CSV}, {ARROW};q=0.1")).headers["content-type"] == ARROW


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-0", MODEL[:1], "bytes 0-0/200"),
        ("bytes=10-19", MODEL[10:20], "bytes 10-19/200"),
        ("bytes=190-", MODEL[190:], "bytes 190-199/200"),
        ("bytes=190-5000", MODEL[190:], "bytes 190-199/200"),
        ("bytes=-5", MODEL[-5:], "bytes 195-199/200"),
        ("bytes=-5000", MODEL, "bytes 0-199/200"),
    ],
)
async def test_a_range_of_the_stored_bytes_is_206(shelf: Shelf, asked: str, content: bytes, told: str) -> None:
    """A broken download goes on where it broke off."""
    answer = await shelf.get(shelf.keep("model", MODEL), Range=asked)

    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, content, told)
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("asked", ["bytes=200-", "bytes=999-1000", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416_with_the_length(shelf: Shelf, asked: str) -> None:
    """In the shape of every refusal."""
    answer = await shelf.get(shelf.keep("model", MODEL), Range=asked)

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */200")
    assert answer.json()["error"]["code"] == "range-not-satisfiable"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,4-5", "rows=0-1", "bytes", "bytes=a-b", "bytes=--1", f"bytes={'9' * 5000}-"]
)
async def test_a_range_that_makes_no_sense_is_the_whole(shelf: Shelf, asked: str) -> None:
    """As HTTP asks of a server that does not know what is meant."""
    answer = await shelf.get(shelf.keep("model", MODEL), Range=asked)

    assert (answer.status_code, answer.content) == (200, MODEL)


async def test_a_range_of_another_version_is_the_whole(shelf: Shelf) -> None:
    """Two halves of different files would make a third."""
    asset_id = shelf.keep("model", MODEL)
    first = await shelf.get(asset_id)

    same = await shelf.get(asset_id, Range="bytes=0-3", If_Range=first.headers["etag"])
    since = await shelf.get(asset_id, Range="bytes=0-3", If_Range=first.headers["last-modified"])
    other = await shelf.get(asset_id, Range="bytes=500-", If_Range='"another"')

    assert first.headers["accept-ranges"] == "bytes"
    assert (same.content, since.content) == (MODEL[:4], MODEL[:4])
    assert (other.status_code, other.content) == (200, MODEL)


async def test_the_stored_table_has_ranges_too_and_its_other_forms_have_none(shelf: Shelf) -> None:
    """They are made anew each time."""
    asset_id = shelf.keep("table", TABLE)
    whole = (await shelf.get(asset_id)).content

    part = await shelf.get(asset_id, Range="bytes=0-3")
    text = await shelf.get(asset_id, Range="bytes=0-3", Accept=CSV)
    rows = await shelf.get(asset_id, query="?limit=3", Range="bytes=0-3")

    assert (part.status_code, part.content, part.headers["x-records"]) == (206, whole[:4], "40")
    assert (text.status_code, rows.status_code) == (200, 200)
    assert "accept-ranges" not in text.headers


@pytest.mark.parametrize("known", ["{etag}", 'W/"other", {etag}', "*", "W/{etag}"])
async def test_what_is_known_is_not_sent_again(shelf: Shelf, known: str) -> None:
    """Whatever range is asked for with it."""
    asset_id = shelf.keep("table", TABLE)
    etag = (await shelf.get(asset_id)).headers["etag"]

    answer = await shelf.get(asset_id, If_None_Match=known.format(etag=etag), Range="bytes=0-1")
    other = await shelf.get(asset_id, If_None_Match='"other"')

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert other.status_code == 200


async def test_an_asset_whose_file_has_gone_is_not_found(shelf: Shelf) -> None:
    """A temporary one, between the look at the record and the look at the file."""
    asset_id = shelf.keep("table", TABLE)
    (shelf.station.assets / f"{asset_id}.parquet").unlink()

    assert (await shelf.get(asset_id, Accept=CSV)).status_code == 404


def test_a_large_table_comes_in_pieces(tmp_path: Path) -> None:
    """None of which holds more than a batch of rows, whatever is asked for."""
    path, records = tmp_path / "large.parquet", 100_000
    formats.store(pa.table({"number": np.arange(records)}), path)
    window = Window(records=records, offset=20_000)

    for media_type in FORMS:
        pieces = list(rendering.rendered(rendering.opened(path), window, media_type=media_type))

        assert [row["number"] for row in read(b"".join(pieces), media_type)] == list(range(20_000, records))
        assert max(map(len, pieces)) < 20 * 16_384


@given(
    groups=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    offset=st.integers(0, 50),
    limit=st.one_of(st.none(), st.integers(1, 50)),
)
def test_a_window_holds_the_rows_that_slicing_gives(groups: list[int], offset: int, limit: int | None) -> None:
    """Whatever the file's own pieces are, and never a row beyond."""
    records = sum(groups)
    numbers = list(range(records))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        with pa.parquet.ParquetWriter(path, pa.schema([("n", pa.int64())])) as writer:
            for number, size in enumerate(groups):
                start = sum(groups[:number])
                writer.write_table(pa.table({"n": numbers[start : start + size]}))
        window = Window(records=records, offset=offset, limit=limit)
        content = b"".join(rendering.rendered(rendering.opened(path), window, media_type=JSON))

    wanted = numbers[offset:] if limit is None else numbers[offset : offset + limit]
    document = msgspec.json.decode(content)
    assert [row[0] for row in document["rows"]] == wanted
    assert document["next_offset"] == (offset + limit if limit is not None and offset + limit < records else None)
