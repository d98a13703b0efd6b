"""An Idempotency-Key: whatever happens in between, what it stands for is done once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.gateway import Caller, Gateway, Json, Listener, router_settings, served
from tests.support.keys import Guarded
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.relay import Relay, Way, relay

_CLIENTS = 50
_AGAIN = {"idempotency-key-in-use", "router-unreachable", "router-outcome-unknown", "router-garbled"}
# Long enough for a test to look at what is under way, short enough to wait for.
_CALL_TIMEOUT_S = 1.0
_WITHIN_S = 40.0


@pytest.fixture
async def line(running_network: RunningNetwork) -> AsyncIterator[Relay]:
    """What lies between the gateway and the Router."""
    async with relay(running_network.router_url) as between:
        yield between


@pytest.fixture
async def far_gateway(line: Relay, running_network: RunningNetwork, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway at the far end of it, in touch with the Router, with a history of its own."""
    settings = router_settings(running_network) | {
        "GATEWAY_ROUTER_URL": line.url,
        "GATEWAY_CALL_TIMEOUT_S": str(_CALL_TIMEOUT_S),
    }
    with served(tmp_path, **settings) as gateway:
        async with gateway.client() as client:
            await Listener(gateway, client).eventually("/v1/jobs", lambda page: not page["stale"])
        yield gateway


def _named() -> tuple[str, Json, dict[str, str]]:
    name = f"once {uuid4()}"
    return name, {"job_name": name, **REGRESSION}, {"Idempotency-Key": str(uuid4())}


def _made(network: RunningNetwork, name: str) -> list[str]:
    jobs = network.client("globex").get("/v1/jobs", params={"limit": 200}).json()["items"]
    return [job["id"] for job in jobs if job["job_name"] == name]


async def _until_answered(gateway: Gateway, path: str, body: Json | None, headers: dict[str, str]) -> httpx.Response:
    """Send the same again until the answer is definitive, as the documents tell callers to."""
    async with asyncio.timeout(_WITHIN_S):
        while True:
            try:
                async with gateway.client() as client:
                    answer = await client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1)  # the gateway is on its way back
                continue
            if answer.is_success or answer.json()["code"] not in _AGAIN:
                return answer
            await asyncio.sleep(0.1)


async def test_fifty_clients_at_once_with_one_key_make_one_job(
    gateway: Gateway, running_network: RunningNetwork
) -> None:
    """Fifty workers of a queue that delivered the same message to each of them."""
    name, body, key = _named()

    answers = await asyncio.gather(*(_until_answered(gateway, "/v1/jobs", body, key) for _ in range(_CLIENTS)))

    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == set(_made(running_network, name))
    assert len(_made(running_network, name)) == 1
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers].count(None) == 1
    assert len({answer.text for answer in answers}) == 1


async def test_when_the_gateway_is_killed_in_between_there_is_still_one_job(
    far_gateway: Gateway, line: Relay, running_network: RunningNetwork
) -> None:
    """The Router has made it, and whoever was to be told is dead."""
    name, clients = await _made_and_not_answered(far_gateway, line, running_network)

    far_gateway.kill9()
    line.let_go()
    await asyncio.to_thread(far_gateway.start)
    answers = await asyncio.gather(*clients)

    assert [answer.status_code for answer in answers] == [201] * _CLIENTS
    assert [answer.json()["id"] for answer in answers] == _made(running_network, name) * _CLIENTS


async def test_when_the_router_is_killed_in_between_there_is_still_one_job(
    far_gateway: Gateway, line: Relay, running_network: RunningNetwork
) -> None:
    """It comes back with the job, and with a caller who does not know."""
    name, clients = await _made_and_not_answered(far_gateway, line, running_network)

    await asyncio.to_thread(running_network.kill_router)
    await line.drop()
    line.let_go()
    await asyncio.to_thread(running_network.start_router)
    answers = await asyncio.gather(*clients)

    assert [answer.status_code for answer in answers] == [201] * _CLIENTS
    assert [answer.json()["id"] for answer in answers] == _made(running_network, name) * _CLIENTS


async def test_a_submit_whose_answer_was_lost_is_found_and_not_sent_again(
    far_gateway: Gateway, line: Relay, running_network: RunningNetwork
) -> None:
    """Sent again it would be refused, and the caller told that somebody else had done it."""
    async with far_gateway.client() as client:
        job = await Caller(far_gateway, running_network, client).create(REGRESSION)
        path, key = f"/v1/jobs/{job['id']}/submit", {"Idempotency-Key": "a-submit"}
        line.hold(Way.BACK)
        lost = await client.post(path, headers=key)
        line.let_go()
        found = await _until_answered(far_gateway, path, None, key)

    assert (lost.status_code, lost.json()["code"]) == (504, "router-outcome-unknown")
    assert (found.status_code, found.json()["phase"]) == (202, "waiting_on_permission")


async def test_a_submit_that_failed_after_its_create_is_done_by_a_repetition(
    far_gateway: Gateway, line: Relay, running_network: RunningNetwork
) -> None:
    """The create is not done again."""
    name, body, key = _named()
    line.hold(Way.BACK)
    create = asyncio.create_task(_until_answered(far_gateway, "/v1/jobs?submit=true", body, key))
    await _eventually_made(running_network, name)
    far_gateway.kill9()
    line.let_go()
    await asyncio.to_thread(far_gateway.start)

    answer = await create
    again = await _until_answered(far_gateway, "/v1/jobs?submit=true", body, key)

    assert (answer.status_code, answer.json()["phase"]) == (201, "waiting_on_permission")
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (answer.json(), "true")
    assert _made(running_network, name) == [answer.json()["id"]]


async def test_whether_it_is_submitted_too_belongs_to_what_a_key_stands_for(caller: Caller) -> None:
    """Else the answer would be a job that nobody has submitted."""
    name, body, key = _named()
    first = await caller.client.post("/v1/jobs", json=body, headers=key)

    other_way = await caller.client.post("/v1/jobs?submit=true", json=body, headers=key)

    assert (other_way.status_code, other_way.json()["code"]) == (422, "idempotency-key-reused")
    assert _made(caller.network, name) == [first.json()["id"]]


@pytest.mark.parametrize("verb", ["cancel", "kill"])
async def test_a_stop_is_answered_once_and_told_again(caller: Caller, verb: str) -> None:
    """With the reason of the first; another reason is another request."""
    job = await caller.waiting(REGRESSION)
    path, key = f"/v1/jobs/{job['id']}/{verb}", {"Idempotency-Key": "stop-it"}

    first = await caller.client.post(path, json={"reason": "a typo"}, headers=key)
    again = await caller.client.post(path, json={"reason": "a typo"}, headers=key)
    other = await caller.client.post(path, json={"reason": "too slow"}, headers=key)
    actions = (await caller.get(f"/v1/jobs/{job['id']}/actions"))["items"]

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert [action["verb"] for action in actions].count(verb) == 1


async def test_a_refusal_is_told_again_though_it_would_be_granted_by_now(caller: Caller, long_job: str) -> None:
    """Who repeats a cancel must not find that it has become one which does something."""
    path, key = f"/v1/jobs/{long_job}/cancel", {"Idempotency-Key": "cancel-it"}

    first = await caller.client.post(path, headers=key)
    await caller.client.post(f"/v1/jobs/{long_job}/kill")
    again = await caller.client.post(path, headers=key)

    assert (first.status_code, first.json()["code"]) == (409, "job-not-pending")
    told_again = {**again.json(), "request_id": first.json()["request_id"]}
    assert (again.status_code, told_again) == (409, first.json())
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")


async def test_a_key_counts_for_its_caller_alone(guarded: Guarded, running_network: RunningNetwork) -> None:
    """Two people hit upon the same one; each has a job of their own."""
    name, body, key = _named()
    answers = []
    for who in ("sam", "root"):
        async with guarded.client(who) as client:
            answers.append(await client.post("/v1/jobs", json=body, headers=key))

    assert [answer.status_code for answer in answers] == [201, 201]
    assert {answer.json()["id"] for answer in answers} == set(_made(running_network, name))
    assert len(_made(running_network, name)) == 2


@pytest.mark.parametrize("key", ["", "a key", "k" * 201, "schlüssel".encode("latin-1").decode("latin-1")])
async def test_a_key_that_is_none_is_refused(caller: Caller, key: str) -> None:
    """Rather than taken for none, which would do it twice."""
    answer = await caller.client.post(
        "/v1/jobs", json={"job_name": "keyed", **REGRESSION}, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )

    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


async def test_two_keys_for_one_request_are_refused(caller: Caller) -> None:
    """The one that counts might be the other one."""
    name, body, _ = _named()
    twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]

    answer = await caller.client.post("/v1/jobs", json=body, headers=twice)

    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert _made(caller.network, name) == []


async def _made_and_not_answered(
    gateway: Gateway, line: Relay, network: RunningNetwork
) -> tuple[str, list[asyncio.Task[httpx.Response]]]:
    """Fifty clients with one key, whose job the Router has made; no answer of its comes through."""
    name, body, key = _named()
    line.hold(Way.BACK)
    clients = [asyncio.create_task(_until_answered(gateway, "/v1/jobs", body, key)) for _ in range(_CLIENTS)]
    await _eventually_made(network, name)
    return name, clients


async def _eventually_made(network: RunningNetwork, name: str) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not await asyncio.to_thread(_made, network, name):  # noqa: ASYNC110  (no bell rings at the Router)
            await asyncio.sleep(0.05)
