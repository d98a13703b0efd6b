"""A process that must not outlive its parent holds on to its standard input and leaves when that ends."""

import os
import threading
from collections.abc import Callable

_CHUNK_BYTES = 4096


def watch(let_go: Callable[[], None], *, descriptor: int = 0) -> None:
    """Call `let_go`, from a thread of its own, when the descriptor reaches its end."""
    threading.Thread(target=_wait_for_end, args=(let_go, descriptor), daemon=True, name="lifeline").start()


def _wait_for_end(let_go: Callable[[], None], descriptor: int) -> None:
    # os.read and not sys.stdin: a buffered reader would hold its lock while the interpreter shuts down.
    while _read(descriptor):
        pass
    let_go()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError:
        return b""
