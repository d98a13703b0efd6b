"""What is kept for how long."""

from datetime import datetime

import msgspec


class Removable(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that have been over for long, their events, and since when: the longest and the shortest."""

    jobs: int
    events: int
    oldest: datetime | None
    newest: datetime | None
