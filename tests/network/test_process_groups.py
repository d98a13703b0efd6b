"""A job's processes are not said to be gone while one of them runs."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from network.access_point import process_groups
from tests.support.network import running_in


async def test_a_group_is_gone_once_its_last_process_is() -> None:
    """The leader has ended; its child has not."""
    leader = await _leader_of_a_sleeping_child()

    async with asyncio.timeout(10):
        await process_groups.gone(leader)

    assert running_in(leader) == []


async def test_who_does_not_die_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process in uninterruptible sleep would: signals go nowhere at first."""
    leader = await _leader_of_a_sleeping_child()
    killpg = os.killpg
    monkeypatch.setattr(os, "killpg", lambda group, _: killpg(group, 0))
    waiting = asyncio.create_task(process_groups.gone(leader))

    await asyncio.wait([waiting], timeout=1.5)
    assert not waiting.done()
    killpg(leader, signal.SIGKILL)

    async with asyncio.timeout(10):
        await waiting


def test_zombies_do_not_count() -> None:
    """Nobody may ever reap them, and they do nothing any more."""
    zombie = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    try:
        asyncio.run(asyncio.wait_for(process_groups.gone(zombie.pid), 10))
    finally:
        zombie.wait()


async def _leader_of_a_sleeping_child() -> int:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    leader = await asyncio.create_subprocess_exec(sys.executable, "-c", code, start_new_session=True)
    await leader.wait()
    return leader.pid
