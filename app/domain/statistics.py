"""What can be counted of many jobs."""

from enum import StrEnum


class Counted(StrEnum):
    """Jobs are counted together, and by each of these."""

    ALL = "all"
    OPERATION = "operation"
    OWNER = "owner"
    DAY = "day"
