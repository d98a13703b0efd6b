"""The API describes itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings

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
