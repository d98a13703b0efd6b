"""Opaque places in a list, each bound to the query that gave it."""

import base64
import binascii
import zlib
from typing import Annotated

import msgspec

from app.domain.errors import Invalid
from app.domain.ports import JobFilter

# What a column of whole numbers holds; beyond it the database would not take the question.
_Stored = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page, or the last that was looked at for it, and which query it was a page of."""

    key: _Stored
    query: int


def cursor_after(key: int, *, wanted: JobFilter, of: str) -> str:
    """The cursor that continues a list `of` something below this row."""
    place = Place(key, _digest(wanted, of))
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str, *, wanted: JobFilter, of: str) -> Place:
    """Raises Invalid when the cursor was not given by a list of the same with the same filters."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = msgspec.json.decode(raw, type=Place)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid("This is no cursor of this list; take next_cursor of a page.", field="cursor") from error
    if place.query != _digest(wanted, of):
        raise Invalid("This cursor belongs to a list with other filters; start without it.", field="cursor")
    return place


def _digest(wanted: JobFilter, of: str) -> int:
    # Sets are sorted: equal filters must give equal bytes.
    return zlib.crc32(msgspec.json.encode([of, wanted], order="sorted"))
