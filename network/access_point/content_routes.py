"""The bytes of assets: put by their team, fetched by it, never through the Router."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from network import passes, refusals, wire
from network.access_point import accepting, assets, formats
from network.access_point.formats import BYTES, CSV, JSON, PARQUET, Unreadable
from network.access_point.station import Station, station_of
from network.refusals import Refusal

_OFFERED = {"table": (PARQUET, CSV, JSON), "model": (BYTES,)}
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
    """An asset's bytes, in the form that is asked for."""
    station = station_of(request)
    asset = assets.held(station.ledger.db, _admitted_asset(request, station))
    if asset is None:
        raise refusals.not_found("asset")
    chosen = accepting.choose(request.headers.get("accept", "*/*"), _OFFERED[asset["kind"]])
    if chosen is None:
        offered = ", ".join(_OFFERED[asset["kind"]])
        raise Refusal(406, "not-acceptable", f"This asset can be had as {offered}.")
    path = station.assets / asset["file"]
    if chosen in {PARQUET, BYTES}:
        return FileResponse(path, media_type=chosen)
    return Response(await asyncio.to_thread(formats.rendered, path, media_type=chosen), media_type=chosen)


ROUTES = [
    Route("/v1/assets/{id}", put, methods=["PUT"]),
    Route("/v1/assets/{id}", get, methods=["GET"]),
]


def _admitted_asset(request: Request, station: Station) -> str:
    asset_id = wire.path_id(request, "asset")
    if not passes.admits(station.settings.pass_key, wire.bearer(request), purpose="content", subject=asset_id):
        raise refusals.unauthorized()
    return asset_id


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
