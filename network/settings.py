"""What each part is told when it starts: its own `config.json`, which nobody else reads."""

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

TEAMS = ("globex", "mercy", "lakeside")
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # translated, not bound here


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class User(_Frozen):
    """A holder of a token at the Router; only the token's fingerprint is kept."""

    user: str
    team: str
    role: str
    token_sha256: str


class KnownAccessPoint(_Frozen):
    """An Access Point as the Router knows it: `url` for its peers, `public_url` for clients."""

    team: str
    url: str
    public_url: str
    token_sha256: str
    pass_key: str


class RouterSettings(_Frozen):
    """The Router's own."""

    host: str
    port: int
    slots: int
    users: tuple[User, ...]
    access_points: tuple[KnownAccessPoint, ...]


class AccessPointSettings(_Frozen):
    """An Access Point's own: where the Router is, and what proves who speaks."""

    team: str
    host: str
    port: int
    router_url: str
    router_token: str
    pass_key: str
    max_upload_bytes: int = 256 << 20


def reachable(host: str, port: int) -> str:
    """The URL of what listens there, for programs on the same machine."""
    near = _ANYWHERE.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def write_secret(path: Path, document: object) -> None:
    """The document as JSON, in place of the file that was there."""
    write_private(path, json.dumps(document, indent=1))


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner alone; a failure leaves what was there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    # A draft of a start that was cut short, or whatever else has its name, is not written into.
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
