"""Messages as text: a `text` event in place of each, under the same id, in either form of both streams."""

import json
import re
from typing import Any

import pytest

from tests.support.described import document, validator
from tests.support.events import Event, SseReader, joined, ndjson, numbered, sse
from tests.support.gateway import Caller, Finished, Listener
from tests.support.scripted import ScriptedNetwork

READERS = {"text/event-stream": sse, "application/x-ndjson": ndjson}
FORMS = list(READERS)


async def heard(caller: Caller, job_id: str, form: str, **query: str) -> list[Event]:
    """The whole stream of a job that is over."""
    stream = await caller.bytes_of(f"/v1/jobs/{job_id}/events", headers={"Accept": form}, **query)
    return READERS[form](stream)


async def fed(caller: Caller, last: int, form: str, **query: str) -> list[Event]:
    """The feed from the beginning up to an event."""
    read = READERS[form]
    stream = await caller.bytes_until(
        lambda some: any(event.id >= last for event in numbered(read(some))),
        "/v1/events",
        headers={"Accept": form},
        after="0",
        **query,
    )
    return read(stream)


@pytest.mark.parametrize("form", FORMS)
async def test_a_text_event_stands_in_place_of_each_message(caller: Caller, finished: Finished, form: str) -> None:
    """Everything else is as it was, byte for byte."""
    for job in (finished.regression, finished.intersection, finished.inference):
        plain = numbered(await heard(caller, job["id"], form, format="json"))
        text = numbered(await heard(caller, job["id"], form, format="text"))

        assert [event.id for event in text] == [event.id for event in plain]
        assert [event.name for event in text] == [event.name.replace("message", "text") for event in plain]
        others = [[event.raw for event in events if event.name not in ("message", "text")] for events in (plain, text)]
        assert others[0] == others[1]
        assert all(event.json.keys() == {"lines", "line"} for event in text if event.name == "text")


async def test_json_is_the_format_where_none_is_named(caller: Caller, finished: Finished) -> None:
    """Who knows of no formats sees messages."""
    job_id = finished.inference["id"]

    assert [event.raw for event in numbered(await heard(caller, job_id, FORMS[0]))] == [
        event.raw for event in numbered(await heard(caller, job_id, FORMS[0], format="json"))
    ]


async def test_what_the_network_says_reads_as_text(caller: Caller, finished: Finished) -> None:
    """Of all its operations, the first and the last word."""
    said = {}
    for name in ("regression", "intersection", "inference"):
        events = await heard(caller, getattr(finished, name)["id"], FORMS[1], format="text")
        said[name] = [event.json["line"] for event in events if event.name == "text"]

    assert {lines[0] for lines in said.values()} <= {"Waiting on permission", "Starting at the Access Points"}
    assert said["regression"][-1].startswith("Regression, iteration ")
    assert said["intersection"][-1].startswith("Private set intersection: hash table size ")
    assert re.search(r" results: \d", said["inference"][-1])


@pytest.mark.parametrize("form", FORMS)
async def test_on_the_feed_a_text_says_whose_it_is(caller: Caller, finished: Finished, form: str) -> None:
    """The job comes first, and then what its own stream says."""
    job_id = finished.regression["id"]
    own = numbered(await heard(caller, job_id, form, format="text"))

    told = {event.id: event for event in await fed(caller, own[-1].id, form, format="text") if event.name == "text"}

    for event in own:
        if event.name == "text":
            assert told[event.id].data == f'{{"job_id":"{job_id}",{event.data.removeprefix("{")}'


async def test_a_stream_is_resumed_across_formats(caller: Caller, finished: Finished) -> None:
    """The ids are the same, so whoever turns to the other format misses nothing."""
    job_id = finished.inference["id"]
    plain, text = [numbered(await heard(caller, job_id, FORMS[0], format=one)) for one in ("json", "text")]

    for at in range(0, len(plain) - 1, 3):
        rest = await heard(caller, job_id, FORMS[0], format="text", after=str(plain[at].id))
        assert joined(numbered(rest)) == joined(text[at + 1 :])
        rest = await heard(caller, job_id, FORMS[0], format="json", after=str(text[at].id))
        assert joined(numbered(rest)) == joined(plain[at + 1 :])


async def test_a_live_stream_is_text_too(watcher: Listener, network: ScriptedNetwork) -> None:
    """Whatever comes: types nobody knows, fields that are missing or garbled, lines that would break."""
    await network.router_says("running")
    split = {
        "__type": "SplitTrainMetrics",
        "epoch": 0,
        "epoch_count": 2,
        "train_reports": [{"client_id": 0, "accuracy": 12.5}],
        "test_results": "Client0: Accuracy: 10.08%\nClient1: Accuracy: 10.48%\n",
    }
    messages = [
        b'"starting"',
        json.dumps(split).encode(),
        b'{"__type":"InferenceResults"}',
        b'{"__type":"OddMetrics","a\\nb":"c\\u2028d\\u0000e","deep":[[[[1]]]]}',
        b'{"__type":"BigMetrics","loss":1E400}',
        b"17",
    ]
    path = f"/v1/jobs/{network.job_id}/events"
    await watcher.until_phase(network.job_id, "in_progress")
    async with watcher.listening(path, format="text") as events:
        await network.stream_says(*messages)
        texts = [(await anext(event async for event in events if event.name == "text")).json for _ in messages]

    assert [text["line"] for text in texts] == [
        "Starting at the Access Points",
        "Split training, epoch 1 of 2: client 0 accuracy 12.50%",
        "Result: none",
        "OddMetrics: a b c d e, deep 1 value: (1)",
        '{"__type":"BigMetrics","loss":1E400}',
        "17",
    ]
    assert texts[1]["lines"][1:] == [
        "Client 0: accuracy 12.50%",
        "Client0: Accuracy: 10.08%",
        "Client1: Accuracy: 10.48%",
    ]


async def test_the_model_status_holds_every_party_and_epoch(watcher: Listener, network: ScriptedNetwork) -> None:
    """The last message alone would show the last client's last epoch."""
    await network.router_says("running")
    for epoch in range(2):
        reports = [{"client_id": client, "loss": epoch + client / 10} for client in range(2)]
        message = {"__type": "SplitTrainMetrics", "epoch": epoch, "epoch_count": 2, "train_reports": reports}
        await network.stream_says(json.dumps(message).encode())
    await network.stream_says(b'"done"')
    await network.stream_ends("complete")
    await network.router_says("complete", finished="2026-03-01T09:31:00.000000Z")
    await watcher.until_end(network.job_id)

    status = (await watcher.get(f"/v1/jobs/{network.job_id}"))["model_status"]

    assert (status["type"], status["latest"]["epoch"]) == ("SplitTrainMetrics", 1)
    assert status["parties"] == {
        "0": {"0": {"loss": 0.0}, "1": {"loss": 1.0}},
        "1": {"0": {"loss": 0.1}, "1": {"loss": 1.1}},
    }


async def test_the_history_shows_each_messages_text_beside_it(caller: Caller, finished: Finished) -> None:
    """Null for all that is no message."""
    job_id = finished.inference["id"]
    told = {event.id: event.json for event in await heard(caller, job_id, FORMS[1], format="text")}

    items = (await caller.get(f"/v1/jobs/{job_id}/history", limit="1000"))["items"]

    assert {item["event"] for item in items} == {"message", "phase", "status", "end"}
    for item in items:
        assert item["text"] == (told[item["id"]] if item["event"] == "message" else None)


@pytest.mark.parametrize("path", ["/v1/jobs/{job_id}/events", "/v1/events"])
async def test_an_unknown_format_is_refused(caller: Caller, finished: Finished, path: str) -> None:
    """And what there is, is named."""
    answer = await caller.client.get(path.format(job_id=finished.regression["id"]), params={"format": "xml"})

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "invalid", "format")
    assert problem["allowed"] == ["json", "text"]


@pytest.mark.parametrize("format_", ["json", "text"])
@pytest.mark.parametrize("form", FORMS)
async def test_every_item_of_both_streams_is_as_described(
    caller: Caller, finished: Finished, form: str, format_: str
) -> None:
    """Clients are made from the description, item by item."""
    for job in (finished.regression, finished.intersection, finished.inference):
        events = await heard(caller, job["id"], form, format=format_)
        check("/v1/jobs/{job_id}/events", form, events)
    check("/v1/events", form, await fed(caller, events[-1].id, form, format=format_))


def check(path: str, form: str, events: list[Event]) -> None:
    content = document()["paths"][path]["get"]["responses"]["200"]["content"]
    item = content[form]["itemSchema"]
    described = validator(item)
    data_of = {
        one["title"]: validator(one["properties"]["data"].get("contentSchema", one["properties"]["data"]))
        for one in item["oneOf"]
    }
    assert len({event.name for event in events}) > 4
    for event in events:
        shown = json.loads(event.raw) if form == FORMS[1] else fields_of(event)
        assert [str(one) for one in described.iter_errors(shown)] == [], event
        assert [str(one) for one in data_of[event.name].iter_errors(event.json)] == [], event


def fields_of(event: Event) -> dict[str, Any]:
    """A block of an event stream as the description sees it."""
    assert SseReader().feed(event.raw) == [event]
    lines = event.raw.decode().removesuffix("\n\n").split("\n")
    fields: dict[str, Any] = dict(line.split(": ", 1) for line in lines)
    return {**fields, "retry": int(fields["retry"])} if "retry" in fields else fields
