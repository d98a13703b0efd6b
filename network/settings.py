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
    """Replace the file in one step, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
