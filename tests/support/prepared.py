"""Our programs as processes of their own, each forked from one that has loaded them all: a start need not load them anew.

What runs is what `python -m` runs, with its own arguments, environment, folder, session and standard streams. Where nobody
has loaded them, as outside of pytest, and for claims about the process itself, the command is started as it is.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, NoReturn, Protocol

_LOADED = ("app.demo", "app.keys", "network.part", "network.router.app", "network.access_point.app")
_MOST_BYTES = 1 << 17
_LOADER: list["_Loader"] = []


class Process(Protocol):
    """What tests do with a process."""

    pid: int

    @property
    def stdin(self) -> IO[bytes] | None:
        """None: it has none of its own."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Ours to read."""

    def poll(self) -> int | None:
        """Its exit code. None: it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended; minus the signal's number where one ended it."""

    def send_signal(self, sig: int) -> None:
        """Nothing happens to one that has ended."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""


@contextmanager
def loaded_programs() -> Iterator[None]:
    """While the block lasts, whatever is started is forked."""
    loader = _Loader()
    _LOADER.append(loader)
    try:
        yield
    finally:
        _LOADER.remove(loader)
        loader.end()


def started(
    program: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stderr: IO[bytes] | None = None,
    held: bool = False,
) -> Process:
    """`python -m program arguments`, in a session of its own. Held: its standard input is ours to end."""
    if not _LOADER:
        return commanded(program, *arguments, env=env, stderr=stderr, held=held)
    request = {
        "program": program,
        "arguments": arguments,
        "env": dict(os.environ if env is None else env),
        "folder": str(Path.cwd()),
    }
    return _LOADER[-1].start(json.dumps(request).encode(), stderr=2 if stderr is None else stderr.fileno(), held=held)


def commanded(
    program: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stderr: IO[bytes] | None = None,
    held: bool = False,
) -> Process:
    """The same by its command, loaded anew."""
    return subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        env=env,
        stdin=subprocess.PIPE if held else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
    )


class _Loader:
    """The process that has loaded everything; it leaves with us."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = Lock()
        with theirs:
            handle = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(handle)],
                pass_fds=[handle],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def start(self, request: bytes, *, stderr: int, held: bool) -> Process:
        """Ask for a process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hears, tells = os.pipe()
        told, says = os.pipe()
        with self._one_at_a_time, theirs:
            socket.send_fds(self._line, [request], [hears, says, stderr, theirs.fileno()])
        os.close(hears)
        os.close(says)
        stdin = os.fdopen(tells, "wb")
        if not held:
            stdin.close()
        return _Forked(ours, stdin=stdin if held else None, stdout=os.fdopen(told, "rb"))

    def end(self) -> None:
        """Those that it has started stay."""
        self._line.close()
        self._process.wait()


class _Forked:
    def __init__(self, line: socket.socket, *, stdin: IO[bytes] | None, stdout: IO[bytes]) -> None:
        content, handles, _, _ = socket.recv_fds(line, _MOST_BYTES, 1)
        self.pid = int(content)
        self.stdin = stdin
        self.stdout = stdout
        self._line = line
        self._handle = handles[0]
        self._code: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            self._line.settimeout(timeout)
            try:
                self._code = int(self._line.recv(_MOST_BYTES))
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from error
            self._line.close()
            os.close(self._handle)
        return self._code

    def send_signal(self, sig: int) -> None:
        if self._code is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What was asked for; `streams` are the standard ones."""

    program: str
    arguments: list[str]
    env: dict[str, str]
    folder: str
    streams: list[int]

    def become(self) -> NoReturn:
        """That program, with nothing else of ours left open."""
        os.setsid()
        for number, stream in enumerate(self.streams):
            os.dup2(stream, number)
        os.closerange(len(self.streams), os.sysconf("SC_OPEN_MAX"))
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.env)
        sys.argv = [self.program, *self.arguments]
        runpy.run_module(self.program, run_name="__main__", alter_sys=True)
        sys.exit()


def main() -> None:
    """Load everything, then fork for each start, and tell how each one ends."""
    for module in _LOADED:
        import_module(module)
    gc.collect()
    gc.freeze()  # what is shared with those that are forked stays shared
    line = socket.socket(fileno=int(sys.argv[1]))
    start = _fork_for_each_start(line)
    if start is not None:
        line.detach()
        start.become()


def _fork_for_each_start(line: socket.socket) -> _Start | None:
    """Returns in each that is forked with what it is to become; here with None, once nobody can ask any more."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        readable, _, _ = select.select([line.fileno(), *running], [], [])
        for handle in running.keys() & set(readable):
            _tell_end(handle, *running.pop(handle))
        if line.fileno() not in readable:
            continue
        content, files, _, _ = socket.recv_fds(line, _MOST_BYTES, 4)
        if not content:
            return None
        *streams, told = files
        pid = os.fork()
        if pid == 0:
            return _Start(streams=streams, **json.loads(content))
        handle, teller = os.pidfd_open(pid), socket.socket(fileno=told)
        running[handle] = (pid, teller)
        socket.send_fds(teller, [str(pid).encode()], [handle])
        for stream in streams:
            os.close(stream)


def _tell_end(handle: int, pid: int, teller: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(handle)
    with teller, suppress(BrokenPipeError):  # nobody may want to know
        teller.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    main()
