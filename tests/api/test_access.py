"""Who may do what through the public door: every operation of the document, for everybody who could come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.support.gateway import NDJSON, WITHIN_S, Caller, Json
from tests.support.keys import PEOPLE, Guarded, guarded_gateway
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

IN = "in"
_FORBIDDEN, _NOT_YOURS = "role-forbidden", "not-your-job"
_OPEN = dict.fromkeys(PEOPLE, IN)
_READ = dict.fromkeys(PEOPLE, IN)
_CREATE = {"vera": _FORBIDDEN, "sam": IN, "tom": IN, "ada": _FORBIDDEN, "root": IN}
_STEER = {"vera": _FORBIDDEN, "sam": IN, "tom": _NOT_YOURS, "ada": _FORBIDDEN, "root": IN}
_DECIDE = {"vera": _FORBIDDEN, "sam": _FORBIDDEN, "tom": _FORBIDDEN, "ada": IN, "root": IN}

# The table once more, as it was decided: a change of the application's own must be wanted here, too. The jobs are sam's.
EXPECTED = {
    "livez": _OPEN,
    "readyz": _OPEN,
    "findAllJobs": _READ,
    "findJob": _READ,
    "exportJobs": _READ,
    "statistics": _READ,
    "getJob": _READ,
    "waitForJob": _READ,
    "statuses": _READ,
    "jobStatuses": _READ,
    "jobHistory": _READ,
    "jobActions": _READ,
    "jobEvents": _READ,
    "events": _READ,
    "createStreamTicket": _READ,
    "jobResult": _READ,
    "jobResultTable": _READ,
    "jobResultAsset": _READ,
    "operations": _READ,
    "assets": _READ,
    "getAsset": _READ,
    "createJob": _CREATE,
    "assetUsage": _READ,
    "createAsset": _CREATE,
    "preflightJob": _CREATE,
    "submitJob": _STEER,
    "cancelJob": _STEER,
    "killJob": _STEER,
    "accessRequests": _DECIDE,
    "acceptAccessRequest": _DECIDE,
    "denyAccessRequest": _DECIDE,
    "agreements": _DECIDE,
    "createAgreement": _DECIDE,
    "endAgreement": _DECIDE,
}
# Nothing that other tests start is granted by it.
_AGREEMENT = {
    "to_team": "lakeside",
    "asset_id": "globex/holdout",
    "protocol": "PRIVATE_SET_INTERSECTION",
    "run_limit": 1,
}
STREAMS = ("jobEvents", "events")
OPEN_OPERATIONS = {"livez", "readyz"}
OPEN_PATHS = ("/", "/livez", "/readyz", "/docs", "/openapi.json")
SSE = {"Accept": "text/event-stream"}
_LOOK_AGAIN_S = 0.05


@dataclass(slots=True, kw_only=True)
class Call:
    """A valid request for one operation."""

    method: str
    path: str
    sent: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A gateway, its document, and something for every operation to be done to."""

    guarded: Guarded
    network: RunningNetwork
    document: Json
    finished: str
    asset: str

    @property
    def operations(self) -> dict[str, tuple[str, str]]:
        """The method and the path of each."""
        return {
            operation["operationId"]: (method.upper(), path)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    async def call(self, operation: str) -> Call:
        """One that would succeed; what is changed by it was made for it."""
        method, path = self.operations[operation]
        names = {"job_id": self.finished, "asset_id": self.asset}
        if operation in ("submitJob", "cancelJob", "killJob"):
            names["job_id"] = await self.created()
        if operation in ("acceptAccessRequest", "denyAccessRequest"):
            names["asset_id"], names["job_id"] = await asyncio.to_thread(self.asked)
        if operation == "endAgreement":
            names["agreement_id"] = await asyncio.to_thread(self.agreed)
        sent: dict[str, dict[str, Any]] = {
            "createJob": {"json": {"job_name": "of the table", **INTERSECTION}},
            "createAsset": {
                "params": {"name": f"table-{uuid4()}"},
                "content": b"a,b\n1,2\n",
                "headers": {"Content-Type": "text/csv"},
            },
            "assetUsage": {"params": {"dataset": self.asset}},
            "preflightJob": {"json": {"job_name": "of the table", **INTERSECTION}},
            "createAgreement": {"json": _AGREEMENT},
            "createStreamTicket": {"json": {"job_id": self.finished}},
            "findJob": {"params": {"id": self.finished}},
            "cancelJob": {"json": {"reason": "of the table"}},
            "killJob": {"json": {"reason": "of the table"}},
            "denyAccessRequest": {"json": {"reason": "of the table"}},
        }
        return Call(method=method, path=path.format(**names), sent=sent.get(operation, {}))

    async def created(self) -> str:
        """A new job of sam's."""
        async with self.guarded.client("sam") as client:
            answer = await client.post("/v1/jobs", json={"job_name": "throwaway", **REGRESSION})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def agreed(self) -> str:
        """A new agreement of globex's."""
        answer = self.network.client("globex").post("/v1/agreements", json=_AGREEMENT)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def asked(self) -> tuple[str, str]:
        """An access request of mercy's for an asset of ours: the asset and the job. Mercy will not be let in by lakeside."""
        body = {**REGRESSION, "dataset": ["globex/holdout", "lakeside/breast-cancer"]}
        job = self.network.submit(body, team="mercy")
        ours = next(one for one in job["waiting_on"] if one["team"] == "globex")
        return str(ours["asset_id"]), str(job["id"])


@pytest.fixture(scope="module")
def world(guarded: Guarded, running_network: RunningNetwork) -> World:
    headers = {"Authorization": f"Bearer {guarded.keys['sam']}"}
    url = guarded.gateway.url
    with httpx.Client(base_url=url, headers=headers, timeout=WITHIN_S, trust_env=False, verify=False) as client:
        job = client.post("/v1/jobs", params={"submit": "true"}, json={"job_name": "whole", **INTERSECTION}).json()
        running_network.accept_all(job)
        client.get(f"/v1/jobs/{job['id']}/events")  # up to its end
        assets = client.get("/v1/assets", params={"name": "globex/holdout"}).json()["items"]
        document = client.get("/openapi.json").json()
    return World(guarded=guarded, network=running_network, document=document, finished=job["id"], asset=assets[0]["id"])


@pytest.fixture
async def clients(guarded: Guarded) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Everybody's."""
    async with AsyncExitStack() as stack:
        yield {who: await stack.enter_async_context(guarded.client(who)) for who in PEOPLE}


@pytest.fixture
async def stranger(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key."""
    async with guarded.gateway.client() as client:
        yield client


async def answer_of(client: httpx.AsyncClient, call: Call, **headers: str) -> httpx.Response:
    """The answer; of a stream, which need not end, its beginning."""
    sent = {**call.sent, "headers": {**call.sent.get("headers", {}), **headers}}
    async with client.stream(call.method, call.path, **sent) as answer:
        if answer.status_code == 200 and call.path.endswith("/events"):
            await anext(answer.aiter_raw())
        else:
            await answer.aread()
    return answer


def told(answer: httpx.Response) -> str:
    """Let in, or the code of the problem."""
    return IN if answer.is_success else f"{answer.json()['code']}"


# The table


async def test_every_operation_is_in_the_table(world: World) -> None:
    """Whoever adds one says here who may."""
    assert world.operations.keys() == EXPECTED.keys()


@pytest.mark.parametrize("operation", EXPECTED)
async def test_everybody_may_what_the_table_says(
    world: World, clients: dict[str, httpx.AsyncClient], operation: str
) -> None:
    """Neither less, for then it is of no use, nor more."""
    answers = {who: await answer_of(client, await world.call(operation)) for who, client in clients.items()}

    assert {who: told(answer) for who, answer in answers.items()} == EXPECTED[operation]
    refusals = [answer for answer in answers.values() if not answer.is_success]
    assert {answer.status_code for answer in refusals} <= {403}
    assert {answer.headers["Content-Type"] for answer in refusals} <= {"application/problem+json"}


@pytest.mark.parametrize("accept", [SSE, NDJSON], ids=["sse", "ndjson"])
@pytest.mark.parametrize("operation", STREAMS)
async def test_a_stream_is_open_to_everybody_in_either_form(
    world: World, clients: dict[str, httpx.AsyncClient], operation: str, accept: dict[str, str]
) -> None:
    """The form is no way around the key, and none around the role."""
    call = await world.call(operation)

    answers = {who: await answer_of(client, call, **accept) for who, client in clients.items()}

    assert {who: told(answer) for who, answer in answers.items()} == EXPECTED[operation]
    assert all(answer.headers["Content-Type"].startswith(accept["Accept"]) for answer in answers.values())


async def test_a_refusal_says_which_roles_would_do(world: World, clients: dict[str, httpx.AsyncClient]) -> None:
    """Whom to ask."""
    forbidden = await answer_of(clients["vera"], await world.call("createJob"))
    not_yours = await answer_of(clients["tom"], await world.call("killJob"))

    assert (forbidden.json()["role"], forbidden.json()["roles"]) == ("viewer", ["submitter", "admin"])
    assert not_yours.json()["created_by"] == "sam"


async def test_a_job_that_does_not_exist_is_nobodys(clients: dict[str, httpx.AsyncClient]) -> None:
    """Who may not steer at all learns not even that."""
    path = f"/v1/jobs/{uuid4()}/kill"

    answers = {who: told(await client.post(path)) for who, client in clients.items()}

    assert answers == {**_STEER, "sam": "job-not-found", "tom": "job-not-found", "root": "job-not-found"}


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}", "urn:uuid:{}"])
async def test_another_spelling_of_a_jobs_id_is_no_way_around(
    world: World, clients: dict[str, httpx.AsyncClient], spelling: str
) -> None:
    """Whatever a route takes for an id, whose job it is was asked of the same."""
    job_id = (await world.created()).upper()
    path = f"/v1/jobs/{spelling.format(job_id)}/kill"

    answers = {who: told(await client.post(path)) for who, client in clients.items()}

    assert answers == _STEER


async def test_what_is_no_id_is_nobodys_job(clients: dict[str, httpx.AsyncClient]) -> None:
    """The route says what is wrong with it, to those who may steer at all."""
    answers = {who: told(await client.post("/v1/jobs/nonsense/kill")) for who, client in clients.items()}

    assert answers == {**_STEER, "sam": "invalid", "tom": "invalid", "root": "invalid"}


async def test_what_was_created_past_the_gateway_is_for_admins_to_steer(
    world: World, clients: dict[str, httpx.AsyncClient]
) -> None:
    """Nobody here asked for it."""
    job_id = await asyncio.to_thread(world.network.create, REGRESSION)

    answers = {who: told(await clients[who].post(f"/v1/jobs/{job_id}/kill")) for who in ("sam", "tom", "root")}

    assert answers == {"sam": _NOT_YOURS, "tom": _NOT_YOURS, "root": IN}


# Without a key that is good


@asynccontextmanager
async def untouched(world: World) -> AsyncIterator[dict[str, Call]]:
    """A valid call for every operation that needs a key; after the block, none of them has been done."""
    needing = world.operations.keys() - OPEN_OPERATIONS
    calls = {operation: await world.call(operation) for operation in needing}
    name = f"smuggled {uuid4()}"
    calls["createJob"].sent["json"]["job_name"] = name
    table = calls["createAsset"].sent["params"]["name"]
    requests = [calls[f"{verb}AccessRequest"].path.split("/")[4] for verb in ("accept", "deny")]
    jobs = [calls[f"{verb}Job"].path.split("/")[3] for verb in ("submit", "cancel", "kill")]

    yield calls

    async with world.guarded.client("root") as client:
        watcher = Caller(world.guarded.gateway, world.network, client)
        assert (await watcher.get("/v1/jobs", name=name))["items"] == []
        assert (await watcher.get("/v1/assets", name=table))["items"] == []
        for job_id in jobs:
            assert (await watcher.get(f"/v1/jobs/{job_id}"))["phase"] == "created"
            done = (await watcher.get(f"/v1/jobs/{job_id}/actions"))["items"]
            assert [action["verb"] for action in done] == ["create"]
        for job_id in requests:
            (asked,) = (await watcher.get("/v1/access-requests", job_id=job_id))["items"]
            assert asked["state"] == "pending"


async def test_without_a_key_nothing_is_told_and_nothing_is_done(world: World, stranger: httpx.AsyncClient) -> None:
    """Every operation, to the last one added."""
    async with untouched(world) as calls:
        answers = {name: await answer_of(stranger, call) for name, call in calls.items()}

    assert {name: (answer.status_code, told(answer)) for name, answer in answers.items()} == dict.fromkeys(
        calls, (401, "key-missing")
    )
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}
    assert {answer.headers["Content-Type"] for answer in answers.values()} == {"application/problem+json"}


async def test_with_a_key_that_is_not_good_nothing_is_told_and_nothing_is_done(
    world: World, stranger: httpx.AsyncClient
) -> None:
    """Expired, revoked, wrong, unknown, or none at all; which of these is not told, either."""
    async with untouched(world) as calls:
        answers = {
            (wrong, name): await answer_of(stranger, call, Authorization=header)
            for wrong, header in world.guarded.refused.items()
            for name, call in calls.items()
        }

    outcomes = {which: (answer.status_code, told(answer)) for which, answer in answers.items()}
    assert outcomes == dict.fromkeys(answers, (401, "key-invalid"))
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}
    assert {answer.headers["Content-Type"] for answer in answers.values()} == {"application/problem+json"}
    assert len({answer.json()["detail"] for answer in answers.values()}) == 1


async def test_a_stream_is_refused_as_a_problem_in_either_form(world: World, stranger: httpx.AsyncClient) -> None:
    """EventSource stops at 401; a stream that began and said so would be dialled for ever."""
    for operation in STREAMS:
        call = await world.call(operation)
        for accept in (SSE, NDJSON):
            answer = await answer_of(stranger, call, **accept)
            assert (answer.status_code, told(answer)) == (401, "key-missing")


@pytest.mark.parametrize("path", OPEN_PATHS)
async def test_what_is_open_is_open_whoever_comes(guarded: Guarded, stranger: httpx.AsyncClient, path: str) -> None:
    """A prober has no key, and a key that has expired must not make the gateway look dead."""
    bare = await stranger.get(path)
    stale = await stranger.get(path, headers={"Authorization": guarded.refused["expired"]})

    assert (bare.status_code, stale.status_code) == (200, 200)


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/nothing", "/v1/jobs/", "/docs/", "/livez/", "/static/x", "/v1/livez"]
)
async def test_what_does_not_exist_is_not_told_to_strangers(stranger: httpx.AsyncClient, path: str) -> None:
    """404 here and 401 there would be a map."""
    answer = await stranger.get(path)

    assert (answer.status_code, told(answer)) == (401, "key-missing")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_no_other_method_slips_through(world: World, stranger: httpx.AsyncClient, method: str) -> None:
    """Neither without a key, nor to more than there is with one."""
    paths = {(await world.call(operation)).path for operation in STREAMS} | {"/v1/jobs", f"/v1/jobs/{world.finished}"}

    bare = {(await stranger.request(method, path)).status_code for path in paths}
    async with world.guarded.client("vera") as client:
        with_key = {(await client.request(method, path)).status_code for path in paths}

    assert (bare, with_key) == ({401}, {405})


async def test_a_key_in_an_address_or_a_cookie_opens_nothing(
    world: World, guarded: Guarded, stranger: httpx.AsyncClient
) -> None:
    """Addresses are written down by every proxy, and cookies are sent by other people's pages."""
    key = guarded.keys["root"]
    paths = ("/v1/jobs", f"/v1/jobs/{world.finished}", "/v1/events", f"/v1/jobs/{world.finished}/events")

    for path in paths:
        for name in ("key", "api_key", "access_token", "authorization", "ticket"):
            assert (await stranger.get(path, params={name: key})).status_code == 401
        for cookie in (f"gateway-stream={key}", f"Authorization=Bearer {key}", f"key={key}"):
            assert (await stranger.get(path, headers={"Cookie": cookie})).status_code == 401
        for header in ("X-Api-Key", "X-Authorization", "Proxy-Authorization", "Router-Authorization"):
            assert (await stranger.get(path, headers={header: f"Bearer {key}"})).status_code == 401


@pytest.mark.parametrize("written", ["Bearer {}", "bearer {}", "BEARER {}", "  Bearer {}  ", "Bearer   {}"])
async def test_the_scheme_may_be_written_in_any_way_that_is_allowed(guarded: Guarded, written: str) -> None:
    """RFC 9110: its case does not matter, nor do spaces around it."""
    address = urlsplit(guarded.gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    header = written.format(guarded.keys["vera"])
    writer.write(f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\nConnection: close\r\n\r\n".encode())

    answer = await reader.readline()

    writer.close()
    await writer.wait_closed()
    assert b" 200 " in answer


# Who did what


async def test_everything_done_about_a_job_says_who_did_it_with_which_key_and_why(world: World) -> None:
    """Also what was refused: it was tried."""
    sam_id, root_id = (world.guarded.keys[who].split("_")[1] for who in ("sam", "root"))
    async with world.guarded.client("sam") as sam, world.guarded.client("root") as root:
        job_id = await world.created()
        await sam.post(f"/v1/jobs/{job_id}/submit")
        await sam.post(f"/v1/jobs/{job_id}/submit")
        await sam.post(f"/v1/jobs/{job_id}/cancel", json={"reason": "no need"})
        await root.post(f"/v1/jobs/{job_id}/kill", json={"reason": "to be sure"})
        job = (await root.get(f"/v1/jobs/{job_id}")).json()
        actions = (await root.get(f"/v1/jobs/{job_id}/actions")).json()["items"]

    names = ("verb", "user", "key_id", "reason", "outcome")
    assert [tuple(action[name] for name in names) for action in actions] == [
        ("create", "sam", sam_id, None, "done"),
        ("submit", "sam", sam_id, None, "done"),
        ("submit", "sam", sam_id, None, "job-already-submitted"),
        ("cancel", "sam", sam_id, "no need", "done"),
        ("kill", "root", root_id, "to be sure", "job-finished"),
    ]
    assert job["created_by"] == "sam"
    assert [action["when"] for action in actions] == sorted(action["when"] for action in actions)


@pytest.mark.parametrize(("verb", "other"), [("accept", "deny"), ("deny", "accept")])
async def test_who_answered_an_access_request_is_on_record(world: World, verb: str, other: str) -> None:
    """An owner's data was used, or was not, by somebody's word."""
    asset_id, job_id = await asyncio.to_thread(world.asked)
    path = f"/v1/access-requests/{asset_id}/{job_id}"
    async with world.guarded.client("ada") as ada:
        await ada.post(f"{path}/{verb}", json={"reason": "by contract"})
        await ada.post(f"{path}/{other}")
        actions = (await ada.get(f"/v1/jobs/{job_id}/actions")).json()["items"]

    names = ("verb", "user", "asset_id", "reason", "outcome")
    assert [tuple(action[name] for name in names) for action in actions] == [
        (verb, "ada", asset_id, "by contract", "done"),
        (other, "ada", asset_id, None, "already-decided"),
    ]


class HeldBack:
    """A way to the Router whose answers can be held back: what was asked has arrived there, and nobody here knows."""

    def __init__(self, target: str) -> None:
        self.holding = False
        self._target = urlsplit(target)
        self._held = b""
        self._news = asyncio.Condition()

    async def holds(self, words: bytes) -> None:
        """Return once an answer that has these words was held back."""
        async with asyncio.timeout(WITHIN_S), self._news:
            await self._news.wait_for(lambda: words in self._held)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        asking = asyncio.create_task(_pump(reader, far_writer))
        try:
            while piece := await far_reader.read(1 << 16):
                if self.holding:
                    async with self._news:
                        self._held += piece
                        self._news.notify_all()
                else:
                    writer.write(piece)
        except ConnectionError:
            return
        finally:
            asking.cancel()
            await asyncio.wait([asking])
            writer.close()
            far_writer.close()


@asynccontextmanager
async def held_back(target: str) -> AsyncIterator[tuple[HeldBack, str]]:
    """It and its address."""
    way = HeldBack(target)
    server = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    async with server:
        yield way, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
    writer.close()


async def test_who_created_a_job_is_known_when_the_gateway_died_before_it_knew_the_job(
    running_network: RunningNetwork, tmp_path: Path
) -> None:
    """Its reference was written down first, and by that it is known again."""
    async with held_back(running_network.router_url) as (way, url):
        with guarded_gateway(tmp_path / "gateway", running_network, GATEWAY_ROUTER_URL=url) as guarded:
            async with guarded.client("sam") as sam:
                await sam.post("/v1/jobs", json={"job_name": "before", **REGRESSION})
                way.holding = True
                creating = asyncio.create_task(sam.post("/v1/jobs", json={"job_name": "unheard of", **REGRESSION}))
                await way.holds(b"unheard of")
                guarded.gateway.kill9()
                with suppress(httpx.TransportError):
                    await creating
            way.holding = False
            await asyncio.to_thread(guarded.gateway.start)
            async with guarded.client("sam") as sam:
                job = await heard_of(sam, "unheard of")
                killed = await sam.post(f"/v1/jobs/{job['id']}/kill")
                actions = (await sam.get(f"/v1/jobs/{job['id']}/actions")).json()["items"]

    assert job["created_by"] == "sam"
    assert [(one["verb"], one["outcome"]) for one in actions] == [("create", None), ("kill", "done")]
    assert killed.status_code == 200


async def heard_of(client: httpx.AsyncClient, name: str) -> Json:
    """The job of this name, once the gateway knows it."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            jobs: list[Json] = (await client.get("/v1/jobs", params={"name": name})).json()["items"]
            if jobs:
                return jobs[0]
            await asyncio.sleep(_LOOK_AGAIN_S)  # the feed tells no names
