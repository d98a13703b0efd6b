"""Ready bytes of JSON with an ETag of what they tell, and 304 for whoever has that already."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from fastapi import Request, Response

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It is as `If-None-Match` says; nothing more is sent"}
}


def answer(request: Request, body: bytes, *, digest: int, status: int = 200) -> Response:
    """The body; nothing of it where `If-None-Match` names its digest.

    The tag is a weak one: when the Router was heard last is in the body and not in the digest.
    """
    tag = f'W/"{digest & 0xFFFF_FFFF_FFFF_FFFF:016x}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if _has(tag, request.headers.getlist("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def digest_of(content: bytes) -> int:
    """Of bytes that are no longer than an answer."""
    return int.from_bytes(blake2b(content, digest_size=8).digest())


def _has(tag: str, named: Iterable[str]) -> bool:
    tags = [one.strip() for line in named for one in line.split(",")]
    return "*" in tags or tag.removeprefix("W/") in (one.removeprefix("W/") for one in tags)
