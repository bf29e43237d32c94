"""When an ended container is started again, and how long that waits. Pure; the clock is given.

Follows: pkg/kubelet/container/helpers.go, pkg/api/v1/pod (container restart rules), client-go util/flowcontrol/backoff
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Container, State

RESTART_ALL = "RestartAllContainers"
INITIAL_BACKOFF_S = 10.0
LONGEST_BACKOFF_S = 300.0


def policy_of(pod: View, container: View) -> str:
    return str(container.get("restartPolicy") or spec.restart_policy(pod))


def restarts_after(pod: View, container: View, exit_code: int) -> bool:
    """Whether a container that ended like that is to be started again: its own rules first, then its policy."""
    if _action_after(container, exit_code):
        return True
    policy = policy_of(pod, container)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _action_after(container: View, exit_code: int) -> str:
    """What the first of the container's rules that fits says; '' where none fits."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        is_listed = exit_code in (codes.get("values") or ())
        if is_listed == (codes.get("operator") == "In") and codes:
            return str(rule.get("action", ""))
    return ""


def may_restart_all(pod: View) -> bool:
    """Whether the end of some container can have all of them started anew."""
    rules = (
        rule
        for container in (*spec.init_containers(pod), *spec.containers(pod))
        for rule in container.get("restartPolicyRules") or ()
    )
    return any(rule.get("action") == RESTART_ALL for rule in rules)


def asks_for_all(container: View, latest: Container | None) -> bool:
    """Whether a container has ended in such a way that all are to be started anew."""
    if latest is None or latest.state is not State.EXITED:
        return False
    return _action_after(container, latest.exit_code) == RESTART_ALL


def should_start(pod: View, container: View, latest: Container | None) -> bool:
    """Whether a container that does not run is to be started."""
    if spec.is_deleting(pod) or (latest is not None and latest.state is State.RUNNING):
        return False
    if latest is None or latest.state is not State.EXITED:
        return True
    return restarts_after(pod, container, latest.exit_code)


@dataclass(slots=True)
class _Entry:
    wait_s: float = 0.0
    updated_s: float = 0.0


class Backoff:
    """How long to wait before a container's next start; doubles with each, and is forgotten after a long good run."""

    def __init__(self, initial_s: float = INITIAL_BACKOFF_S, longest_s: float = LONGEST_BACKOFF_S) -> None:
        self._initial_s = initial_s
        self._longest_s = longest_s
        self._entries: dict[str, _Entry] = {}

    def remaining_s(self, key: str, ended_s: float, now_s: float) -> float:
        """How long a start must still wait; 0 when it need not. `ended_s`: when the last attempt ended."""
        entry = self._entries.get(key)
        if entry is None or self._is_stale(entry, ended_s):
            return 0.0
        return max(0.0, ended_s + entry.wait_s - now_s)

    def next(self, key: str, ended_s: float, now_s: float) -> None:
        """Count a start."""
        entry = self._entries.get(key)
        if entry is None or self._is_stale(entry, ended_s):
            entry = self._entries[key] = _Entry(self._initial_s)
        else:
            entry.wait_s = min(entry.wait_s * 2, self._longest_s)
        entry.updated_s = now_s

    def wait_s(self, key: str) -> float:
        """The present length of the wait, whole."""
        entry = self._entries.get(key)
        return entry.wait_s if entry is not None else 0.0

    def forget(self, prefix: str) -> None:
        """Drop all entries whose key begins so."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]

    def _is_stale(self, entry: _Entry, now_s: float) -> bool:
        return now_s - entry.updated_s > 2 * self._longest_s


def human_wait(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`: a wait as messages write it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
