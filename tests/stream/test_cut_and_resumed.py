"""A stream that is cut anywhere and resumed is, snapshots apart, byte for byte the stream that was never cut."""

import random

import httpx
import pytest

from tests.support.events import Event, joined, ndjson, numbered, sse
from tests.support.gateway import NDJSON, Caller, Finished
from tests.support.network import REGRESSION

_CUTS = 25
_FORMS = {"sse": ({}, sse), "ndjson": (NDJSON, ndjson)}


@pytest.mark.parametrize("form", _FORMS)
async def test_cut_at_any_byte_and_resumed_nothing_is_lost_or_repeated(
    caller: Caller, finished: Finished, form: str
) -> None:
    """The cut may be in the middle of an event, of its id line, or of a character."""
    whole = await _whole(caller, finished, form)
    cuts = sorted(random.sample(range(1, len(whole)), _CUTS))

    for cut in cuts:
        assert await _cut_and_resumed(caller, finished, form=form, cut=cut) == _kept(whole, form), f"cut at {cut}"


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", _FORMS)
async def test_cut_around_every_boundary_and_resumed(caller: Caller, finished: Finished, form: str) -> None:
    """Every byte of the first events, and the bytes around the end of every later one."""
    whole = await _whole(caller, finished, form)
    ends = [
        position + near
        for position in range(len(whole))
        if whole[position : position + 1] == b"\n"
        for near in (0, 1, 2)
    ]

    for cut in sorted({*range(1, 2500), *ends} & {*range(1, len(whole))}):
        assert await _cut_and_resumed(caller, finished, form=form, cut=cut) == _kept(whole, form), f"cut at {cut}"


async def test_a_live_stream_cut_again_and_again_is_the_uncut_one(caller: Caller) -> None:
    """One viewer listens throughout, the other's connection lasts for one event at a time."""
    job = await caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/events"
    heard: list[Event] = []

    while not heard or heard[-1].name != "end":
        headers = {"Last-Event-ID": str(heard[-1].id)} if heard else {}
        piece = await caller.bytes_until(lambda so_far: len(numbered(sse(so_far))) > 0, path, headers=headers)
        new = numbered(sse(piece))
        heard += new
        if any(event.name == "phase" and event.json["phase"] == "waiting_on_permission" for event in new):
            caller.accept(await caller.get(f"/v1/jobs/{job['id']}"))

    assert joined(heard) == joined(numbered(sse(await caller.bytes_of(path))))


async def test_a_viewer_from_the_start_and_one_after_the_end_see_the_same(caller: Caller) -> None:
    """Replay and live are one thing."""
    job = await caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/events"
    caller.accept(job)

    live = await caller.bytes_of(path)
    afterwards = await caller.bytes_of(path)

    assert live.endswith(b"\n\n")
    assert joined(numbered(sse(live))) == joined(numbered(sse(afterwards)))


async def test_lines_and_events_tell_the_same(caller: Caller, finished: Finished) -> None:
    """NDJSON is another spelling, not another stream."""
    path = f"/v1/jobs/{finished.inference['id']}/events"

    as_sse = numbered(sse(await caller.bytes_of(path)))
    as_lines = numbered(ndjson(await caller.bytes_of(path, headers=NDJSON)))

    assert [(one.id, one.name, one.data) for one in as_sse] == [(one.id, one.name, one.data) for one in as_lines]


async def test_after_is_last_event_id_and_the_header_wins(caller: Caller, finished: Finished) -> None:
    """A browser cannot set the header on its first connection, and sets it by itself later on."""
    path = f"/v1/jobs/{finished.inference['id']}/events"
    whole = numbered(sse(await caller.bytes_of(path)))
    third, fifth = whole[2].id, whole[4].id

    by_query = await caller.bytes_of(path, after=str(third))
    by_header = await caller.bytes_of(path, headers={"Last-Event-ID": str(third)})
    by_both = await caller.bytes_of(path, headers={"Last-Event-ID": str(third)}, after=str(fifth))

    assert joined(whole[3:]) == joined(numbered(sse(by_query)))
    assert joined(whole[3:]) == joined(numbered(sse(by_header))) == joined(numbered(sse(by_both)))


async def test_a_cursor_between_two_of_the_jobs_events_resumes_at_the_next(caller: Caller, finished: Finished) -> None:
    """The numbers are the log's: other jobs' events stand between."""
    path = f"/v1/jobs/{finished.inference['id']}/events"
    whole = numbered(sse(await caller.bytes_of(path)))

    resumed = numbered(sse(await caller.bytes_of(path, after=str(whole[0].id - 1))))

    assert joined(resumed) == joined(whole)


@pytest.mark.parametrize("beyond", [0, 1, 10**18], ids=["the-end", "past-the-end", "past-the-log"])
@pytest.mark.parametrize("form", _FORMS)
async def test_after_the_end_there_is_nothing(caller: Caller, finished: Finished, beyond: int, form: str) -> None:
    """204 tells EventSource to stop reconnecting."""
    path = f"/v1/jobs/{finished.inference['id']}/events"
    end = sse(await caller.bytes_of(path))[-1]
    headers = {**_FORMS[form][0], "Last-Event-ID": str(end.id + beyond)}

    answers = [
        await caller.client.get(path, headers=headers),
        await caller.client.get(path, headers=_FORMS[form][0], params={"after": end.id + beyond}),
    ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2


async def test_a_snapshot_stands_where_its_connection_goes_on(caller: Caller, finished: Finished) -> None:
    """A later id would skip events for whoever is cut during the replay."""
    path = f"/v1/jobs/{finished.inference['id']}/events"
    whole = sse(await caller.bytes_of(path))

    resumed = sse(await caller.bytes_of(path, after=str(whole[3].id)))

    assert (whole[0].name, whole[0].id) == ("snapshot", 0)
    assert (resumed[0].name, resumed[0].id) == ("snapshot", whole[3].id)
    assert resumed[0].json["job"]["phase"] == "complete"
    assert resumed[0].json["as_of"] >= whole[-1].id


async def _whole(caller: Caller, finished: Finished, form: str) -> bytes:
    headers, _ = _FORMS[form]
    return await caller.bytes_of(f"/v1/jobs/{finished.inference['id']}/events", headers=headers)


async def _cut_and_resumed(caller: Caller, finished: Finished, *, form: str, cut: int) -> bytes:
    """What a client has that keeps whole events only, and comes back with the id of the last."""
    path = f"/v1/jobs/{finished.inference['id']}/events"
    headers, whole_events = _FORMS[form]
    first = await caller.bytes_until(lambda heard: len(heard) >= cut, path, headers=headers)
    seen = whole_events(first[:cut])
    resume = {**headers, "Last-Event-ID": str(seen[-1].id)} if seen else headers
    answer: httpx.Response = await caller.client.get(path, headers=resume)
    return joined(numbered(seen)) + joined(numbered(whole_events(answer.content)))


def _kept(stream: bytes, form: str) -> bytes:
    _, whole_events = _FORMS[form]
    return joined(numbered(whole_events(stream)))
