"""What tests fork is what the command starts: only so may one stand for the other."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from network.provision import Wishes, provision
from tests.support.gateway import WITHIN_S, environment, first_line
from tests.support.prepared import Process, commanded, started

_NOWHERE = {"GATEWAY_ROUTER_URL": "http://127.0.0.1:9", "GATEWAY_ROUTER_TOKEN": "any"}
_both = pytest.mark.parametrize("begin", [started, commanded])


@pytest.mark.parametrize("wrong", [{}, {"GATEWAY_PORT": "far away"}])
def test_both_say_the_same_and_end_alike(tmp_path: Path, wrong: dict[str, str]) -> None:
    """Words for standard output, words for standard error, and the exit code."""
    forked, by_command = (_ended(begin, tmp_path / begin.__name__, wrong) for begin in (started, commanded))

    assert forked == by_command
    assert forked[0] == (2 if wrong else 0)


@_both
def test_each_leads_a_session_with_the_environment_and_folder_it_was_given(
    begin: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal ends it alone, and its exit code tells which."""
    monkeypatch.chdir(tmp_path)
    process = begin("app", "serve", env=environment(Path("data"), **_NOWHERE))
    try:
        serving = first_line(process)
        session, folder = os.getsid(process.pid), Path(f"/proc/{process.pid}/cwd").readlink()
        before, after = process.poll(), _killed(process)
    finally:
        process.kill()

    assert serving.startswith("Serving on http://127.0.0.1:")
    assert (session, folder) == (process.pid, tmp_path)
    assert (tmp_path / "data" / "gateway.db").exists()
    assert (before, after, process.poll()) == (None, -9, -9)


@_both
def test_one_that_is_held_leaves_when_it_is_let_go(begin: Callable[..., Process], tmp_path: Path) -> None:
    provision(tmp_path, Wishes())
    process = begin("network.router", str(tmp_path / "router"), "--stop-with-stdin", held=True)
    try:
        ready = first_line(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0)
        assert process.stdin is not None
        process.stdin.close()
        code = process.wait(WITHIN_S)
    finally:
        process.kill()
        _closed(process)

    assert ready.startswith("ready http://127.0.0.1:")
    assert code == 0


def _ended(begin: Callable[..., Process], folder: Path, wrong: dict[str, str]) -> tuple[int, str, str]:
    folder.mkdir()
    with (folder / "stderr").open("wb") as errors:
        process = begin("app", "key", "list", env=environment(folder, **wrong), stderr=errors)
        assert process.stdout is not None
        said = process.stdout.read().decode()
        _closed(process)
    return process.wait(WITHIN_S), said, (folder / "stderr").read_text()


def _killed(process: Process) -> int:
    process.kill()
    code = process.wait(WITHIN_S)
    _closed(process)
    return code


def _closed(process: Process) -> None:
    if process.stdout is not None:
        process.stdout.close()
