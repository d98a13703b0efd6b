"""The integer codes of an Access Point's status updates."""

from enum import IntEnum


class JobCode(IntEnum):
    """The codes with a public meaning; any other number is kept as it is."""

    NOT_KNOWN_YET = 0
    REQUESTED = 1
    SUBMITTED = 2
    IN_PROGRESS = 3
    COMPLETE = 4
    ERROR = 10
