"""One part as a child process: started, started again when it dies, and stopped by the end of its standard input."""

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_SETTLED_AFTER_S = 60.0
_LEAVES_WITHIN_S = 1.5
log = logging.getLogger(__name__)


class Child:
    """Keeps one part alive until it is told to stop."""

    def __init__(self, name: str, *, arguments: tuple[str, ...], log_path: Path, changed: Callable[[], None]) -> None:
        self.name = name
        self.pid: int | None = None
        self.ready = asyncio.Event()
        self._command = (sys.executable, "-m", *arguments, "--stop-with-stdin")
        self._log_path = log_path
        self._changed = changed

    async def keep_alive(self) -> None:
        """Run the part for ever, with longer pauses the more often it dies; when cancelled it is stopped first."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            await self._run_once()
            if time.monotonic() - began > _SETTLED_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _run_once(self) -> None:
        process = await self._spawn()
        try:
            if process.stdout is not None and await process.stdout.readline():
                self.ready.set()
            returncode = await process.wait()
            log.warning("part ended", extra={"part": self.name, "exit": returncode})
        finally:
            await _stop(process)

    async def _spawn(self) -> Process:
        # A session of its own: Ctrl-C in a terminal reaches the supervisor alone, which then stops its children.
        with self._log_path.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=errors, start_new_session=True
            )
        self.pid = process.pid
        self._changed()
        return process


async def _stop(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_LEAVES_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
