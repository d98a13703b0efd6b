"""Answers that are told again: only what would be answered anyway, and only to those who may have it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from app.api import ready as module_under_test
from app.api.fresh import Made
from app.api.ready import ReadyAnswers
from app.domain.events import Told
from app.domain.phases import Phase
from app.main import create_app
from app.services.hub import Hub
from app.settings import Settings
from tests.support.news import JOB, OTHER_JOB, job_in


class Desk:
    """A gateway whose Router is away, asked in this process."""

    def __init__(self, client: httpx.AsyncClient, app: Any) -> None:
        self.client = client
        self.history = app.state.rooms.history
        self.reads = 0
        page = self.history.page

        async def counted(*arguments: Any, **named: Any) -> Any:
            self.reads += 1
            return await page(*arguments, **named)

        self.history.page = counted

    async def names(self, **query: str) -> list[str]:
        """Of the jobs in the list."""
        answer = await self.client.get("/v1/jobs", params=query)
        return [job["job_name"] for job in answer.json()["items"]]


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be moved."""
    now = [100.0]
    monkeypatch.setattr(module_under_test, "monotonic", lambda: now[0])
    return now


@pytest.fixture
async def desk(tmp_path: Path, moment: list[float]) -> AsyncIterator[Desk]:
    del moment  # it stands still
    settings = Settings(data_dir=tmp_path, router_url="http://127.0.0.1:9", router_token="nobody's")  # noqa: S106
    app = create_app(settings, hub=Hub())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        opened = Desk(client, app)
        await opened.history.keep(Told(job=job_in(Phase.CREATED)))
        yield opened


async def test_the_same_question_is_answered_once(desk: Desk) -> None:
    """A hundred pages that look at the same list cost one look."""
    for _ in range(5):
        assert await desk.names() == ["a job"]

    assert desk.reads == 1
    assert await desk.names(limit="1") == ["a job"]
    assert desk.reads == 2


async def test_what_was_written_down_is_in_the_next_answer(desk: Desk) -> None:
    """Also where no event tells of it."""
    await desk.names()
    await desk.history.keep(Told(job=replace(job_in(Phase.CREATED), id=OTHER_JOB, job_name="another")))

    assert sorted(await desk.names()) == ["a job", "another"]


async def test_an_answer_is_told_for_a_second_at_most(desk: Desk, moment: list[float]) -> None:
    """Another process may have changed what it tells."""
    await desk.names()
    moment[0] += 0.9
    await desk.names()
    assert desk.reads == 1

    moment[0] += 0.2
    await desk.names()
    assert desk.reads == 2


async def test_what_changes_while_an_answer_is_made_is_not_hidden_by_it(desk: Desk) -> None:
    """It may be of before or of after; nobody knows."""
    page = desk.history.page

    async def slow(*arguments: Any, **named: Any) -> Any:
        found = await page(*arguments, **named)
        await desk.history.keep(Told(job=replace(job_in(Phase.CREATED), id=OTHER_JOB, job_name="another")))
        return found

    desk.history.page = slow
    first = await desk.names()
    desk.history.page = page

    assert first == ["a job"]
    assert sorted(await desk.names()) == ["a job", "another"]


async def test_each_answer_has_headers_of_its_own_and_a_tag_still_holds(desk: Desk) -> None:
    """What is told again is the answer, and not the request before."""
    first, second = [await desk.client.get(f"/v1/jobs/{JOB}") for _ in range(2)]
    third = await desk.client.get(f"/v1/jobs/{JOB}", headers={"If-None-Match": first.headers["etag"]})

    assert first.content == second.content
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert dict(first.headers).keys() == dict(second.headers).keys()
    assert (third.status_code, third.content) == (304, b"")


async def test_refusals_are_never_told_again(desk: Desk) -> None:
    """What was wrong may be right the next time."""
    for _ in range(2):
        answer = await desk.client.get("/v1/jobs", params={"name_regex": "("})
        assert answer.status_code == 422

    assert desk.reads == 2


def test_no_more_than_some_are_held() -> None:
    """However many questions there are."""
    answers = ReadyAnswers()
    made = Made(b"{}", 'W/"1"')
    for number in range(200):
        answers.keep(("/v1/jobs", str(number).encode()), made, {"route": None, "path_params": {}})
    answers.keep(("/v1/jobs", b"huge"), Made(b"x" * 300_000, 'W/"2"'), {"route": None, "path_params": {}})

    held = [number for number in range(200) if answers.find(("/v1/jobs", str(number).encode()))]
    assert held == list(range(136, 200))
    assert answers.find(("/v1/jobs", b"huge")) is None
