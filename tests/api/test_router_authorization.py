"""A caller's own Router token: what they change at the Router is done in their name, and the token goes nowhere else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from app.domain.access import Role
from app.domain.keys import new_key
from app.domain.reports import StreamAddress
from app.settings import Settings
from app.store.memory import open_keys
from tests.support.gateway import Caller, Gateway, router_settings, served
from tests.support.loopback import Answer, Seen, Server, answers, drops, loopback
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork
from tests.support.news import JOB, NOON, report

OWNER, MEMBER, MERCYS_MEMBER = "owner@globex", "member@globex", "member@mercy"
UNKNOWN = "no-token-of-anybody"
_CSV = {"Content-Type": "text/csv"}
_MERCY_ASKS = {**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}
_NOT_GLOBEXS = {**INTERSECTION, "dataset": ["mercy/patients", "lakeside/breast-cancer"]}


class KeyCaller(Caller):
    """A program with the key of a submitter; the gateway's own token is the member's."""

    def __init__(self, gateway: Gateway, network: RunningNetwork, client: httpx.AsyncClient, *, key: str) -> None:
        super().__init__(gateway, network, client)
        client.headers["Authorization"] = f"Bearer {key}"


@pytest.fixture(scope="module")
def key_gateway(
    running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, dict[Role, str]]]:
    """One that asks for keys, and has globex's member's token; a key of each role."""
    data_dir = tmp_path_factory.mktemp("keys")
    keys = asyncio.run(_keys(Settings(data_dir=data_dir).database))
    settings = {**router_settings(running_network), "GATEWAY_ROUTER_TOKEN": running_network.user_token(MEMBER)}
    with served(data_dir, GATEWAY_AUTH="key", GATEWAY_REFUSAL_PAUSE_S="0", **settings) as gateway:
        yield gateway, keys


async def _keys(database: str) -> dict[Role, str]:
    made: dict[Role, str] = {}
    async with open_keys(database, now=_now) as keys:
        for role in Role:
            key, made[role] = new_key(f"the {role}", role, now=_now(), expires=None)
            await keys.keep(key)
    return made


@pytest.fixture
async def with_key(
    key_gateway: tuple[Gateway, dict[Role, str]], running_network: RunningNetwork
) -> AsyncIterator[Callable[[Role], KeyCaller]]:
    """A program with a key of this role."""
    gateway, keys = key_gateway
    async with gateway.client() as client:
        yield lambda role: KeyCaller(gateway, running_network, client, key=keys[role])


def _as(network: RunningNetwork, user: str) -> dict[str, str]:
    return {"Router-Authorization": f"Bearer {network.user_token(user)}"}


def _now() -> datetime:
    return datetime.now(UTC)


# In one's own name


async def test_a_job_is_created_in_the_callers_own_name(caller: Caller) -> None:
    """At the Router it is the member's; here it is known who came, and as whom."""
    answer = await caller.client.post(
        "/v1/jobs", json={"job_name": "mine", **REGRESSION}, headers=_as(caller.network, MEMBER)
    )

    job = answer.json()
    assert (answer.status_code, job["owner"]["user"], job["created_by"]) == (201, MEMBER, "local")
    assert caller.network.job(job["id"])["owner"] == {"user": MEMBER, "team": "globex"}
    (done,) = (await caller.get(f"/v1/jobs/{job['id']}/actions"))["items"]
    assert (done["verb"], done["user"], done["router_user"], done["outcome"]) == ("create", "local", MEMBER, "done")


async def test_create_with_submit_is_both_in_that_name(caller: Caller) -> None:
    """One call, one user."""
    answer = await caller.client.post(
        "/v1/jobs?submit=true", json={"job_name": "mine", **REGRESSION}, headers=_as(caller.network, MEMBER)
    )

    job = answer.json()
    assert (answer.status_code, job["phase"], job["owner"]["user"]) == (201, "waiting_on_permission", MEMBER)
    actions = (await caller.get(f"/v1/jobs/{job['id']}/actions"))["items"]
    assert [(done["verb"], done["router_user"]) for done in actions] == [("create", MEMBER), ("submit", MEMBER)]


@pytest.mark.parametrize("verb", ["cancel", "kill"])
async def test_whoever_ends_a_job_is_named_by_the_router(caller: Caller, verb: str) -> None:
    """The gateway's own user created it; another person of the team ended it."""
    job = await caller.waiting(REGRESSION)

    answer = await caller.client.post(
        f"/v1/jobs/{job['id']}/{verb}", json={"reason": "a slip"}, headers=_as(caller.network, MEMBER)
    )

    assert answer.status_code == 200
    told = caller.network.job(job["id"])
    assert (told["owner"]["user"], told["reason"]) == (OWNER, "member@globex: a slip")
    last = (await caller.get(f"/v1/jobs/{job['id']}/actions"))["items"][-1]
    assert (last["verb"], last["user"], last["router_user"]) == (verb, "local", MEMBER)


async def test_without_a_token_it_is_the_gateways_own_name(caller: Caller) -> None:
    """Most callers have none."""
    job = await caller.waiting(REGRESSION)
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    assert caller.network.job(job["id"])["reason"] == OWNER
    actions = (await caller.get(f"/v1/jobs/{job['id']}/actions"))["items"]
    assert {done["router_user"] for done in actions} == {None}


@pytest.mark.parametrize(("verb", "state"), [("accept", "accepted"), ("deny", "denied")])
async def test_an_owner_answers_in_their_own_name_where_the_gateway_may_not(
    with_key: Callable[[Role], KeyCaller], verb: str, state: str
) -> None:
    """The gateway's own user is a member, who decides nothing; the approver shows the owner's token."""
    approver = with_key(Role.APPROVER)
    job = approver.network.submit(_MERCY_ASKS, team="mercy")
    path = f"/v1/access-requests/{job['waiting_on'][0]['asset_id']}/{job['id']}/{verb}"

    refused = await approver.client.post(path)
    answered = await approver.client.post(path, headers=_as(approver.network, OWNER))

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (answered.status_code, answered.json()["state"], answered.json()["decided_by"]) == (200, state, OWNER)
    actions = (await approver.get(f"/v1/jobs/{job['id']}/actions"))["items"]
    assert [(done["router_user"], done["outcome"]) for done in actions] == [(None, "forbidden"), (OWNER, "done")]


async def test_a_members_token_decides_nothing_where_the_gateways_own_would(caller: Caller) -> None:
    """The Router looks at who asks, and the gateway does not step in for them."""
    job = caller.network.submit(_MERCY_ASKS, team="mercy")
    asset_id = job["waiting_on"][0]["asset_id"]

    answer = await caller.client.post(
        f"/v1/access-requests/{asset_id}/{job['id']}/accept", headers=_as(caller.network, MEMBER)
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    (request,) = (await caller.get("/v1/access-requests", job_id=job["id"]))["items"]
    assert (request["state"], request["decided_by"]) == ("pending", None)
    caller.network.act(job["id"], "cancel", team="mercy")


async def test_a_table_is_announced_in_the_callers_name(caller: Caller) -> None:
    """And its bytes go where they always go."""
    name = f"t-{uuid4().hex}"

    answer = await caller.client.post(
        f"/v1/assets?name={name}", content=b"a,b\n1,2\n", headers={**_CSV, **_as(caller.network, MEMBER)}
    )

    assert (answer.status_code, answer.json()["records"]) == (201, 1)


# Tokens that are none


@pytest.mark.parametrize("what", ["create", "submit", "cancel", "kill", "accept", "deny", "upload"])
@pytest.mark.parametrize("whose", ["another team's", "nobody's"])
async def test_a_token_of_others_is_refused_and_nothing_is_done(caller: Caller, what: str, whose: str) -> None:
    """Not in that name, and not in the gateway's either."""
    token = caller.network.user_token(MERCYS_MEMBER) if whose == "another team's" else UNKNOWN
    job = await caller.create(REGRESSION)
    asked = await caller.waiting(REGRESSION)
    upload = f"t-{uuid4().hex}"
    before = _at_the_router(caller.network, job, asked, asset=upload)
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "create": ("/v1/jobs?submit=true", {"json": {"job_name": "never", **REGRESSION}}),
        "submit": (f"/v1/jobs/{job['id']}/submit", {}),
        "cancel": (f"/v1/jobs/{asked['id']}/cancel", {}),
        "kill": (f"/v1/jobs/{asked['id']}/kill", {"json": {"reason": "never"}}),
        "accept": (f"/v1/access-requests/{asked['waiting_on'][0]['asset_id']}/{asked['id']}/accept", {}),
        "deny": (f"/v1/access-requests/{asked['waiting_on'][0]['asset_id']}/{asked['id']}/deny", {}),
        "upload": (f"/v1/assets?name={upload}", {"content": b"a\n1\n", "headers": _CSV}),
    }
    path, given = calls[what]
    given["headers"] = {**given.get("headers", {}), "Router-Authorization": f"Bearer {token}"}

    answer = await caller.client.post(path, **given)

    assert (answer.status_code, answer.json()["code"]) == (403, "router-token-refused")
    assert token not in answer.text
    assert _at_the_router(caller.network, job, asked, asset=upload) == before


def _at_the_router(network: RunningNetwork, *jobs: dict[str, Any], asset: str) -> list[object]:
    """Which jobs there are, how these stand, what is asked for them, and whether there is such an asset."""
    client = network.client("globex")
    ids = [str(job["id"]) for job in jobs]
    return [
        [job["id"] for job in client.get("/v1/jobs?limit=50").json()["items"]],
        [(job["market_status"], job["sequence"], job["reason"]) for job in map(network.job, ids)],
        [client.get("/v1/access-requests", params={"job_id": job_id}).json()["items"] for job_id in ids],
        client.get("/v1/assets", params={"name": f"globex/{asset}"}).json()["items"],
    ]


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"Bearer",
        b"Basic b3duZXI6c2VjcmV0",
        b"only-a-token",
        b"Bearer two words",
        b"Bearer a\tb",
        "Bearer tökén".encode(),
        "Bearer tökén".encode("latin-1"),
        b"Bearer a\x85b",
    ],
)
async def test_what_is_no_token_is_refused_by_the_headers_name(caller: Caller, written: bytes) -> None:
    """And is not repeated: it may be a token with a slip in it."""
    job = await caller.create(REGRESSION)

    answer = await caller.client.post(f"/v1/jobs/{job['id']}/submit", headers={b"Router-Authorization": written})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["field"] == "Router-Authorization"
    assert (await caller.get(f"/v1/jobs/{job['id']}"))["phase"] == "created"


# Reads


@pytest.mark.parametrize(
    "written", ["its own", "the member's", "another team's", "nobody's", "malformed"], ids=lambda one: one.split()[0]
)
async def test_reading_is_the_same_with_any_token_and_without(caller: Caller, written: str) -> None:
    """What is seen is what the gateway sees; a token can neither widen nor narrow it."""
    headers = {
        "its own": _as(caller.network, OWNER),
        "the member's": _as(caller.network, MEMBER),
        "another team's": _as(caller.network, MERCYS_MEMBER),
        "nobody's": {"Router-Authorization": f"Bearer {UNKNOWN}"},
        "malformed": {"Router-Authorization": "not even a scheme"},
    }[written]
    job, asked = await caller.create(REGRESSION), await caller.waiting(REGRESSION)
    paths = [
        f"/v1/jobs/{job['id']}",
        f"/v1/jobs/{job['id']}/statuses",
        f"/v1/jobs/{job['id']}/history",
        f"/v1/jobs/{job['id']}/actions",
        f"/v1/access-requests?job_id={asked['id']}",
        "/v1/operations",
        "/v1/assets?name=mercy/patients",
    ]

    plain = [await caller.client.get(path) for path in paths]
    named = [await caller.client.get(path, headers=headers) for path in paths]

    assert {answer.status_code for answer in (*plain, *named)} == {200}
    assert [_lasting(answer) for answer in named] == [_lasting(answer) for answer in plain]
    ticket = await caller.client.post("/v1/stream-tickets", json={"job_id": job["id"]}, headers=headers)
    assert ticket.status_code == 201


async def test_what_another_team_sees_is_not_seen_here_with_its_token(caller: Caller) -> None:
    """The gateway's history is one team's, whoever asks."""
    theirs = caller.network.create(_NOT_GLOBEXS, team="mercy")
    headers = _as(caller.network, MERCYS_MEMBER)

    answers = [
        await caller.client.get(path.format(job=theirs), headers=headers)
        for path in ("/v1/jobs/{job}", "/v1/jobs/{job}/events", "/v1/jobs/{job}/history", "/v1/jobs/{job}/actions")
    ]
    listed = await caller.client.get(f"/v1/jobs?id={theirs}", headers=headers)

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "job-not-found")] * 4
    assert listed.json()["items"] == []


def _lasting(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    body.pop("observed_at", None)
    return body


# Whose job it is


@pytest.mark.parametrize("verb", ["submit", "cancel", "kill"])
async def test_a_submitter_steers_what_they_created_past_the_gateway(
    with_key: Callable[[Role], KeyCaller], verb: str
) -> None:
    """Their own token shows whose it is; without it, and with a colleague's or a stranger's, it is not theirs."""
    submitter = with_key(Role.SUBMITTER)
    network = submitter.network
    job_id = _made_past_the_gateway(network, MEMBER)
    path = f"/v1/jobs/{job_id}/{verb}"

    plain = await submitter.client.post(path)
    colleague = await submitter.client.post(path, headers=_as(network, OWNER))
    stranger = await submitter.client.post(path, headers=_as(network, MERCYS_MEMBER))
    untouched = network.job(job_id)["market_status"]
    own = await submitter.client.post(path, headers=_as(network, MEMBER))

    assert [(answer.status_code, answer.json()["code"]) for answer in (plain, colleague, stranger)] == [
        (403, "not-your-job"),
        (403, "not-your-job"),
        (403, "router-token-refused"),
    ]
    assert untouched == "created"
    assert own.status_code in {200, 202}, own.text
    network.act(job_id, "cancel") if verb == "submit" else None


async def test_a_viewer_steers_nothing_with_whatever_token(with_key: Callable[[Role], KeyCaller]) -> None:
    """The role is the gateway's word; a token does not add to it."""
    viewer = with_key(Role.VIEWER)
    job_id = _made_past_the_gateway(viewer.network, MEMBER)
    headers = _as(viewer.network, MEMBER)

    answers = [
        await viewer.client.post(f"/v1/jobs/{job_id}/cancel", headers=headers),
        await viewer.client.post("/v1/jobs", json={"job_name": "x", **REGRESSION}, headers=headers),
        await viewer.client.get("/v1/access-requests", headers=headers),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "role-forbidden")] * 3
    assert viewer.network.job(job_id)["market_status"] == "created"


def _made_past_the_gateway(network: RunningNetwork, user: str) -> str:
    body = {"client_ref": str(uuid4()), "job_name": "past the gateway", **INTERSECTION}
    answer = network.user_client(user).post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


# Where it goes

_OURS, _THEIRS, _AP_TOKEN = "the-token-of-the-gateway", "the-token-of-the-caller", "for-one-stream"
_ASSET = str(uuid4())


class TrickyRouter:
    """Takes two users' tokens, names streams and contents at `elsewhere`, and sends every cancel there."""

    def __init__(self, elsewhere: str) -> None:
        self._elsewhere = elsewhere
        self.loses_creates = False

    def answer(self, seen: Seen) -> Answer:
        """To this request."""
        path = seen.target.partition("?")[0]
        plain = {"/v1/me": self._me(seen), "/v1/assets": self._asset(), f"/v1/jobs/{JOB}": self._job("perm", 2)}
        if path == "/v1/changes":
            return answers(200, b'{"epoch":"router","sequence":0}\n', kind="application/x-ndjson")
        if path.endswith(("/cancel", "/kill")):
            return answers(307, Location=f"{self._elsewhere}/v1/jobs/{JOB}/cancel")
        if path == "/v1/jobs" and seen.method == "POST":
            return drops if self.loses_creates else answers(201, self._job("created", 1))
        if path == "/v1/jobs":
            return answers(200, b'{"items":[' + self._job("created", 1) + b"]}")
        if path.endswith("/submit"):
            return answers(200, self._job("perm", 2))
        return answers(200, plain[path])

    def _me(self, seen: Seen) -> bytes:
        user = MEMBER if _THEIRS in seen.headers["authorization"] else OWNER
        return json.dumps({"user": user, "team": "globex", "role": "member", "epoch": "router"}).encode()

    def _job(self, market_status: str, sequence: int) -> bytes:
        stream = StreamAddress(url=f"{self._elsewhere}/stream", token=_AP_TOKEN)
        return msgspec.json.encode(replace(report(sequence, market_status), stream=stream))

    def _asset(self) -> bytes:
        content = {"url": f"{self._elsewhere}/content", "token": _AP_TOKEN}
        about: dict[str, object] = {
            "id": _ASSET,
            "name": "globex/t",
            "team": "globex",
            "kind": "table",
            "columns": [],
            "records": None,
        }
        return json.dumps({**about, "job_id": None, "created": NOON.isoformat(), "content": content}).encode()


@asynccontextmanager
async def tricked_gateway(data_dir: Path) -> AsyncIterator[tuple[httpx.AsyncClient, TrickyRouter, Server, Server]]:
    """A gateway of such a Router, and all that arrives there and elsewhere."""
    async with loopback(answers(302, Location="/again")) as elsewhere, loopback(drops) as router:
        tricks = TrickyRouter(elsewhere.url)

        async def tricked(writer: asyncio.StreamWriter) -> None:
            # The request is the newest one: nothing else runs between its arrival and this.
            await tricks.answer(router.seen[-1])(writer)

        router.answer = tricked
        gateway = Gateway(data_dir, GATEWAY_ROUTER_URL=router.url, GATEWAY_ROUTER_TOKEN=_OURS)
        try:
            await asyncio.to_thread(gateway.start)
            async with gateway.client() as client:
                client.headers["Router-Authorization"] = f"Bearer {_THEIRS}"
                yield client, tricks, router, elsewhere
        finally:
            await asyncio.to_thread(gateway.end)


async def test_a_token_is_sent_to_the_configured_router_and_nowhere_else(tmp_path: Path) -> None:
    """The Router names addresses of Access Points and may answer with a redirect: neither gets a user's token."""
    async with tricked_gateway(tmp_path) as (client, _tricks, router, elsewhere):
        created = await client.post("/v1/jobs", json={"job_name": "a job", "operation": "REGRESSION"})
        submitted = await client.post(f"/v1/jobs/{JOB}/submit")
        cancelled = await client.post(f"/v1/jobs/{JOB}/cancel")
        killed = await client.post(f"/v1/jobs/{JOB}/kill")
        uploaded = await client.post("/v1/assets?name=t", content=b"a\n1\n", headers=_CSV)
        read = await client.get(f"/v1/jobs/{JOB}")
        async with asyncio.timeout(20):
            while not {seen.target for seen in elsewhere.seen} >= {"/stream", "/content"}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # the stream is opened in its own time, and no bell rings for it

    assert [answer.status_code for answer in (created, submitted, cancelled, killed, uploaded, read)] == [
        *(201, 202, 502, 502, 502, 200)
    ]
    assert {seen.headers["authorization"] for seen in elsewhere.seen} == {f"Bearer {_AP_TOKEN}"}
    assert not {secret for secret in (_OURS, _THEIRS) if secret in repr(elsewhere.seen)}
    theirs = [(seen.method, seen.target) for seen in router.seen if _THEIRS in repr(seen)]
    assert theirs == [
        ("GET", "/v1/me"),
        ("POST", "/v1/jobs"),
        ("POST", f"/v1/jobs/{JOB}/submit"),
        ("POST", f"/v1/jobs/{JOB}/cancel"),
        ("POST", f"/v1/jobs/{JOB}/kill"),
        ("POST", "/v1/assets"),
    ]
    assert {seen.headers["authorization"] for seen in router.seen} == {f"Bearer {_OURS}", f"Bearer {_THEIRS}"}
    assert not any(_THEIRS in seen.target or _THEIRS in seen.body.decode() for seen in router.seen)


async def test_a_create_whose_answer_is_lost_is_looked_up_with_the_token_it_was_sent_with(tmp_path: Path) -> None:
    """The Router tells a reference to its own token alone: asked with ours, the job would look undone."""
    async with tricked_gateway(tmp_path) as (client, tricks, router, _elsewhere):
        tricks.loses_creates = True
        answer = await client.post("/v1/jobs", json={"job_name": "a job", "operation": "REGRESSION"})

    asked = [seen for seen in router.seen if seen.target.startswith("/v1/jobs") and seen.headers["authorization"]]
    sent, looked_up = (seen for seen in asked if seen.target.partition("?")[0] == "/v1/jobs")
    assert (answer.status_code, answer.json()["id"]) == (201, str(JOB))
    assert (sent.method, looked_up.method) == ("POST", "GET")
    assert {seen.headers["authorization"] for seen in (sent, looked_up)} == {f"Bearer {_THEIRS}"}
    assert looked_up.target == f"/v1/jobs?client_ref={json.loads(sent.body)['client_ref']}"
