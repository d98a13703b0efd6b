"""Jobs through the chain: what the far gateway knows, the near one tells, whatever of it ends in between."""

import asyncio
from pathlib import Path

from tests.sdk.conftest import sdk_settings
from tests.support.events import Event
from tests.support.gateway import Caller, Gateway, Listener, served
from tests.support.network import INTERSECTION, LONG_REGRESSION, REGRESSION


def messages(events: list[Event]) -> list[object]:
    return [event.json for event in events if event.name == "message"]


def phases(events: list[Event]) -> list[object]:
    return [event.json["phase"] for event in events if event.name == "phase"]


async def until_messages(caller: Caller, job_id: str, many: int) -> None:
    async with caller.listening(f"/v1/jobs/{job_id}/events") as events:
        async for event in events:
            many -= event.name == "message"
            if not many:
                return
    raise AssertionError("it ended before")


async def test_a_job_runs_from_end_to_end(chained: Caller, caller: Caller) -> None:
    """With every message, once each and in order, every status that says something new, and its result."""
    job = await chained.finished(REGRESSION, name="through the chain")

    far = await caller.get(f"/v1/jobs/{job['id']}")
    told, far_told = [await one.until_end(job["id"]) for one in (chained, caller)]
    assert (job["phase"], job["result"], job["model_status"]) == ("complete", far["result"], far["model_status"])
    assert messages(told) == messages(far_told)
    assert phases(told)[-1] == "complete"
    assert (job["owner"], job["created"], job["dataset"]) == (far["owner"], far["created"], far["dataset"])
    assert (job["created_by"], far["created_by"]) == ("local", "local")
    table = await chained.client.get(f"/v1/jobs/{job['id']}/result")
    assert table.json() == far["result"]


async def test_a_table_is_fetched(chained: Caller, caller: Caller) -> None:
    """The same rows, whole; what the SDK cannot do is said."""
    job = await chained.finished(INTERSECTION, name="a table")
    path = f"/v1/jobs/{job['id']}/result/table"

    near, far = [await one.client.get(path, params={"format": "csv"}) for one in (chained, caller)]
    some = await chained.client.get(path, params={"format": "csv", "limit": "1"})
    stored = await chained.client.get(path, params={"format": "parquet"})

    assert (near.status_code, near.text) == (200, far.text)
    assert (some.status_code, some.json()["code"]) == (501, "router-lacks-feature")
    assert stored.status_code == 406


async def test_a_job_is_killed(chained: Caller, caller: Caller) -> None:
    """As it is by whoever stands nearer."""
    job_id = await chained.running(LONG_REGRESSION, name="to be killed")
    killed = await chained.client.post(f"/v1/jobs/{job_id}/kill", json={"reason": "enough"})
    told = await chained.until_end(job_id)

    assert killed.status_code in (200, 202), killed.text
    assert phases(told)[-1] == "killed"
    assert (await caller.until_end(job_id))[-1].json["phase"] == "killed"


async def test_what_others_do_is_noticed(chained: Caller, caller: Caller) -> None:
    """A job that was made, and one that was cancelled, past this gateway."""
    theirs = await caller.waiting(INTERSECTION, name="made elsewhere")
    await chained.until_phase(theirs["id"], "waiting_on_permission")
    await caller.client.post(f"/v1/jobs/{theirs['id']}/cancel")
    told = await chained.until_end(theirs["id"])

    assert phases(told)[-1] == "cancelled"
    assert (await chained.get(f"/v1/jobs/{theirs['id']}"))["created_by"] is None


async def test_what_came_and_went_while_the_gateway_was_away_is_met(chained_gateway: Gateway, caller: Caller) -> None:
    """Past it, by another: with its stream, and once."""
    chained_gateway.stop()
    theirs = await caller.finished(INTERSECTION, name="while it was away")
    chained_gateway.start()
    async with chained_gateway.client() as client:
        listener = Listener(chained_gateway, client)
        await listener.eventually("/v1/jobs", lambda page: theirs["id"] in [job["id"] for job in page["items"]])
        told = await listener.until_end(theirs["id"])

    assert messages(told) == messages(await caller.until_end(theirs["id"]))
    assert phases(told)[-1] == "complete"


async def test_a_job_made_here_is_its_callers_whatever_is_seen_first(chained: Caller) -> None:
    """Looks go on meanwhile, and as quickly as the answers come."""
    jobs = await asyncio.gather(*(chained.create(INTERSECTION, name=f"one of {number}") for number in range(20)))
    shown = [await chained.get(f"/v1/jobs/{job['id']}") for job in jobs]

    assert [job["created_by"] for job in shown] == ["local"] * len(jobs)


async def test_a_gateway_that_is_killed_goes_on_where_it_was(
    chained: Caller, chained_gateway: Gateway, caller: Caller
) -> None:
    """Every message once, also those that came while it was away."""
    job_id = await chained.running(LONG_REGRESSION, name="through a crash")
    await until_messages(chained, job_id, 3)
    chained_gateway.kill9()
    await until_messages(caller, job_id, 6)
    chained_gateway.start()
    async with chained_gateway.client() as client:
        again = Caller(chained_gateway, chained.network, client)
        await until_messages(again, job_id, 6)
        await again.client.post(f"/v1/jobs/{job_id}/kill")
        told = await again.until_end(job_id)

    far = messages(await caller.until_end(job_id))
    assert messages(told) == far
    assert phases(told)[-1] == "killed"


async def test_what_is_shown_is_stale_while_the_sdk_reaches_nobody(
    own_gateway: Gateway, own_caller: Caller, tmp_path: Path
) -> None:
    """Until it does again: then everything that has happened is there."""
    url = own_gateway.url
    with served(tmp_path / "near", **sdk_settings(url, own_caller.network)) as near:
        async with near.client() as client:
            listener = Listener(near, client)
            job = await own_caller.waiting(INTERSECTION, name="while nobody is there")
            await listener.until_phase(job["id"], "waiting_on_permission")
            own_gateway.stop()
            away = await listener.eventually(f"/v1/jobs/{job['id']}", lambda shown: bool(shown["stale"]))
            own_caller.accept(job)
            own_gateway.start(GATEWAY_PORT=url.rpartition(":")[2])
            told = await listener.until_end(job["id"])
            back = await listener.eventually(f"/v1/jobs/{job['id']}", lambda shown: not shown["stale"])

    assert (away["phase"], back["phase"]) == ("waiting_on_permission", "complete")
    assert len(messages(told)) == len(messages(await own_caller.until_end(job["id"])))
