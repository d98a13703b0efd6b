"""Time as this network writes it: aware, UTC, microseconds, a Z at the end."""

from datetime import UTC, datetime, timedelta


def now() -> str:
    """The present as text, in the one spelling both APIs use."""
    return written(datetime.now(UTC))


def ago(*, days: int) -> str:
    """The time so many days before now; as text it sorts like the time itself."""
    return written(datetime.now(UTC) - timedelta(days=days))


def written(when: datetime) -> str:
    """A time of UTC as text."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
