"""`python -m network`: one command starts all parts, keeps them alive, and leaves nothing behind."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.support.network import supervised

WITHIN_S = 20.0


def test_the_whole_network_starts_heals_stops_and_starts_again(tmp_path: Path) -> None:
    with supervised(tmp_path) as supervisor:
        first = _listing(tmp_path)
        assert (tmp_path / "network.json").stat().st_mode & 0o777 == 0o600
        os.kill(first["pids"]["mercy"], signal.SIGKILL)
        _until(lambda: _answers(first["access_points"][1]["url"]))
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait(WITHIN_S)
        _until(lambda: not any(_alive(pid) for pid in _listing(tmp_path)["pids"].values()))

    with supervised(tmp_path) as supervisor:
        again = _listing(tmp_path)
        assert {**again, "pids": None} == {**first, "pids": None}
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(WITHIN_S) == 0
        assert not any(_alive(pid) for pid in again["pids"].values())


def _listing(data_dir: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((data_dir / "network.json").read_text())
    return content


def _until(fits: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not fits():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # other processes' lives ring no bell here


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ping").is_success
    except httpx.TransportError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
