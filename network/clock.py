"""Time as this network writes it: aware, UTC, microseconds, a Z at the end."""

from datetime import UTC, datetime


def now() -> str:
    """The present as text, in the one spelling both APIs use."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
