"""`python -m network router` and `access-point TEAM`: one part alone, by its own command."""

import os
from pathlib import Path

from tests.support.gateway import first_line
from tests.support.network import WITHIN_S
from tests.support.prepared import Process, commanded


def test_parts_started_alone_find_each_other_and_come_back_where_they_were(tmp_path: Path) -> None:
    """Whichever is first makes the folder for all; the Access Point is ready once it is in touch with the Router."""
    router, first = _part(tmp_path, "router")
    access_point, in_touch = _part(tmp_path, "access-point", "mercy")
    codes = [_left(router)]
    router, second = _part(tmp_path, "router")
    codes += [_left(access_point), _left(router)]

    assert first == second
    assert first.startswith("ready http://127.0.0.1:")
    assert in_touch.startswith("ready http://127.0.0.1:")
    assert in_touch != first
    assert codes == [0, 0, 0]


def _part(data_dir: Path, *which: str) -> tuple[Process, str]:
    options = ("--data-dir", str(data_dir), "--slots", "1", "--stop-with-stdin")
    process = commanded("network", *which, *options, env=os.environ, held=True)
    return process, first_line(process)


def _left(process: Process) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    return process.wait(WITHIN_S)
