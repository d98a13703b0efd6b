"""An SDK that never comes back from one of its calls."""

from threading import Event
from typing import Any

from tripleblind_gateway import *  # noqa: F403  (the same, but for what follows)


def fetch_asset(*given: Any, **named: Any) -> None:  # type: ignore[no-redef]
    """Nobody ever rings."""
    del given, named
    Event().wait()
