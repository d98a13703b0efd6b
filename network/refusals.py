"""What a part answers when it will not do what it was asked: one shape, through every door.

{"error": {"code", "detail", …facts}}
"""

from collections.abc import Sequence

_CODES = {400: "malformed", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed"}


class Refusal(Exception):
    """An answer that is not success: its status, its code, a sentence, and the facts that belong to it."""

    def __init__(self, status: int, code: str, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"error": {"code": code, "detail": detail, **facts}}


def of_status(status: int, detail: str) -> Refusal:
    """The refusal that the HTTP layer itself makes: unknown path, wrong method."""
    return Refusal(status, _CODES.get(status, "malformed"), detail)


def unauthorized() -> Refusal:
    """No token, an unknown one, or an expired one."""
    return Refusal(401, "unauthorized", "Send a valid token as 'Authorization: Bearer <token>'.")


def forbidden(detail: str, *, team: str) -> Refusal:
    """Known, but another team's to do."""
    return Refusal(403, "forbidden", detail, team=team)


def not_found(what: str) -> Refusal:
    """Absent, or not visible to the asking team: the two look the same."""
    return Refusal(404, "not-found", f"There is no such {what}, or your team cannot see it.")


def invalid(field: str, detail: str, *, allowed: Sequence[str] | None = None) -> Refusal:
    """A field of the body is wrong; `allowed` lists the closed set where there is one."""
    facts: dict[str, object] = {"field": field}
    if allowed is not None:
        facts["allowed"] = list(allowed)
    return Refusal(422, "invalid", detail, **facts)


def too_large(limit_bytes: int) -> Refusal:
    """More bytes than this door lets in."""
    return Refusal(413, "too-large", f"At most {limit_bytes} bytes are taken here.")
