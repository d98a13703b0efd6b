"""A part's log: one line per event, to its own file. Facts are named; bodies, tokens and params never enter."""

import logging
from pathlib import Path

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Facts(logging.Formatter):
    """`time level logger event key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """The usual line, then the facts given as `extra`."""
        facts = [f"{name}={value}" for name, value in vars(record).items() if name not in _USUAL]
        return " ".join([super().format(record), *facts])


def log_to(path: Path) -> None:
    """Send everything this process logs to the file, and nothing anywhere else."""
    handler = logging.FileHandler(path)
    handler.setFormatter(Facts("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # One line for each call would drown the decisions.
    for chatty in ("httpx", "httpcore", "uvicorn", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
