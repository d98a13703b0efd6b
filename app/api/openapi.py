"""The API's description of itself: what FastAPI knows, and who is let in."""

from typing import Any

from fastapi import FastAPI

from app.api.access import OPEN, RIGHTS
from app.api.doors import COOKIE
from app.domain.access import MAY

_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of `gateway key create`"},
    "ticket": {"type": "apiKey", "in": "query", "name": "ticket", "description": "Of POST /v1/stream-tickets"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set where a ticket was used"},
}
_BY_KEY: list[dict[str, list[str]]] = [{"key": []}]
_BY_PASS_TOO = [*_BY_KEY, {"ticket": []}, {"cookie": []}]
_STREAMS = frozenset({"jobEvents", "events"})


class Application(FastAPI):
    """A FastAPI application whose document says which roles may what."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    operation.update(_access(path, operation["operationId"]))
        return super().openapi()


def _access(path: str, operation: str) -> dict[str, Any]:
    if path in OPEN:
        return {"security": []}
    security = _BY_PASS_TOO if operation in _STREAMS else _BY_KEY
    return {
        "security": security,
        "x-roles": {role.value: reach.value for role, reach in MAY[RIGHTS[operation]].items()},
    }
