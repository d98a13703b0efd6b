"""Schemathesis asks for whatever the API's description says can be asked for, and holds the answers against it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.keys import Guarded, guarded_gateway
from tests.support.network import RunningNetwork

_PROGRAM = Path(sys.executable).with_name("schemathesis")
_CONFIG = Path(__file__).with_name("schemathesis.toml")
_WITHIN_S = 900


@pytest.fixture(scope="module")
def guarded(running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A gateway that asks for keys, as the description says."""
    with guarded_gateway(tmp_path_factory.mktemp("data"), running_network) as guarded:
        yield guarded


@pytest.mark.parametrize("examples", [3, pytest.param(60, marks=pytest.mark.full)])
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
