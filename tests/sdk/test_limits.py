"""What the SDK cannot do is said, and what it does badly holds up nothing else."""

import asyncio
import json
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.sdk.conftest import sdk_settings
from tests.sdk.test_chain import messages, phases
from tests.support.docs import ROOT, Block, shell_blocks
from tests.support.gateway import WITHIN_S, Caller, Gateway, Json, Listener, environment, served
from tests.support.network import INTERSECTION, RunningNetwork

_SOME_ID = "7f1b0c4e-1111-4222-8333-444455556666"
_TERMS = {"to_team": "mercy", "asset_id": "globex/patients", "protocol": "PRIVATE_SET_INTERSECTION"}
_LOST = "lost on the way"
_LACKING = [
    ("GET", "/v1/operations", None),
    ("GET", "/v1/assets", None),
    ("GET", f"/v1/assets/{_SOME_ID}", None),
    ("GET", "/v1/access-requests", None),
    ("POST", f"/v1/access-requests/{_SOME_ID}/{_SOME_ID}/accept", {}),
    ("POST", f"/v1/access-requests/{_SOME_ID}/{_SOME_ID}/deny", {}),
    ("GET", "/v1/agreements", None),
    ("POST", "/v1/agreements", _TERMS),
    ("DELETE", f"/v1/agreements/{_SOME_ID}", None),
    ("POST", "/v1/jobs/preflight", {"job_name": "a", **INTERSECTION}),
    ("POST", "/v1/jobs", {"job_name": "a", "labels": {"study": "a"}, **INTERSECTION}),
    ("POST", "/v1/jobs", {"job_name": "a", "stream_to": ["mercy"], **INTERSECTION}),
]


async def test_what_the_reference_has_no_call_for_is_refused_with_the_reason(chained: Caller) -> None:
    """All of it in one test: a gateway of its own takes longer than they."""
    for method, path, body in _LACKING:
        answer = await chained.client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (501, "router-lacks-feature"), (method, path, answer.text)

    table = await chained.client.post(
        "/v1/assets?temporary=true", content=b"a\n1\n", headers={"Content-Type": "text/csv"}
    )
    assert table.status_code == 501


async def test_what_a_job_cannot_be_made_of_is_a_mistake_of_the_callers(chained: Caller) -> None:
    """And not an unknown outcome."""
    unknown = await chained.client.post(
        "/v1/jobs", json={"job_name": "a", **INTERSECTION, "dataset": ["nobody/nothing"]}
    )
    usage = await chained.client.get("/v1/assets/usage", params={"dataset": "mercy/patients"})

    assert (unknown.status_code, unknown.json()["field"]) == (422, "dataset.0")
    assert usage.json() == {"status": "data"}


async def test_a_create_whose_answer_is_lost_stays_unknown_and_is_not_made_twice(
    gateway: Gateway, caller: Caller, tmp_path: Path
) -> None:
    """However often it is sent with its key."""
    settings = sdk_settings(gateway.url, caller.network) | {"GATEWAY_SDK_MODULE": "tests.sdk.losing"}
    body, headers = {"job_name": _LOST, **INTERSECTION}, {"Idempotency-Key": "once"}
    with served(tmp_path / "losing", **settings) as near:
        async with near.client() as client:
            answers = [await client.post("/v1/jobs", json=body, headers=headers) for _ in range(3)]
            await Listener(near, client).eventually("/v1/jobs", lambda page: _lost_in(page) != [])
            seen = _lost_in((await client.get("/v1/jobs")).json())

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(504, "router-outcome-unknown")] * 3
    assert "connection reset" in answers[0].json()["detail"]
    assert _lost_in(await caller.get("/v1/jobs")) == seen
    assert len(seen) == 1


def _lost_in(page: Json) -> list[str]:
    return [job["id"] for job in page["items"] if job["job_name"] == _LOST]


async def test_calls_that_hang_hold_up_nobodys_end(gateway: Gateway, caller: Caller, tmp_path: Path) -> None:
    """Each is answered in time, what is known is shown, and the gateway stops when it is told to."""
    settings = sdk_settings(gateway.url, caller.network) | {
        "GATEWAY_SDK_MODULE": "tests.sdk.hanging",
        "GATEWAY_SDK_CALLS": "3",
        "GATEWAY_CALL_TIMEOUT_S": "0.5",
    }
    with served(tmp_path / "hanging", **settings) as near:
        async with near.client() as client:
            asked = [client.get("/v1/assets/usage", params={"dataset": "mercy/patients"}) for _ in range(5)]
            answers = await asyncio.gather(*asked)
            page = await client.get("/v1/jobs")
            created = await client.post("/v1/jobs", json={"job_name": "a", **INTERSECTION})
        code = near.stop()

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(503, "router-unreachable")}
    assert page.status_code == 200
    assert (created.status_code, created.json()["code"]) == (503, "router-unreachable")
    assert code == 0


async def test_each_caller_has_a_session_in_their_own_name(
    gateway: Gateway, running_network: RunningNetwork, tmp_path: Path
) -> None:
    """Where the file that opens it knows whose it is; another team's is refused, and without that file every one."""
    tokens = {
        running_network.tokens["globex"]: "owner@globex",
        running_network.user_token("member@globex"): "member@globex",
        running_network.tokens["mercy"]: "owner@mercy",
    }
    settings = sdk_settings(gateway.url, running_network)
    telling = {"GATEWAY_SDK_OPENING": "tests.sdk.telling", "TOKENS": json.dumps(tokens)}
    body = {"job_name": "in their own name", **INTERSECTION}

    async def created(near: Gateway, token: str) -> httpx.Response:
        async with near.client() as client:
            return await client.post("/v1/jobs", json=body, headers={"Router-Authorization": f"Bearer {token}"})

    with served(tmp_path / "telling", **settings, **telling) as near:
        own, other, member = [await created(near, token) for token in (*list(tokens)[::2], list(tokens)[1])]
    with served(tmp_path / "silent", **settings) as near:
        unknown = await created(near, list(tokens)[1])

    assert (own.json()["owner"]["user"], member.json()["owner"]["user"]) == ("owner@globex", "member@globex")
    assert (other.status_code, other.json()["code"]) == (403, "router-token-refused")
    assert (unknown.status_code, unknown.json()["code"]) == (403, "router-token-refused")


@pytest.mark.parametrize("shared", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_another_teams_stream_is_read_where_it_is_shared(caller: Caller, tmp_path: Path, *, shared: bool) -> None:
    """Mercy's gateways see globex's job; its messages if they may, its end in any case."""
    mercy = {"GATEWAY_ROUTER_TOKEN": caller.network.tokens["mercy"]}
    with served(tmp_path / "far", GATEWAY_ROUTER_URL=caller.network.router_url, **mercy) as far:
        settings = sdk_settings(far.url, caller.network) | mercy
        settings |= {"GATEWAY_SDK_USER": "owner@mercy", "GATEWAY_SDK_TEAM": "mercy"}
        with served(tmp_path / "near", **settings) as near:
            async with near.client() as client:
                job = await caller.finished({**INTERSECTION, **({"stream_to": ["mercy"]} if shared else {})})
                told = await Listener(near, client).until_end(job["id"])

    ours = messages(await caller.until_end(job["id"]))
    assert phases(told)[-1] == "complete"
    assert messages(told) == (ours if shared else [])


@pytest.mark.parametrize("shown", shell_blocks(ROOT / "docs" / "sdk.md"), ids=lambda block: f"line {block.line}")
async def test_a_gateway_serves_by_the_command_that_is_shown(
    gateway: Gateway, running_network: RunningNetwork, tmp_path: Path, shown: Block
) -> None:
    """With our client where there is no SDK, and a token and a port of the test's."""
    *settings, program, verb = shlex.split(shown.text.replace("\\\n", ""))
    token = tmp_path / "token"
    token.write_text(running_network.tokens["globex"])
    own = {
        "GATEWAY_SDK_MODULE": "tripleblind_gateway",
        "GATEWAY_ROUTER_TOKEN_FILE": str(token),
        "GATEWAY_PORT": "0",
        "TRIPLEBLIND_GATEWAY_URL": gateway.url,
    }
    with served(tmp_path / "shown", **(dict(one.split("=", 1) for one in settings) | own)) as near:
        async with near.client() as client:
            ready = await Listener(near, client).eventually("/v1/jobs", lambda page: not page["stale"])

    assert (program, verb) == ("gateway", "serve")
    assert ready["items"] is not None


@pytest.mark.parametrize(
    ("setting", "module", "said"),
    [
        ("GATEWAY_SDK_MODULE", "no_such_sdk", "Install the SDK"),
        ("GATEWAY_SDK_OPENING", "json", "lacks open_session"),
    ],
)
def test_what_cannot_be_imported_is_named(
    running_network: RunningNetwork, tmp_path: Path, setting: str, module: str, said: str
) -> None:
    """Before anything is served, in a sentence."""
    settings = sdk_settings("http://127.0.0.1:9", running_network) | {setting: module}
    refused = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env=environment(tmp_path, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    assert refused.returncode == 1
    assert f"{setting}={module}" in refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
