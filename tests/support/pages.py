"""What stands in a page of the history."""

import msgspec

from app.domain.ports import Page
from app.domain.shown import Shown
from app.domain.statuses import JobStatus


def jobs_in(page: Page) -> tuple[Shown, ...]:
    """The jobs of a page of jobs."""
    return tuple(msgspec.json.decode(item, type=Shown) for item in page.items)


def statuses_in(page: Page) -> tuple[JobStatus, ...]:
    """The statuses of a page of statuses."""
    return tuple(msgspec.json.decode(item, type=JobStatus) for item in page.items)
