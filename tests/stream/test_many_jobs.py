"""Many jobs at once: each Access Point's stream is read once, however many watch, and nobody's messages get lost."""

import asyncio
from collections import defaultdict
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.events import Event
from tests.support.gateway import Listener, served
from tests.support.scripted import TOKEN, scripted_network

_MESSAGES = 20
_PEOPLE = 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("jobs", [60, pytest.param(500, marks=pytest.mark.full)])
async def test_many_jobs_stream_at_once_and_each_is_read_once(tmp_path: Path, jobs: int) -> None:
    """Three people watch all of it, and one each of the jobs."""
    ids = [str(uuid4()) for _ in range(jobs)]
    async with scripted_network() as network:
        settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN}
        with served(tmp_path, **settings) as gateway:
            async with gateway.client() as client:
                listener = Listener(gateway, client)
                people = [asyncio.create_task(_heard(listener, "/v1/events?after=0", jobs)) for _ in range(_PEOPLE)]
                for job_id in ids:
                    await network.router_says("running", job_id=job_id)
                for number in range(_MESSAGES):
                    for job_id in ids:
                        await network.stream_says(b'"%d"' % number, job_id=job_id)
                for job_id in ids:
                    await network.stream_ends("complete", job_id=job_id)
                    done = {"finished": "2026-03-01T09:31:00.000000Z", "result": {"asset_id": None}}
                    await network.router_says("complete", job_id=job_id, **done)
                feeds = [await person for person in people]
                own = [await listener.until_end(job_id) for job_id in ids[:10]]

    assert network.streams_opened == jobs
    for feed in feeds:
        assert feed.keys() == set(ids)
        for told in feed.values():
            assert told == [f'"{number}"' for number in range(_MESSAGES)]
    for events in own:
        assert [event.data for event in events if event.name == "message"] == [f'"{n}"' for n in range(_MESSAGES)]


async def _heard(listener: Listener, path: str, jobs: int) -> dict[str, list[str]]:
    """What each job said, up to the end of the last."""
    said: defaultdict[str, list[str]] = defaultdict(list)
    ended: set[str] = set()
    last: Event | None = None
    async with listener.listening(path, within_s=240) as events:
        async for event in events:
            assert last is None or event.id > last.id
            last = event
            if event.name == "message":
                said[event.json["job_id"]].append(f'"{event.json["message"]}"')
            if event.name == "end":
                ended.add(event.json["job_id"])
                if len(ended) == jobs:
                    return said
    raise AssertionError("the feed broke off")
