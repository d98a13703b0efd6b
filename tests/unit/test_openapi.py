"""The API describes itself."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.description.document import older
from app.api.description.examples import EXAMPLES
from app.domain.events import Kind
from app.main import create_app
from app.settings import Settings
from tests.support.described import validator

Json = dict[str, Any]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_app(settings(tmp_path_factory.mktemp("data")))


def settings(data_dir: Path) -> Settings:
    return Settings(router="http", router_url="http://127.0.0.1:1", router_token="t", data_dir=data_dir)  # noqa: S106


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


async def test_the_document_is_served(application: FastAPI) -> None:
    """Clients are made from it. Nothing else needs to run for that."""
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.get("/openapi.json")

    assert response.status_code == 200
    assert response.json()["paths"] == application.openapi()["paths"]


def test_every_operation_has_a_name_of_its_own(application: FastAPI) -> None:
    """Made clients call their methods so; a made-up name would change with the path."""
    names = [operation["operationId"] for _, operation in operations(application.openapi())]

    assert len(set(names)) == len(names)
    assert [name for name in names if not name.isalnum()] == []


def test_every_operation_says_what_it_does(application: FastAPI) -> None:
    """The document is read by people, too."""
    silent = [name for name, operation in operations(application.openapi()) if not operation.get("description")]

    assert silent == []


def test_every_operation_says_how_one_is_let_in_and_who_may(application: FastAPI) -> None:
    """A made client sends the key by itself, and a front end hides what its user may not do."""
    document = application.openapi()
    schemes = document["components"]["securitySchemes"].keys()

    for name, operation in operations(document):
        ways = [way for ways in operation["security"] for way in ways]
        assert set(ways) <= schemes, name
        assert bool(ways) == bool(operation.get("x-roles")), name
        assert ("ticket" in ways) == name.endswith("/events"), name


def test_only_signs_of_life_need_no_key(application: FastAPI) -> None:
    """Whatever else tells something of jobs and data."""
    free = {name for name, operation in operations(application.openapi()) if not operation["security"]}

    assert free == {"GET /livez", "GET /readyz"}


def test_the_document_names_the_roles_of_the_table(application: FastAPI) -> None:
    """`own`: of the jobs that the caller created."""
    roles = {operation["operationId"]: operation.get("x-roles") for _, operation in operations(application.openapi())}

    assert roles["killJob"] == {"submitter": "own", "admin": "any"}
    assert roles["acceptAccessRequest"] == {"approver": "any", "admin": "any"}
    assert roles["getJob"] == {"viewer": "any", "submitter": "any", "approver": "any", "admin": "any"}


def test_making_the_application_has_no_effects(tmp_path: Path) -> None:
    """No file, no connection: it begins with its lifespan."""
    create_app(settings(tmp_path / "data"))

    assert not (tmp_path / "data").exists()


def test_every_body_has_an_example_and_every_example_fits(application: FastAPI) -> None:
    """People read the example first, and tools fill forms with it."""
    document = application.openapi()
    schemas = document["components"]["schemas"]
    bodies = {name for _, operation in operations(document) for name in bodies_of(operation)}

    assert {name for name in bodies if "examples" not in schemas[name]} == set()
    assert set(EXAMPLES) <= schemas.keys()
    for name, example in EXAMPLES.items():
        assert [str(one) for one in validator(schemas[name]).iter_errors(example)] == [], name


def bodies_of(operation: Json) -> Iterator[str]:
    """The names of the schemas of its JSON bodies, problems apart."""
    answers = [answer for status, answer in operation["responses"].items() if status < "3"]
    for body in (operation.get("requestBody", {}), *answers):
        schema = body.get("content", {}).get("application/json", {}).get("schema", {})
        yield from re.findall(r"'#/components/schemas/(\w+)'", repr(schema))


def test_every_operation_names_its_problems(application: FastAPI) -> None:
    """Whoever writes a client sees what to be ready for; `default` would say nothing."""
    for name, operation in operations(application.openapi()):
        assert {"421", "500"} <= operation["responses"].keys(), name
        assert "default" not in operation["responses"], name


def test_streams_are_described_event_by_event(application: FastAPI) -> None:
    """Each event once, as Server-Sent Events and as lines."""
    streams = [operation for _, operation in operations(application.openapi()) if "204" in operation["responses"]]

    assert streams
    for operation in streams:
        for form in operation["responses"]["200"]["content"].values():
            titles = [item["title"] for item in form["itemSchema"]["oneOf"]]
            assert sorted(titles) == sorted(["snapshot", *(kind.value for kind in Kind), "text"])


def test_links_lead_to_operations_and_fill_their_parameters(application: FastAPI) -> None:
    """A link to nowhere is worse than none."""
    document = application.openapi()
    known = {
        operation["operationId"]: {one["name"] for one in operation["parameters"]}
        for _, operation in operations(document)
        if "parameters" in operation
    }
    answers = [answer for _, operation in operations(document) for answer in operation["responses"].values()]
    links = [link for answer in answers for link in answer.get("links", {}).values()]

    assert links
    assert [link for link in links if not link["parameters"].keys() <= known[link["operationId"]]] == []


def test_the_older_document_says_the_same_without_items(application: FastAPI) -> None:
    """For generators that refuse 3.2."""
    document = application.openapi()
    made = older(document)

    assert document["openapi"].startswith("3.2")
    assert made["openapi"].startswith("3.1")
    assert "itemSchema" not in json.dumps(made)
    assert made["paths"].keys() == document["paths"].keys()
    assert document == application.openapi()
