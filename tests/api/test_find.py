"""Jobs found by pattern, label and time, alone and together; and what cannot be looked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.gateway import Caller, Json
from tests.support.network import INTERSECTION, REGRESSION

Query = Sequence[tuple[str, str]]

# Job, operation, labels.
_JOBS: dict[str, tuple[str, Json, dict[str, str]]] = {
    "oncology": ("Trial-Q3 Übersicht", REGRESSION, {"study": "bc-7", "formula": "a=b", "note": ""}),
    "cardiology": ("trial-q3 (second)", REGRESSION, {"study": "hf-2", "formula": "a"}),
    "pilot": ("pilot-λ", INTERSECTION, {"study": "bc-7"}),
}


class Shelf:
    """Three jobs that nobody else's query finds: they have a label of their own."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.label = f"shelf={uuid4()}"
        self.jobs: dict[str, Json] = {}

    async def fill(self) -> None:
        """Oldest first."""
        name, _, value = self.label.partition("=")
        for job, (job_name, body, labels) in _JOBS.items():
            self.jobs[job] = await self.caller.create({**body, "labels": {**labels, name: value}}, name=job_name)

    async def asked(self, *query: tuple[str, str], path: str = "/v1/jobs") -> httpx.Response:
        """The answer about these jobs alone."""
        return await self.caller.client.get(path, params=[("label", self.label), *query])

    async def found(self, *query: tuple[str, str]) -> list[str]:
        """Which of them fit, in the order of the list."""
        answer = await self.asked(*query)
        assert answer.status_code == 200, answer.text
        names = {job["id"]: name for name, job in self.jobs.items()}
        return [names[job["id"]] for job in answer.json()["items"]]

    def created(self, job: str) -> datetime:
        """When."""
        return datetime.fromisoformat(self.jobs[job]["created"])


@pytest.fixture
async def shelf(caller: Caller) -> Shelf:
    filled = Shelf(caller)
    await filled.fill()
    return filled


def regex(pattern: str) -> tuple[str, str]:
    return ("name_regex", pattern)


def label(text: str) -> tuple[str, str]:
    return ("label", text)


_ALL = ["pilot", "cardiology", "oncology"]
_TRIALS = ["cardiology", "oncology"]

_FOUND: list[tuple[Query, list[str]]] = [
    ([], _ALL),
    # Patterns
    ([regex("q3")], ["cardiology"]),
    ([regex("(?i)q3")], _TRIALS),
    ([regex("^pilot")], ["pilot"]),
    ([regex("^ilot")], []),
    ([regex("ilot")], ["pilot"]),
    ([regex(r"\(second\)$")], ["cardiology"]),
    ([regex("(?i)über")], ["oncology"]),
    ([regex(r"-.$")], ["pilot"]),
    ([regex(r"^\S+$")], ["pilot"]),
    ([regex("")], _ALL),
    ([regex("%")], []),
    # Labels
    ([label("study")], _ALL),
    ([label("study=bc-7")], ["pilot", "oncology"]),
    ([label("study=bc")], []),
    ([label("study=BC-7")], []),
    ([label("formula=a=b")], ["oncology"]),
    ([label("formula=a")], ["cardiology"]),
    ([label("formula"), label("study=bc-7")], ["oncology"]),
    ([label("study=bc-7"), label("study=hf-2")], []),
    ([label("note")], ["oncology"]),
    ([label("note=")], ["oncology"]),
    ([label("study=")], []),
    ([label("bc-7")], []),
    # Together, and with the other filters
    ([regex("(?i)trial"), label("study=bc-7")], ["oncology"]),
    ([regex("(?i)trial"), ("name", "pilot-λ")], []),
    ([regex("pilot"), ("operation", "REGRESSION")], []),
    ([regex("pilot"), ("operation", "PRIVATE_SET_INTERSECTION")], ["pilot"]),
    ([label("study"), ("job_status", "waiting"), ("owner", "owner@globex")], _ALL),
    ([label("study=bc-7"), ("phase", "complete"), ("phase", "error")], []),
    ([label("study=bc-7"), ("phase", "created"), ("phase", "error")], ["pilot", "oncology"]),
    ([regex("t"), ("job_status", "history")], []),
]


async def test_patterns_and_labels_narrow_alone_and_together(shelf: Shelf) -> None:
    """All that are given must hold."""
    for query, fits in _FOUND:
        assert await shelf.found(*query) == fits, query


async def test_a_time_range_holds_its_first_moment_and_not_its_last(shelf: Shelf) -> None:
    """To the microsecond, in whichever zone it is written, alone and with the others."""
    oldest, middle = shelf.created("oncology"), shelf.created("cardiology")
    newest = shelf.created("pilot")
    later = middle + timedelta(microseconds=1)

    assert await shelf.found(after(middle)) == ["pilot", "cardiology"]
    assert await shelf.found(after(later)) == ["pilot"]
    assert await shelf.found(before(middle)) == ["oncology"]
    assert await shelf.found(before(later)) == ["cardiology", "oncology"]
    assert await shelf.found(after(middle), before(newest)) == ["cardiology"]
    assert await shelf.found(after(middle), before(middle)) == []
    assert await shelf.found(("created_after", _in_tokyo(middle))) == ["pilot", "cardiology"]
    assert await shelf.found(after(oldest), regex("(?i)trial"), label("study=hf-2")) == ["cardiology"]
    assert await shelf.found(("created_after", "0001-01-01T00:00:00+14:00")) == _ALL
    assert await shelf.found(("created_before", "9999-12-31T23:59:59.999999-14:00")) == _ALL


async def test_a_filter_alone_narrows_the_whole_list(caller: Caller) -> None:
    """Without any other beside it."""
    mark = str(uuid4())
    job = await caller.create({**REGRESSION, "labels": {mark: "here"}}, name=f"alone {mark}")
    created = datetime.fromisoformat(job["created"])

    by_pattern = await caller.get("/v1/jobs", name_regex=mark)
    by_label = await caller.get("/v1/jobs", label=mark)
    since = await caller.get("/v1/jobs", **dict([after(created)]))
    until = await caller.get("/v1/jobs", limit="200", **dict([before(created)]))

    assert [[one["id"] for one in page["items"]] for page in (by_pattern, by_label)] == [[job["id"]]] * 2
    assert job["id"] in {one["id"] for one in since["items"]}
    assert all(one["created"] >= job["created"] for one in since["items"])
    assert all(one["created"] < job["created"] for one in until["items"])


async def test_find_takes_the_same_filters(shelf: Shelf) -> None:
    """One, none, several."""
    path = "/v1/jobs/find"

    one = await shelf.asked(regex("second"), after(shelf.created("cardiology")), path=path)
    none = await shelf.asked(regex("third"), path=path)
    several = await shelf.asked(label("study=bc-7"), path=path)

    assert (one.status_code, one.json()["id"]) == (200, shelf.jobs["cardiology"]["id"])
    assert (none.status_code, none.json()["code"]) == (404, "job-not-found")
    assert (several.status_code, several.json()["job_ids"]) == (
        409,
        [shelf.jobs[job]["id"] for job in ("pilot", "oncology")],
    )


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/find"])
async def test_what_re2_does_not_know_is_refused_and_says_so(caller: Caller, path: str) -> None:
    """Look-around, references back, and what is no pattern at all."""
    for pattern in ("(?=q3)", "(?!q3)", "(?<=t)rial", "(?<!t)rial", r"(tri)\1", "(", "*", "a{1001}"):
        answer = await caller.client.get(path, params={"name_regex": pattern})

        assert (answer.status_code, answer.json()["code"]) == (422, "regex-unsupported"), pattern
        assert answer.json()["field"] == "name_regex"
        assert "RE2" in answer.json()["detail"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)+$", "(.*a){30}$", "(a?){50}a{50}$"])
async def test_a_pattern_made_to_hang_is_answered(caller: Caller, pattern: str) -> None:
    """Backtracking would not be done in this century, and nobody else would be answered meanwhile."""
    mark = str(uuid4())
    await caller.create({**REGRESSION, "labels": {"mark": mark}}, name="a" * 60 + "b")

    found = await caller.get("/v1/jobs", name_regex=pattern, label=f"mark={mark}")

    assert found["items"] == []


_NAIVE = "2026-03-01T09:30:00"
_REFUSED: list[tuple[tuple[str, str], str]] = [
    (("name_regex", "a" * 501), "name_regex"),
    (("label", ""), "label.0"),
    (("label", "a" * 501), "label.0"),
    (("created_after", _NAIVE), "created_after"),
    (("created_before", _NAIVE), "created_before"),
    (("created_after", "2026-03-01"), "created_after"),
    (("created_after", "1772357400"), "created_after"),
    (("created_before", "yesterday"), "created_before"),
    (("created_before", ""), "created_before"),
]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/find"])
async def test_what_cannot_be_looked_for_is_refused_and_named(caller: Caller, path: str) -> None:
    """A moment without its zone could be any of a day's."""
    for parameter, field in _REFUSED:
        answer = await caller.client.get(path, params=[parameter])

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), parameter
        assert answer.json()["field"] == field


async def test_a_pattern_as_long_as_may_be_is_taken(caller: Caller) -> None:
    """The bound is part of the promise."""
    assert (await caller.get("/v1/jobs", name_regex="a" * 500))["items"] == []


async def test_labels_without_end_are_refused(caller: Caller) -> None:
    """Each of them costs the database a look."""
    twenty: list[tuple[str, str | int | float | bool | None]] = [("label", f"k{n}") for n in range(20)]

    taken = await caller.client.get("/v1/jobs", params=twenty)
    refused = await caller.client.get("/v1/jobs", params=[*twenty, ("label", "one more")])

    assert (taken.status_code, refused.status_code, refused.json()["field"]) == (200, 422, "label")


async def test_a_cursor_goes_on_with_its_own_filters_and_with_no_others(shelf: Shelf) -> None:
    """It would point into the middle of another list."""
    long_ago = ("created_after", "2000-01-01T00:00:00Z")
    first = (await shelf.asked(regex("."), long_ago, ("limit", "2"))).json()
    cursor = ("cursor", first["next_cursor"])
    others: list[Query] = [
        [],
        [regex(".")],
        [long_ago],
        [regex(".*"), long_ago],
        [regex("."), long_ago, label("study")],
        [regex("."), ("created_after", "2000-01-01T00:00:01Z")],
        [regex("."), long_ago, ("created_before", "2999-01-01T00:00:00Z")],
    ]

    assert await shelf.found(regex("."), long_ago, cursor) == ["oncology"]
    for other in others:
        answer = await shelf.asked(*other, cursor)
        assert (answer.status_code, answer.json().get("field")) == (422, "cursor"), other


def after(moment: datetime) -> tuple[str, str]:
    return ("created_after", moment.isoformat())


def before(moment: datetime) -> tuple[str, str]:
    return ("created_before", moment.isoformat())


def _in_tokyo(moment: datetime) -> Any:
    return (moment + timedelta(hours=9)).isoformat().replace("+00:00", "+09:00")
