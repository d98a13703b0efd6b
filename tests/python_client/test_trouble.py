"""Lines that break, answers that are lost, and people who press Ctrl-C."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from select import select
from uuid import uuid4

import pytest

import tripleblind_gateway as tb
from tests.python_client.test_jobs import intersection
from tests.support.cuts import Cut, cutting
from tests.support.gateway import NDJSON, WITHIN_S, Caller, Finished, Gateway
from tests.support.keys import Guarded
from tests.support.relay import Way, relay

SCRIPT = """
import sys
import tripleblind_gateway as tb
job = tb.create_job(sys.argv[1], tb.PRIVATE_SET_INTERSECTION, ["globex/patients", "mercy/patients"])
job.submit()
job.wait_for_completion()
"""


async def test_a_stream_that_is_cut_again_and_again_is_the_uncut_one(gateway: Gateway, finished: Finished) -> None:
    """Each message once, in order, from wherever it broke off."""
    job_id = finished.regression["id"]
    whole = await asyncio.to_thread(messages, gateway.url, job_id)

    async with cutting(gateway.url) as between:
        between.cut(*[Cut(after=3000)] * 3)
        heard = await asyncio.to_thread(messages, between.url, job_id)

    assert len(between.cuts) == 3
    assert heard == whole
    assert len(whole) > 3


async def test_a_create_whose_answer_is_lost_makes_one_job(gateway: Gateway, caller: Caller) -> None:
    """It is sent again with the same key, and the gateway knows it."""
    name = f"lost {uuid4()}"
    async with relay(gateway.url) as between:
        between.hold(Way.BACK)
        creating = asyncio.create_task(asyncio.to_thread(created, between.url, name))
        await until_there(caller, name)
        await between.drop()
        between.let_go()
        job = await creating

    listed = (await caller.get("/v1/jobs", name=name))["items"]
    assert [one["id"] for one in listed] == [str(job.id)]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_ctrl_c_asks_whether_to_stop_the_job_too(gateway: Gateway, session: tb.Session, answer: str) -> None:
    """In a terminal; the script stops either way."""
    name = f"interrupted {uuid4()}"
    terminal, theirs = pty.openpty()
    environment = {**os.environ, "TRIPLEBLIND_GATEWAY_URL": gateway.url}
    command = [sys.executable, "-c", SCRIPT, name]
    script = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        read_until(terminal, b"Waiting on permission")
        script.send_signal(signal.SIGINT)
        read_until(terminal, b"[y/N]")
        os.write(terminal, answer.encode() + b"\n")
        code = script.wait(WITHIN_S)
    finally:
        script.kill()
        script.wait(WITHIN_S)
        os.close(terminal)

    job = tb.Job.find(name, session=session)
    assert job is not None
    assert code == -signal.SIGINT
    assert job.phase == {"y": "killed", "n": "waiting_on_permission"}[answer]
    job.cancel()


def test_without_a_terminal_nobody_is_asked(
    session: tb.Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job goes on, and its id is said."""
    job = intersection(session, f"in the night {uuid4()}")
    job.submit()
    monkeypatch.setattr("builtins.input", never)

    job.handle_keyboard_interrupt()

    assert str(job.id) in capsys.readouterr().out
    assert job.cancel()


def test_a_job_that_was_never_submitted_is_cleaned_up(session: tb.Session) -> None:
    """Unless one says otherwise."""
    kept, gone = (intersection(session, f"never begun {uuid4()}") for _ in range(2))

    kept.handle_keyboard_interrupt(auto_cleanup=False)
    gone.handle_keyboard_interrupt()

    assert (kept.phase, gone.phase) == ("created", "cancelled")


def test_what_is_expected_ends_quietly_and_all_else_is_raised_again(session: tb.Session) -> None:
    """handle_exception, of both kinds of stream."""
    job = intersection(session, f"handled {uuid4()}")
    mine, remote = job.get_status_stream(), tb.RemoteStatusOutputStream(str(job.id), session)

    mine.handle_exception(StopIteration())
    remote.handle_exception(StopIteration())
    remote.handle_exception(KeyboardInterrupt())
    mine.handle_exception(KeyboardInterrupt())

    assert job.phase == "cancelled"
    for stream in (mine, remote):
        with pytest.raises(ZeroDivisionError):
            stream.handle_exception(ZeroDivisionError())


def test_a_gateway_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries, as the reference's error."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    with (
        tb.Session("http://127.0.0.1:9") as nowhere,
        pytest.raises(tb.TripleblindAPIError, match="does not answer") as told,
    ):
        tb.status_list(nowhere)

    assert (told.value.code, told.value.status) == ("", 0)


def test_who_has_a_key_says_so(guarded: Guarded) -> None:
    """And who has none is told the gateway's own code."""
    with tb.Session(guarded.gateway.url, guarded.keys["vera"]) as known, tb.Session(guarded.gateway.url) as unknown:
        assert isinstance(tb.status_list(known), list)
        with pytest.raises(tb.TripleblindAPIError) as told:
            tb.status_list(unknown)

    assert (told.value.code, told.value.status) == ("key-missing", 401)


def messages(url: str, job_id: str) -> list[object]:
    with tb.Session(url) as session:
        return list(tb.RemoteStatusOutputStream(job_id, session).remote_status(initial_wait=0.01, backoff_factor=1))


def created(url: str, name: str) -> tb.Job:
    with tb.Session(url) as session:
        return intersection(session, name)


async def until_there(caller: Caller, name: str) -> None:
    """The gateway has told that a job of this name is created."""
    query = {"name": name, "after": "0"}
    async with caller.client.stream("GET", "/v1/events", params=query, headers=NDJSON) as feed:
        async for line in feed.aiter_lines():
            if '"phase":"created"' in line:
                return


def read_until(terminal: int, text: bytes) -> None:
    """The script has written this."""
    heard = b""
    while text not in heard:
        readable, _, _ = select([terminal], [], [], WITHIN_S)
        assert readable, heard
        heard += os.read(terminal, 4096)


def never(prompt: str) -> str:
    raise AssertionError(prompt)
