"""The bytes of assets: put by their team, fetched by it, never through the Router."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from network import passes, queries, refusals, wire
from network.access_point import accepting, assets, formats, ranges, rendering
from network.access_point.formats import ARROW, BYTES, CSV, JSON, PARQUET, Unreadable
from network.access_point.rendering import Window
from network.access_point.station import Station, station_of
from network.refusals import Refusal

_TABLE_FORMS = (PARQUET, CSV, JSON, ARROW)
_ROWS = {"offset", "limit"}
_MOST_ROWS = 1_000_000
_LARGEST = 2**63 - 1
_ACKNOWLEDGED_WITHIN_S = 5.0


async def put(request: Request) -> Response:
    """A table's bytes: read, kept, and told to the Router before the answer if it is in reach."""
    station = station_of(request)
    asset_id = _admitted_asset(request, station)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {CSV, PARQUET}:
        raise refusals.invalid("content-type", "A table is put as one of the allowed types.", allowed=[CSV, PARQUET])
    _refuse_replacing(assets.held(station.ledger.db, asset_id), team=station.team)
    asset = await _received(request, station, asset_id, media_type)
    number = _keep(station, asset)
    await station.acknowledged(number, within_s=_ACKNOWLEDGED_WITHIN_S)
    return wire.reply({name: asset[name] for name in ("id", "columns", "records")})


async def get(request: Request) -> Response:
    """An asset's bytes, in the form that is asked for: as they are stored, or some of a table's rows."""
    station = station_of(request)
    asset = assets.held(station.ledger.db, _admitted_asset(request, station))
    if asset is None:
        raise refusals.not_found("asset")
    try:
        answer = _model if asset["kind"] == "model" else _table
        return await asyncio.to_thread(answer, request, station.assets / asset["file"])
    except FileNotFoundError as exc:
        raise refusals.not_found("asset") from exc


ROUTES = [
    Route("/v1/assets/{id}", put, methods=["PUT"]),
    Route("/v1/assets/{id}", get, methods=["GET"]),
]


def _admitted_asset(request: Request, station: Station) -> str:
    asset_id = wire.path_id(request, "asset")
    if not passes.admits(station.settings.pass_key, wire.bearer(request), purpose="content", subject=asset_id):
        raise refusals.unauthorized()
    return asset_id


def _model(request: Request, path: Path) -> Response:
    if request.query_params.keys() & _ROWS:
        raise refusals.invalid("offset", "A model has no rows; offset and limit are for tables.")
    return ranges.stored(request, path, media_type=_chosen(request, (BYTES,)), headers={})


def _table(request: Request, path: Path) -> Response:
    file = rendering.opened(path)
    chosen = _chosen(request, [form for form in _TABLE_FORMS if rendering.can_be(file, form)])
    window = _window(request, records=file.metadata.num_rows)
    if chosen == PARQUET and not request.query_params.keys() & _ROWS:
        file.close()
        return ranges.stored(request, path, media_type=chosen, headers=_told(window))
    content = rendering.rendered(file, window, media_type=chosen)
    return StreamingResponse(content, headers=_told(window), media_type=chosen)


def _chosen(request: Request, offered: Sequence[str]) -> str:
    chosen = accepting.choose(request.headers.get("accept", "*/*"), offered)
    if chosen is None:
        raise Refusal(406, "not-acceptable", f"This asset can be had as {', '.join(offered)}.")
    return chosen


def _window(request: Request, *, records: int) -> Window:
    limit = None
    if request.query_params.get("limit"):
        limit = queries.whole_number(request, "limit", default=0, most=_MOST_ROWS)
        if limit == 0:
            raise refusals.invalid("limit", f"limit must be a whole number from 1 to {_MOST_ROWS}.")
    offset = queries.whole_number(request, "offset", default=0, most=_LARGEST)
    return Window(records=records, offset=offset, limit=limit)


def _told(window: Window) -> dict[str, str]:
    headers = {"Vary": "Accept", "X-Records": str(window.records)}
    if window.next_offset is not None:
        headers["X-Next-Offset"] = str(window.next_offset)
    return headers


def _refuse_replacing(held: dict[str, Any] | None, *, team: str) -> None:
    if held is not None and held["name"] is not None:
        raise refusals.forbidden("Only an uploaded table can be put again; this asset stays as it is.", team=team)


async def _received(request: Request, station: Station, asset_id: str, media_type: str) -> dict[str, Any]:
    draft = station.assets / f".{uuid4()}.put"
    ready = draft.with_suffix(".parquet")
    try:
        await _write(request, draft, limit=station.settings.max_upload_bytes)
        table = await asyncio.to_thread(formats.stored_from, draft, ready, media_type=media_type)
        file = f"{asset_id}{assets.SUFFIXES['table']}"
        ready.replace(station.assets / file)
    except Unreadable as exc:
        raise refusals.invalid("body", str(exc)) from exc
    finally:
        draft.unlink(missing_ok=True)
        ready.unlink(missing_ok=True)
    described = {"id": asset_id, "name": None, "kind": "table", "file": file, "records": table.num_rows}
    return described | {"columns": formats.columns(table)}


async def _write(request: Request, path: Path, *, limit: int) -> None:
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise refusals.too_large(limit)
            file.write(chunk)


def _keep(station: Station, asset: dict[str, Any]) -> int:
    with station.ledger.change() as db:
        assets.keep(db, asset)
        return assets.report(db, asset)
