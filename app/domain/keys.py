"""API keys: `tbg_<id>_<secret>`. The secret is shown once; what is kept can only check it."""

import hashlib
import hmac
import secrets
from datetime import datetime

import msgspec

from app.domain.access import Caller, Role

PREFIX = "tbg"
_ID_BYTES, _SECRET_BYTES = 6, 32


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept. `expires` None: never; `revoked` and `used` None: not yet."""

    id: str
    user: str
    role: Role
    fingerprint: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None = None
    used: datetime | None = None

    def is_valid(self, *, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def opens_with(self, secret: str) -> bool:
        """Whether this is its secret, told in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(self.fingerprint, fingerprint(secret))

    @property
    def caller(self) -> Caller:
        """Who comes with it."""
        return Caller(user=self.user, role=self.role, key_id=self.id)


def new_key(user: str, role: Role, *, now: datetime, expires: datetime | None) -> tuple[Key, str]:
    """A key to keep, and its text, which is to be shown once and forgotten."""
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    key = Key(id=key_id, user=user, role=role, fingerprint=fingerprint(secret), created=now, expires=expires)
    return key, f"{PREFIX}_{key_id}_{secret}"


def id_and_secret(text: str) -> tuple[str, str]:
    """The parts of a key; empty for what is none."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == PREFIX else ("", "")


def fingerprint(secret: str) -> str:
    """SHA-256, in hexadecimal. What we make is random and long, so that a slow hash would protect nothing more."""
    return hashlib.sha256(secret.encode()).hexdigest()
