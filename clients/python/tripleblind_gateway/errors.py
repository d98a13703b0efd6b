"""What goes wrong, under the names of the reference."""

from collections.abc import Mapping
from typing import Any


class TripleblindError(Exception):
    """Anything that goes wrong here."""


class TripleblindAPIError(TripleblindError):
    """A call was refused, or not answered.

    `code` and `status` are those of the gateway's problem document, and `facts` is all of it; without an answer they are
    empty, 0 and empty.
    """

    def __init__(
        self, message: str, *, code: str = "", status: int = 0, facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.facts = facts or {}


class TripleblindProcessError(TripleblindError):
    """A job failed, was stopped, or is not the only one that was searched for."""
