"""Ready bytes of JSON with an ETag of what they tell, and 304 for whoever has that already."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import Scope

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It is as `If-None-Match` says; nothing more is sent"}
}
# Where in a request's scope an answer stands that may be told to others who ask the same.
MADE = "made"


@dataclass(frozen=True, slots=True)
class Made:
    """A body, and its tag: a weak one, for when the Router was heard last is in the body and no matter for the tag."""

    body: bytes
    tag: str

    def answer(self, scope: Scope) -> Response:
        """The body; nothing of it where `If-None-Match` names its tag."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        if _has(self.tag, Headers(scope=scope).getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type="application/json")


def answer(request: Request, body: bytes, *, digest: int, again: bool = True) -> Response:
    """The body, with a tag of this digest. `again`: it may be told to others, too."""
    made = Made(body, f'W/"{digest & 0xFFFF_FFFF_FFFF_FFFF:016x}"')
    if again:
        request.scope[MADE] = made
    return made.answer(request.scope)


def digest_of(content: bytes) -> int:
    """Of bytes that are no longer than an answer."""
    return int.from_bytes(blake2b(content, digest_size=8).digest())


def _has(tag: str, named: Iterable[str]) -> bool:
    tags = [one.strip() for line in named for one in line.split(",")]
    return "*" in tags or tag.removeprefix("W/") in (one.removeprefix("W/") for one in tags)
