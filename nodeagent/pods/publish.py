"""Writes pods' statuses to the API: the newest of each pod wins, and what others have written there stays.

A pod of which nothing is left on the node is deleted from the API once its last status is written.
Follows: pkg/kubelet/status/status_manager.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Conflict, Forbidden, NotFound
from controllers.runtime.kinds import PODS
from nodeagent.pods import conditions
from nodeagent.pods.spec import CONFIG_MIRROR, Object, View

log = logging.getLogger(__name__)

AT_ONCE = 8
RETRY_S = 2.0


@dataclass(slots=True)
class _Pending:
    namespace: str
    name: str
    uid: str
    status: Object
    delete: bool = False


class Publisher:
    """`run` it. `current` finds the pod as the node's watch knows it."""

    def __init__(self, client: Client, current: Callable[[str, str], View | None]) -> None:
        self._client = client
        self._current = current
        self._pending: dict[str, _Pending] = {}
        self._written: dict[str, View] = {}
        self._busy: set[str] = set()
        self._wake = asyncio.Event()

    def publish(self, pod: View, status: Object) -> None:
        """Have that status written, instead of an earlier one that still waits."""
        metadata = pod["metadata"]
        uid = metadata["uid"]
        waiting = self._pending.get(uid)
        delete = waiting is not None and waiting.delete
        self._pending[uid] = _Pending(metadata["namespace"], metadata["name"], uid, status, delete)
        self._wake.set()

    def release(self, pod: View, status: Object) -> None:
        """Write the last status, then let go of the pod: it is deleted for good."""
        self.publish(pod, status)
        self._pending[pod["metadata"]["uid"]].delete = True

    def forget(self, uid: str) -> None:
        """The pod is gone from the API."""
        self._pending.pop(uid, None)
        self._written.pop(uid, None)

    async def run(self) -> None:
        limit = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for uid in [uid for uid in self._pending if uid not in self._busy]:
                    self._busy.add(uid)
                    group.create_task(self._write(self._pending.pop(uid), limit))

    async def flush(self, timeout_s: float) -> None:
        """Wait until all is written, at most so long."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (self._pending or self._busy) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def _write(self, pending: _Pending, limit: asyncio.Semaphore) -> None:
        try:
            async with limit:
                await self._write_once(pending)
        except (NotFound, Forbidden):
            # It is gone, or not there yet: a node may not even ask for a pod that is not its own.
            pass
        except ApiError as error:
            log.warning("status not written: %s", error, extra={"key": f"{pending.namespace}/{pending.name}"})
            await asyncio.sleep(RETRY_S)
            self._pending.setdefault(pending.uid, pending)
        finally:
            self._busy.discard(pending.uid)
            if pending.uid in self._pending:
                self._wake.set()

    async def _write_once(self, pending: _Pending) -> None:
        """Against the newest version known here; when somebody else was faster, against the one there is now."""
        pod = self._newest(pending)
        for _ in range(5):
            if pod is None:
                pod = await self._client.get(PODS, pending.namespace, pending.name)
            if not _is_about(pod, pending):
                return
            patch = status_patch(pod, pending.status)
            if not patch:
                break
            metadata = {"uid": pod["metadata"]["uid"], "resourceVersion": pod["metadata"]["resourceVersion"]}
            body = {"metadata": metadata, "status": patch}
            try:
                self._written[pending.uid] = await self._client.patch(
                    PODS, pending.namespace, pending.name, body, subresource="status"
                )
                break
            except Conflict:
                pod = None
        if pending.delete:
            await self._delete(pending)

    def _newest(self, pending: _Pending) -> View | None:
        watched, written = self._current(pending.namespace, pending.name), self._written.get(pending.uid)
        if watched is None or written is None or watched["metadata"]["uid"] != written["metadata"]["uid"]:
            return watched or written
        versions = [int(pod["metadata"]["resourceVersion"]) for pod in (watched, written)]
        return watched if versions[0] >= versions[1] else written

    async def _delete(self, pending: _Pending) -> None:
        try:
            await self._client.delete(PODS, pending.namespace, pending.name, uid=pending.uid, grace_s=0)
        except Conflict:
            log.info("pod was replaced before it could be deleted", extra={"key": pending.name})


def _is_about(pod: View, pending: _Pending) -> bool:
    """Whether a status belongs to that object: to the pod itself, or to the mirror of a static one."""
    mirrored = (pod["metadata"].get("annotations") or {}).get(CONFIG_MIRROR)
    return pending.uid in (pod["metadata"]["uid"], mirrored)


def _by_type(value: Any) -> Any:
    """Conditions are the same in any order."""
    is_conditions = isinstance(value, list) and value and isinstance(value[0], dict) and "type" in value[0]
    return {item["type"]: item for item in value} if is_conditions else value


def status_patch(pod: View, status: View) -> Object:
    """The merge patch that makes the pod's status `status`, but for the conditions of others, which stay."""
    old = pod.get("status") or {}
    foreign = [item for item in old.get("conditions") or () if item["type"] not in conditions.OWNED]
    own = [item for item in status.get("conditions") or () if item["type"] in conditions.OWNED]
    wanted = dict(status)
    known = {item["type"] for item in foreign}
    added = [c for c in status.get("conditions") or () if c["type"] in conditions.SHARED and c["type"] not in known]
    if foreign or own or added:
        wanted["conditions"] = foreign + own + added
    patch: Object = {name: value for name, value in wanted.items() if _by_type(old.get(name)) != _by_type(value)}
    for name in ("reason", "message"):
        if old.get(name) and name not in wanted:
            patch[name] = None
    return patch
