"""Events as bytes, exactly: clients exist that fail over less."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.frames import Frames, NdjsonFrames, SseFrames, of_all, of_all_as_text, of_job, of_job_as_text
from app.domain.events import Event, Kind, Source
from tests.support.news import JOB, NOON

MESSAGE = '{"__type":"EpochMetrics","loss":0.10,"note":"a\u2028b é"}'


def event(kind: Kind, data: str, number: int = 184467, job_id: UUID = JOB) -> Event:
    source = Source.ACCESS_POINT
    return Event(id=number, job_id=job_id, kind=kind, source=source, when=NOON, received=NOON, data=data, late=False)


def test_an_event_is_its_name_its_data_and_last_its_id() -> None:
    """Some clients store the id on sight, before the event is whole."""
    frame = of_job(event(Kind.STATUS, '{"code":3}'), SseFrames())

    assert frame == b'event: status\ndata: {"code":3}\nid: 184467\n\n'


def test_a_message_has_no_name_and_is_not_touched() -> None:
    """EventSource's onmessage sees it; numbers and characters are those of the Access Point."""
    frame = of_job(event(Kind.MESSAGE, MESSAGE), SseFrames())

    assert frame == f"data: {MESSAGE}\nid: 184467\n\n".encode()


def test_on_the_feed_a_message_says_whose_it_is() -> None:
    """Its own data does not."""
    frame = of_all(event(Kind.MESSAGE, MESSAGE), SseFrames())

    assert frame == f'data: {{"job_id":"{JOB}","message":{MESSAGE}}}\nid: 184467\n\n'.encode()


def test_as_text_a_message_is_its_lines_under_the_same_id() -> None:
    """So that a stream can be taken up again in the other format."""
    data = '{"lines":["EpochMetrics","Loss: 0.1","Note: a b é"],"line":"EpochMetrics: loss 0.1, note a b é"}'
    one = event(Kind.MESSAGE, MESSAGE)

    assert of_job_as_text(one, SseFrames()) == f"event: text\ndata: {data}\nid: 184467\n\n".encode()
    assert of_job_as_text(one, NdjsonFrames()) == f'{{"id":184467,"event":"text","data":{data}}}\n'.encode()


def test_as_text_on_the_feed_a_message_says_first_whose_it_is() -> None:
    """As it does unformatted."""
    frame = of_all_as_text(event(Kind.MESSAGE, '"starting"'), SseFrames())

    said = '"lines":["Starting at the Access Points"],"line":"Starting at the Access Points"'
    assert frame == f'event: text\ndata: {{"job_id":"{JOB}",{said}}}\nid: 184467\n\n'.encode()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.MESSAGE])
def test_as_text_all_else_is_as_it_was(kind: Kind) -> None:
    """Phases and statuses are data in either format."""
    one = event(kind, '{"job_id":"x"}')

    assert of_job_as_text(one, SseFrames()) == of_all_as_text(one, SseFrames()) == of_job(one, SseFrames())


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.MESSAGE])
def test_on_the_feed_all_else_is_as_on_the_jobs_stream(kind: Kind) -> None:
    """It names the job already."""
    one = event(kind, '{"job_id":"x"}')

    assert of_all(one, SseFrames()) == of_job(one, SseFrames())


def test_a_snapshot_carries_retry_and_has_its_id_last() -> None:
    """A block of retry alone is an empty event to some clients."""
    frame = SseFrames().snapshot('{"as_of":9}', position=7, retry_ms=1500)

    assert frame == b'event: snapshot\ndata: {"as_of":9}\nretry: 1500\nid: 7\n\n'


def test_a_ping_is_a_comment_without_a_blank_line() -> None:
    """A comment and a blank line are an empty event to some clients."""
    assert SseFrames().ping == b": ping\n"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_line_of_ndjson_is_id_event_and_data(kind: Kind) -> None:
    """The same as the other form carries."""
    line = of_job(event(kind, MESSAGE), NdjsonFrames())

    assert line.count(b"\n") == 1
    assert json.loads(line) == {"id": 184467, "event": kind.value, "data": json.loads(MESSAGE)}


def test_a_snapshot_in_ndjson_says_where_it_stands() -> None:
    """Its id is where this connection goes on."""
    line = NdjsonFrames().snapshot('{"as_of":9}', position=7, retry_ms=1500)

    assert json.loads(line) == {"id": 7, "event": "snapshot", "data": {"as_of": 9}}
    assert NdjsonFrames().ping == b"\n"


@given(st.text(), st.sampled_from([SseFrames(), NdjsonFrames()]))
def test_no_text_in_a_message_breaks_its_frame(text: str, frames: Frames) -> None:
    """Line ends inside a text are escaped in JSON; nothing else ends a line here."""
    frame = of_job(event(Kind.MESSAGE, json.dumps(text, ensure_ascii=False)), frames).decode()

    lines = frame.split("\n")
    data = lines[0].removeprefix("data: ") if isinstance(frames, SseFrames) else lines[0]
    assert "\r" not in frame
    assert len(lines) == (4 if isinstance(frames, SseFrames) else 2)
    assert text in (json.loads(data), json.loads(data)["data"] if isinstance(json.loads(data), dict) else text)


@given(st.text(), st.sampled_from([SseFrames(), NdjsonFrames()]))
def test_no_text_in_a_message_breaks_its_frame_as_text(text: str, frames: Frames) -> None:
    """Its lines are items of a list, never lines of the frame."""
    frame = of_all_as_text(event(Kind.MESSAGE, json.dumps(text, ensure_ascii=False)), frames).decode()

    assert frame.splitlines() == frame.removesuffix("\n").split("\n")
    assert len(frame.splitlines()) == (4 if isinstance(frames, SseFrames) else 1)
