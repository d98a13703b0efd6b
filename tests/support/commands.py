"""`gateway …` as a process of its own: one that ends by itself."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.gateway import WITHIN_S, environment

# Root may write everything; as anybody else it is refused what is not allowed.
_AS_ANYBODY = "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execv(sys.executable, sys.argv[1:])"
_WITH_SMALL_FILES = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); "
    "os.execv(sys.executable, sys.argv[1:])"
)


async def gateway(
    *command: str | Path, data_dir: Path, through: Sequence[str] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """What it said, and its exit code; `through` another program that becomes it."""
    return await asyncio.to_thread(run_gateway, *command, data_dir=data_dir, through=through, **settings)


def run_gateway(
    *command: str | Path, data_dir: Path, through: Sequence[str] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """The same for who does not mind to wait."""
    return subprocess.run(
        [*through, sys.executable, "-m", "app", *command],
        env=environment(data_dir, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


AS_ANYBODY = (sys.executable, "-c", _AS_ANYBODY)
WITH_SMALL_FILES = (sys.executable, "-c", _WITH_SMALL_FILES)
