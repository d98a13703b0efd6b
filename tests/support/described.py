"""Holds every answer that a test gets against the API's own description: nothing undocumented is ever said."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs

from app.main import create_app
from app.settings import Settings

Json = dict[str, Any]

_PROBLEM = "application/problem+json"


@cache
def document() -> Json:
    """What the gateway says of itself."""
    nowhere = Settings(router="http", router_url="http://127.0.0.1:1", router_token="none", data_dir=Path("/nowhere"))  # noqa: S106
    return create_app(nowhere).openapi()


async def as_described(answer: httpx.Response) -> None:
    """Raise AssertionError for a status, a media type, a code of a problem or a body that the description does not have."""
    operation = operation_of(answer.request.method, answer.request.url.path)
    if operation is None:
        return
    name = operation["operationId"]
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, f"{name} answered {answer.status_code}, which its description does not have"
    contents = described.get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if not contents:
        assert not kind, f"{name} answered {answer.status_code} with a body of {kind}"
        return
    assert kind in contents, (
        f"{name} answered {answer.status_code} with {kind}, and described are {', '.join(contents)}"
    )
    if kind in ("application/json", _PROBLEM) and "schema" in contents[kind]:
        _check(name, answer.status_code, kind, (await answer.aread()))


def operation_of(method: str, path: str) -> Json | None:
    """The operation that a request is for. None: it is for none."""
    for shape, methods in _shapes().items():
        if shape(path):
            found: Json | None = methods.get(method.lower())
            return found
    return None


def validator(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """Of a schema that names others of the document."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]})


@cache
def _shapes() -> dict[Callable[[str], object], Json]:
    return {
        _shape(path): methods for path, methods in sorted(document()["paths"].items(), key=lambda one: "{" in one[0])
    }


def _shape(path: str) -> Callable[[str], object]:
    return re.compile(re.sub(r"\\?\{\w+\\?\}", "[^/]+", re.escape(path))).fullmatch


@cache
def _validator(operation: str, status: int, kind: str) -> jsonschema_rs.Validator:
    for methods in document()["paths"].values():
        for described in methods.values():
            if described["operationId"] == operation:
                return validator(described["responses"][str(status)]["content"][kind]["schema"])
    raise AssertionError(f"there is no operation {operation}")


def _check(operation: str, status: int, kind: str, body: bytes) -> None:
    wrong = [str(one) for one in _validator(operation, status, kind).iter_errors(json.loads(body))]
    assert wrong == [], (
        f"{operation} answered {status} with what its description does not have: {wrong}; {body[:500]!r}"
    )
