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


def test_making_the_application_has_no_effects(tmp_path: Path) -> None:
    """No file, no connection: it begins with its lifespan."""
    create_app(settings(tmp_path / "data"))

    assert not (tmp_path / "data").exists()
