"""A page of ready lines as one answer."""

import msgspec

from app.domain.ports import Page
from app.services.contact import Contact


def page_body(page: Page, contact: Contact, **more: object) -> bytes:
    """The page as JSON, and how fresh it is."""
    known = {"next_cursor": page.next, **more, "as_of": page.as_of}
    fresh = {"observed_at": contact.observed_at, "stale": contact.stale}
    return b'{"items":[%b],%b' % (b",".join(page.items), msgspec.json.encode(known | fresh)[1:])
