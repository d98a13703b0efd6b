"""Passes: short-lived tokens that open one thing at one Access Point and nothing else.

The Router signs them with a key it shares with that Access Point, which therefore checks them without a call.
"""

import base64
import hashlib
import hmac
import time

PASS_LIFE_S = 3600
STREAM, SHARED_STREAM = "stream", "shared-stream"


def issue(key: str, *, purpose: str, subject: str, life_s: int = PASS_LIFE_S) -> str:
    """A token for `purpose` on `subject` (a job or an asset)."""
    expiry = int(time.time()) + life_s
    return f"{expiry}.{_signature(key, f'{purpose}:{subject}:{expiry}')}"


def admits(key: str, token: str, *, purpose: str, subject: str) -> bool:
    """Whether the token was issued for exactly this and has not expired."""
    expiry, _, signature = token.partition(".")
    if not (expiry.isascii() and expiry.isdigit() and len(expiry) < 16):
        return False
    expected = _signature(key, f"{purpose}:{subject}:{expiry}")
    return hmac.compare_digest(signature.encode(), expected.encode()) and int(expiry) > time.time()


def fingerprint(token: str) -> str:
    """What is kept of a bearer token instead of the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _signature(key: str, text: str) -> str:
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
