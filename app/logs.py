"""How the log is written: one JSON object a line on standard error, an event with its facts, and never a secret."""

import json
import logging
import re
from datetime import UTC, datetime

from structlog.contextvars import get_contextvars

# What others say in passing is theirs: httpx, say, tells of every call, and to which address.
_OURS = "app"
# A net under the rule that secrets are not logged: what looks like one is struck out, wherever it stands.
_SECRETS = re.compile(
    r"""tbg_[\w-]+ | (?P<name> ticket= | gateway-stream= | (?:bearer|basic)\ + ) [^\s'"\\&;,]+""",
    re.VERBOSE | re.IGNORECASE,
)
_OF_EVERY_RECORD = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})


def log_to_stderr(level: str) -> None:
    """Ours from this level on, and the warnings of the libraries we stand on."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level.upper())


def formatter() -> logging.Formatter:
    """Writes a record as one line."""
    return _Lines()


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The finished line is looked through, not its parts: a secret may hide in anything that became text."""
        said = {
            "event": record.getMessage(),
            **get_contextvars(),
            "level": record.levelname.lower(),
            "logger": record.name,
            **{name: fact for name, fact in record.__dict__.items() if name not in _OF_EVERY_RECORD},
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return _SECRETS.sub(lambda found: f"{found['name'] or ''}***", _JSON.encode(said))


_JSON = json.JSONEncoder(default=str)
