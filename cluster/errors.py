"""Failures of the command, told in one line and ending with exit code 1."""

from __future__ import annotations

import errno
import os


class CommandError(Exception):
    """The message says what failed and, where there is one, the way out."""


def explain(error: OSError) -> str:
    """An operating system's refusal in one line, with the file it is about."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{error.filename}: {reason.lower()}" if error.filename else reason


def explain_listen(error: OSError, address: str, port: int) -> str:
    """Why `address` and `port` cannot be listened on."""
    reasons = {
        errno.EADDRINUSE: f"port {port} on {address} is taken by another process (--port 0 takes any free one)",
        errno.EACCES: f"no permission to listen on port {port} (ports below 1024 are for root)",
        errno.EPERM: f"no permission to listen on port {port}",
        errno.EADDRNOTAVAIL: f"{address} is not an address of this machine",
    }
    return reasons.get(error.errno or 0, f"cannot listen on {address}:{port}: {explain(error)}")
