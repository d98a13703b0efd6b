"""Long work that a Ctrl-C breaks off, whenever it comes."""

import os
import signal
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from app.store.stopping import Stop, stoppable

_WITHIN_S = 10


@pytest.fixture(autouse=True)
def _ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_work_is_told_to_leave_off_however_early_the_key_is_pressed() -> None:
    """Also while its thread is being started, which a few of so many meet."""
    in_time: SimpleQueue[bool] = SimpleQueue()

    def work(stop: Stop) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        last = time.monotonic() + _WITHIN_S
        try:
            while time.monotonic() < last:
                stop.check()
        finally:
            in_time.put(time.monotonic() < last)

    for _ in range(200):
        with pytest.raises(KeyboardInterrupt):
            stoppable(work)
        assert in_time.get(timeout=_WITHIN_S)
