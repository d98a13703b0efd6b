"""Which processes a program has started, and the certainty that they are gone."""

import os
import select
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class Family:
    """A process and all that descend from it, as they are now; to be used as a block."""

    def __init__(self, pid: int) -> None:
        self._handles = {one: os.pidfd_open(one) for one in [pid, *descendants(pid)]}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)

    def __len__(self) -> int:
        return len(self._handles)

    def left_over(self, *, within_s: float) -> list[str]:
        """Return once all have ended; the command lines of those that have not in time."""
        deadline = time.monotonic() + within_s
        alive = dict(self._handles)
        while alive and (left_s := deadline - time.monotonic()) > 0:
            ended, _, _ = select.select(list(alive.values()), [], [], left_s)
            alive = {pid: handle for pid, handle in alive.items() if handle not in ended}
        return [command_line(pid) for pid in alive]


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended while we looked
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [*children.get(pid, [])]
    for one in found:
        found += children.get(one, [])  # grows while it is walked: breadth first
    return found


def naming(path: Path) -> list[str]:
    """The command lines of all processes that were started with this path in their arguments."""
    lines = (command_line(int(entry.name)) for entry in Path("/proc").glob("[0-9]*"))
    return [line for line in lines if str(path) in line]


def command_line(pid: int) -> str:
    """Empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def sockets_of(pid: int) -> int:
    """How many sockets the process has open."""
    return sum(1 for one in Path(f"/proc/{pid}/fd").iterdir() if _is_socket(one))


def _is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False
