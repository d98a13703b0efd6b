"""How the log is written: one JSON object a line on standard error, an event with its facts, and never a secret."""

import logging
import re

import structlog
from structlog.types import EventDict, WrappedLogger

# What others say in passing is theirs: httpx, say, tells of every call, and to which address.
_OURS = "app"
# A net under the rule that secrets are not logged: what looks like one is struck out, wherever it stands.
_SECRETS = re.compile(
    r"""tbg_[\w-]+ | (?P<name> ticket= | gateway-stream= | (?:bearer|basic)\ + ) [^\s'"\\&;,]+""",
    re.VERBOSE | re.IGNORECASE,
)


def log_to_stderr(level: str) -> None:
    """Ours from this level on, and the warnings of the libraries we stand on."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level.upper())


def formatter() -> logging.Formatter:
    """Writes a record as one line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", key="time"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _rendered,
        ],
    )


_JSON = structlog.processors.JSONRenderer(default=str)


def _rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """The finished line is looked through, not its parts: a secret may hide in anything that became text."""
    return _SECRETS.sub(lambda found: f"{found['name'] or ''}***", str(_JSON(logger, method, event)))
