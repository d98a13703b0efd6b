"""The whole document: what FastAPI knows, who is let in, what is refused, what streams say, and what leads to what."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.api.access import OPEN, RIGHTS
from app.api.description.events import SHOWN, STREAMS, ref, stream_bodies
from app.api.description.examples import EXAMPLES
from app.api.description.links import LINKS
from app.api.description.refusals import refusals
from app.api.doors import COOKIE
from app.api.problems import Problem
from app.api.schemas.assets import TableView
from app.api.schemas.events import MissingPermission, QueuePlace, Why
from app.domain.access import MAY

Document = dict[str, Any]

OLDER_VERSION = "3.1.0"

_VERSION = "3.2.0"
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of `gateway key create`"},
    "ticket": {"type": "apiKey", "in": "query", "name": "ticket", "description": "Of POST /v1/stream-tickets"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set where a ticket was used"},
}
_BY_KEY: list[dict[str, list[str]]] = [{"key": []}]
_BY_PASS_TOO = [*_BY_KEY, {"ticket": []}, {"cookie": []}]
# What a job holds ready-made, in more detail than its view knows.
_JOB: Document = {
    "waiting_on": {"type": "array", "items": ref(MissingPermission)},
    "queue": {"type": "array", "items": ref(QueuePlace)},
    "why": {"anyOf": [ref(Why), {"type": "null"}]},
}
_TAGS = {
    "jobs": "Create, submit, cancel, kill, find; what was heard of them and done about them",
    "results": "What a job came to",
    "events": "Streams of what happens, as Server-Sent Events or newline-delimited JSON",
    "assets": "What jobs can be made of",
    "permission": "Who may use what: requests, agreements, and what a job would need",
    "health": "Whether the gateway lives, and whether it can be used",
}


class Application(FastAPI):
    """A FastAPI application that describes itself in OpenAPI 3.2."""

    def openapi(self) -> Document:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_version = _VERSION
            _complete(super().openapi())
        return super().openapi()


def older(document: Document) -> Document:
    """The document for generators that know OpenAPI 3.1 alone: the items of streams are described in words only."""
    made = copy.deepcopy(document)
    made["openapi"] = OLDER_VERSION
    for _, _, operation in operations(made):
        for body in operation["responses"].get("200", {}).get("content", {}).values():
            if body.pop("itemSchema", None) is not None:
                body["schema"] = {"type": "string"}
    _keep_what_is_used(made)
    return made


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Each operation with its path and method."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _keep_what_is_used(document: Document) -> None:
    schemas = document["components"]["schemas"]
    used: set[str] = set()
    found = _names(document["paths"])
    while found:
        used |= found
        found = _names([schemas[name] for name in found]) - used
    document["components"]["schemas"] = {name: schema for name, schema in schemas.items() if name in used}


def _names(part: object) -> set[str]:
    return set(re.findall(r"'#/components/schemas/(\w+)'", repr(part)))


def _complete(document: Document) -> None:
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    document["servers"] = [{"url": "/"}]
    document["info"]["contact"] = {"name": "The operators of this gateway"}
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    schemas = components.setdefault("schemas", {})
    for name, schema in _shown().items():
        assert schemas.setdefault(name, schema) == schema, f"two schemas are called {name}"  # noqa: S101
    for view in ("JobView", "JobSeen"):
        schemas[view]["properties"] |= {name: _JOB[name] for name in _JOB.keys() & schemas[view]["properties"].keys()}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    for path, method, operation in operations(document):
        _complete_operation(path, method, operation)


def _complete_operation(path: str, method: str, operation: Document) -> None:
    name, responses = operation["operationId"], operation["responses"]
    operation.update(_access(path, name))
    responses.update(refusals(path, method, operation))
    if name in STREAMS:
        responses["200"]["content"] = stream_bodies(name)
    for status, links in LINKS.get(name, {}).items():
        responses[status]["links"] = links


def _access(path: str, operation: str) -> Document:
    if path in OPEN:
        return {"security": []}
    security = _BY_PASS_TOO if operation in STREAMS else _BY_KEY
    return {
        "security": security,
        "x-roles": {role.value: reach.value for role, reach in MAY[RIGHTS[operation]].items()},
    }


def _shown() -> Document:
    """What FastAPI cannot see: problems, and the data of events."""
    _, made = models_json_schema(
        [(model, "serialization") for model in (Problem, TableView, *SHOWN)],
        ref_template="#/components/schemas/{model}",
    )
    shown: Document = made["$defs"]
    return shown
