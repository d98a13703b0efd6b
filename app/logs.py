"""How the log is written: an event with its facts, one line each, on standard error."""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Facts(logging.Formatter):
    """The event, and behind it every fact it was logged with."""

    def format(self, record: logging.LogRecord) -> str:
        """As `LEVEL room: event fact=value …`."""
        facts = [f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD]
        head, newline, traceback = super().format(record).partition("\n")
        return " ".join([head, *facts]) + newline + traceback


def log_to_stderr() -> None:
    """Warnings and errors, of the gateway and of the libraries it stands on."""
    handler = logging.StreamHandler()
    handler.setFormatter(Facts("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
