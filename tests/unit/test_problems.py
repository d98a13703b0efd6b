"""Every error has a number, a code of its own and one shape."""

import json
from collections.abc import Iterator

import pytest
from starlette.requests import Request

from app.api.problems import STATUSES, problem
from app.domain.errors import GatewayError, NotKnown, StoreAway, Unreachable, Upstream

NEVER_RAISED_ITSELF = {Upstream}


def errors(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    for one in kind.__subclasses__():
        yield one
        yield from errors(one)


ERRORS = sorted(set(errors()) - NEVER_RAISED_ITSELF, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_a_status(kind: type[GatewayError]) -> None:
    """One without would fail where it is told."""
    assert any(ancestor in STATUSES for ancestor in kind.__mro__)


def test_every_error_has_a_code_of_its_own() -> None:
    """Programs choose by code what to do."""
    codes = [kind.code for kind in ERRORS]

    assert len(set(codes)) == len(codes)
    assert GatewayError.code not in codes


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_says_what_it_means(kind: type[GatewayError]) -> None:
    """The tree in the module's docstring is read by people."""
    assert kind.__doc__
    assert kind.__doc__.strip().endswith(".")


@pytest.mark.parametrize("kind", [Unreachable, StoreAway])
def test_what_will_pass_is_503(kind: type[GatewayError]) -> None:
    """A client may come back."""
    assert STATUSES[kind] == 503


def test_a_problem_has_the_shape_of_rfc_9457() -> None:
    """One shape through every door."""
    response = problem(a_request(), 404, code="job-not-found", detail="There is none.", facts={"job_id": "x"})

    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:tripleblind-gateway:problem:job-not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is none.",
        "instance": "/v1/jobs/x",
        "code": "job-not-found",
        "request_id": "r-1",
        "job_id": "x",
    }


def test_a_fact_that_json_does_not_know_is_told_as_text() -> None:
    """An error must not fail while it is told."""
    response = problem(a_request(), 404, code="c", detail="d", facts={"kind": NotKnown})

    assert "NotKnown" in json.loads(bytes(response.body))["kind"]


def a_request() -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/v1/jobs/x",
            "query_string": b"",
            "headers": [],
            "server": ("127.0.0.1", 80),
            "request_id": "r-1",
        }
    )
