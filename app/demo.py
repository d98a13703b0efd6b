"""The main job from end to end, through the HTTP API alone: a client like any other."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import typer

from app.serving import Server, server_of
from app.settings import Settings

_TRAINING = ["mercy/breast-cancer", "lakeside/breast-cancer"]
_HOLDOUT = "globex/holdout"
_SAME_WITHIN = 1e-3
_PATIENCE = httpx.Timeout(30.0, read=60.0)
_POOLED_WITHIN_S = 60
_INTERRUPTED = 130

Json = dict[str, Any]


class DemoFailed(Exception):
    """The demo cannot go on; says why."""


async def run_demo(settings: Settings, *, once: bool) -> int:
    """Serve, run the job, and serve on until told to stop (or, with `once`, stop). The exit code: 0 if it was right."""
    if not settings.carries_network:
        typer.echo("The demo brings its own network; unset GATEWAY_ROUTER and GATEWAY_ROUTER_URL.", err=True)
        return 2
    typer.echo("Starting a Router, three Access Points (globex, mercy, lakeside) and the gateway …")
    async with _served(settings) as (server, url):
        right = None if url is None else await _shown(url, settings.data_dir / "network", server)
        if not right:
            return _INTERRUPTED if right is None else 1
        if not once:
            _invite(str(url))
            await server.stopped()
    return 0


@asynccontextmanager
async def _served(settings: Settings) -> AsyncIterator[tuple[Server, str | None]]:
    """The server, and its address once it serves. None: it was told to stop before."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = server_of(settings, started=address.set_result)
    serving = asyncio.create_task(server.serve(), name="server")
    serving.add_done_callback(lambda _: address.cancel())
    await asyncio.wait([address])
    try:
        yield server, None if address.cancelled() else address.result()
    finally:
        server.should_exit = True
        await serving


async def _shown(url: str, network_dir: Path, server: Server) -> bool | None:
    """Whether the job was shown and right. None: the server was told to stop meanwhile."""
    job = asyncio.create_task(_show(url, network_dir), name="demo")
    stopped = asyncio.create_task(server.stopped(), name="until stopped")
    await asyncio.wait([job, stopped], return_when=asyncio.FIRST_COMPLETED)
    for task in (job, stopped):
        task.cancel()
    await asyncio.wait([job, stopped])
    if job.cancelled():
        return None
    try:
        return job.result()
    except (httpx.HTTPError, OSError, TimeoutError) as error:
        raise DemoFailed(f"{type(error).__name__}: {error}") from error


async def _show(url: str, network_dir: Path) -> bool:
    network = json.loads(await asyncio.to_thread((network_dir / "network.json").read_bytes))
    async with (
        httpx.AsyncClient(base_url=url, timeout=_PATIENCE, trust_env=False) as gateway,
        httpx.AsyncClient(base_url=network["router_url"], timeout=_PATIENCE, trust_env=False) as router,
    ):
        job_id, model = await _train(gateway, router, tokens=network["tokens"])
        federated = await _infer(gateway, model)
        pooled = await _pooled(await gateway.get(f"/v1/jobs/{job_id}/result/asset"))
    typer.echo(f"\nAccuracy on {_HOLDOUT}, rows that nobody trained on:")
    typer.echo(f"  trained where the data lies       {federated:.4f}")
    typer.echo(f"  scikit-learn on the pooled rows   {pooled['accuracy']:.4f}")
    typer.echo(f"The coefficients differ by {pooled['largest_difference']:.1e} at most, for features of variance 1.")
    return bool(federated == pooled["accuracy"] and pooled["largest_difference"] <= _SAME_WITHIN)


async def _train(gateway: httpx.AsyncClient, router: httpx.AsyncClient, *, tokens: dict[str, str]) -> tuple[str, str]:
    """Train over both owners, granting as they would when asked; the ids of the job and of its model."""
    typer.echo(f"\nglobex asks for a logistic regression over {' and '.join(_TRAINING)}.")
    body = {
        "job_name": "demo: logistic regression",
        "operation": "REGRESSION",
        "dataset": _TRAINING,
        "params": {"regression_type": "LOGISTIC"},
    }
    job = await _created(gateway, body)
    asked: set[str] = set()
    async for event, data in _events(gateway, job["id"]):
        _tell(event, data)
        if event == "phase" and data["phase"] == "waiting_on_permission":
            for missing in data["why"]["waiting_on"]:
                if missing["asset"] not in asked:
                    asked.add(missing["asset"])
                    await _grant(router, job["id"], missing, token=tokens[missing["team"]])
    result = await _result(gateway, job["id"])
    return job["id"], str(result["asset_id"])


async def _infer(gateway: httpx.AsyncClient, model: str) -> float:
    """Run the model over globex's own rows; the accuracy."""
    typer.echo(f"\nglobex runs the model over {_HOLDOUT}.")
    params = {"security": "fed", "stream_output": True, "batch_size": 40}
    body = {"job_name": "demo: inference", "operation": model, "dataset": _HOLDOUT, "params": params}
    job = await _created(gateway, body)
    async for event, data in _events(gateway, job["id"]):
        _tell(event, data)
    result = await _result(gateway, job["id"])
    return float(json.loads(result["raw_status"])["accuracy"])


async def _created(gateway: httpx.AsyncClient, body: Json) -> Json:
    job = _answer(await gateway.post("/v1/jobs", params={"submit": "true"}, json=body))
    typer.echo(f"  POST /v1/jobs?submit=true → job {job['id']}")
    return job


async def _grant(router: httpx.AsyncClient, job_id: str, missing: Json, *, token: str) -> None:
    """Answer as the owner, at the Router and with its own token."""
    path = f"/v1/access-requests/{missing['asset_id']}/{job_id}/accept"
    _answer(await router.post(path, headers={"Authorization": f"Bearer {token}"}, json={"reason": "the demo"}))
    typer.echo(f"  {missing['team']} grants the use of {missing['asset']}")


async def _events(gateway: httpx.AsyncClient, job_id: str) -> AsyncIterator[tuple[str, Any]]:
    accept = {"Accept": "application/x-ndjson"}
    async with gateway.stream("GET", f"/v1/jobs/{job_id}/events", headers=accept) as response:
        async for line in response.aiter_lines():
            if line:
                event = json.loads(line)
                yield event["event"], event["data"]


async def _result(gateway: httpx.AsyncClient, job_id: str) -> Json:
    job = _answer(await gateway.get(f"/v1/jobs/{job_id}"))
    if job["phase"] != "complete":
        raise DemoFailed(f"the job ended {job['phase']}: {job['message']}")
    result = _answer(await gateway.get(f"/v1/jobs/{job_id}/result"))
    typer.echo(f"  GET /v1/jobs/{job_id}/result → {result['raw_status']}")
    return result


async def _pooled(model: httpx.Response) -> Json:
    """What a fit on all rows in one place gives, were the owners to hand them over; and how far the model is from it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(model.raise_for_status().content)
        file.flush()
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "network.data.pooled", "--against", file.name),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_POOLED_WITHIN_S):
                out, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    told: Json = json.loads(out)
    return told


def _answer(response: httpx.Response) -> Json:
    body: Json = response.json()
    if not response.is_success:
        raise DemoFailed(f"{response.request.method} {response.request.url} → {response.status_code} {body}")
    return body


def _tell(event: str, data: Any) -> None:
    if event == "phase":
        typer.echo(f"  phase    {data['phase']}{_missing(data['why'] or {})}")
    elif event == "status":
        typer.echo(f"  status   {data['code']} {data['status']}, {data['communications']} communications")
    elif event == "message":
        typer.echo(f"  message  {_short(data)}")
    elif event == "end":
        typer.echo(f"  end      {data['phase']}")


def _missing(why: Json) -> str:
    missing = [f"{one['asset']} of {one['team']}" for one in why.get("waiting_on", ())]
    return f": {', '.join(missing)}" if missing else ""


def _short(message: Any) -> str:
    if not isinstance(message, dict):
        return str(message)
    if message.get("__type") == "InferenceResults":
        return f"InferenceResults: {len(message['result'])} rows"
    shown = {name: value for name, value in message.items() if name != "__type"}
    facts = ", ".join(f"{name} {value:.5g}" for name, value in shown.items() if isinstance(value, int | float))
    return f"{message.get('__type')}: {facts}"


def _invite(url: str) -> None:
    typer.echo(f"\nServing on {url} until Ctrl-C. Try next:")
    for line in (
        f"curl -s {url}/v1/jobs",
        f"curl -s '{url}/v1/jobs/find?name=demo:%20inference'",
        f"curl -s {url}/v1/operations",
        f"curl -s '{url}/v1/access-requests?state=pending'",
        f"curl -N {url}/v1/events",
    ):
        typer.echo(f"  {line}")
