"""What a container said when it ended: the file for last words, or the end of its log where the pod asks for that.

Follows: pkg/kubelet/kuberuntime/kuberuntime_container.go readLastStringFromContainerLogs, getTerminationMessage
"""

from __future__ import annotations

from pathlib import Path

from nodeagent.runtime.protocol import Container, State

FILE_LIMIT_BYTES = 4096
LOG_LIMIT_BYTES, LOG_LIMIT_LINES = 2048, 80


def last_words(container: Container) -> str:
    """The message of an ended container; '' when it left none."""
    if container.state is not State.EXITED:
        return ""
    words = _tail(container.termination_log, FILE_LIMIT_BYTES) if container.termination_log else b""
    policy = container.annotations.get("io.kubernetes.container.terminationMessagePolicy")
    if not words and policy == "FallbackToLogsOnError" and container.exit_code:
        words = _log_tail(container.log_path)
    return words.decode(errors="replace")


def _tail(path: str, limit: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            return file.read(limit)
    except OSError:
        return b""


def _log_tail(path: str) -> bytes:
    """The text of the last lines of a CRI log, without its times and tags."""
    lines = _tail(path, 1024 * 1024).splitlines(keepends=True)[-LOG_LIMIT_LINES:]
    text = b"".join(_text_of(line) for line in lines)
    return text[-LOG_LIMIT_BYTES:]


def _text_of(line: bytes) -> bytes:
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return b""
    return parts[3] if parts[2] == b"F" else parts[3].rstrip(b"\n")
