"""Log lines of a client process: time, level, module, message, then the `extra` keys."""

from __future__ import annotations

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        extras = " ".join(f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD)
        line = super().formatMessage(record)
        return f"{line} {extras}" if extras else line


def configure(level: int) -> None:
    """Send the process's log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
