"""The process groups of jobs: ended as one, and known to be gone before anybody is told so."""

import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 1.0
_PROCESSES = Path("/proc")
log = logging.getLogger(__name__)


def kill(group: int) -> None:
    """SIGKILL to every process of the group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


async def gone(group: int) -> None:
    """Return once no process of the group runs, however long that takes.

    The leader may have had children; nobody rings when the last of a group is gone.
    """
    pause_s = _FIRST_PAUSE_S
    while await asyncio.to_thread(_runs_after_kill, group):
        await asyncio.sleep(pause_s)
        if pause_s < _LONGEST_PAUSE_S <= 2 * pause_s:
            log.warning("process group does not end", extra={"group": group})
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _runs_after_kill(group: int) -> bool:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, for a group of zombies
        return _lists_processes() and _any_runs(group)
    # Killed ones whose new parent does not reap them stay in the table for ever, though they run no more.
    return not _lists_processes() or _any_runs(group)


def _lists_processes() -> bool:
    return (_PROCESSES / "self" / "stat").exists()


def _any_runs(group: int) -> bool:
    return any(_runs_in(group, entry) for entry in _PROCESSES.iterdir() if entry.name.isdigit())


def _runs_in(group: int, entry: Path) -> bool:
    try:
        # After the name, which may hold anything: state, parent, group.
        state, _, of = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
    except (OSError, ValueError):  # it ended meanwhile
        return False
    return int(of) == group and state not in {"Z", "X"}
