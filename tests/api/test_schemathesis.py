"""Schemathesis asks for whatever the API's description says can be asked for, and holds the answers against it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Listener
from tests.support.keys import Guarded
from tests.support.network import RunningNetwork

_PROGRAM = Path(sys.executable).with_name("schemathesis")
_CONFIG = Path(__file__).with_name("schemathesis.toml")
_WITHIN_S = 900


@pytest.fixture
def _agreements_end(running_network: RunningNetwork) -> Iterator[None]:
    """What was agreed at random is not to answer for owners in other tests."""
    yield
    globex = running_network.client("globex")
    for agreement in globex.get("/v1/agreements", params={"state": "active"}).json()["items"]:
        if agreement["team"] == "globex":
            globex.delete(f"/v1/agreements/{agreement['id']}")


@pytest.fixture
async def _ready(guarded: Guarded) -> None:
    """The gateway has been in touch with the Router: until then it says that it is not ready."""
    async with guarded.client("root") as client:
        await Listener(guarded.gateway, client).eventually("/v1/jobs", lambda page: not page["stale"])


@pytest.mark.usefixtures("_agreements_end", "_ready")
@pytest.mark.parametrize("examples", [1, pytest.param(60, marks=pytest.mark.full)])
def test_every_answer_is_as_described(guarded: Guarded, tmp_path: Path, examples: int) -> None:
    """Examples, the bounds of every parameter, random requests, and chains from a create to what can follow it."""
    done = subprocess.run(
        [
            *(_PROGRAM, "--config-file", _CONFIG, "run", f"{guarded.gateway.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {guarded.keys['root']}"),
            *("--max-examples", str(examples), "--no-color", "--suppress-health-check", "all"),
            *("--request-timeout", "30"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
