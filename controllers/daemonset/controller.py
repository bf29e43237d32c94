"""DaemonSets: one pod on every node that should have one.

Follows: pkg/controller/daemon/{daemon_controller.go,update.go}
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from controllers.daemonset.plan import (
    Changes,
    Situation,
    after,
    describe,
    plan_nodes,
    plan_status,
    plan_update,
    situation,
)
from controllers.daemonset.pods import judge_of, node_of, pod_for_node
from controllers.runtime.controller import Controller, For, Owns, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from controllers.workloads import history
from controllers.workloads.adoption import adopters
from controllers.workloads.batches import slow_start
from controllers.workloads.claims import ClaimPlan, claim, plan_claims
from controllers.workloads.hashing import hash_of
from controllers.workloads.podcontrol import NAMESPACE_TERMINATING, PodControl
from controllers.workloads.pods import is_gone, next_available
from controllers.workloads.status import write_status
from openapi.meta.selectors import LabelSelector, from_label_selector

BURST = 250
"""The most pods made or deleted in one go."""

BACKOFF_S = (1.0, 900.0)
"""How long failed pods of one node are left alone: first, and at most."""


@dataclass(slots=True)
class _Backoff:
    """When failed pods on a node were last removed, and how long the next must wait."""

    delay_s: float
    since: float


class DaemonSetController(Controller):
    """Keeps the pods of DaemonSets."""

    name = "daemonset-controller"
    account = "daemon-set-controller"

    def _of_node(self, change: Change) -> Iterable[Key]:
        """The sets for which a changed node is another place now."""
        node, old = change.obj, change.old
        if change.type == "MODIFIED" and old is not None and _placement(old) == _placement(node):
            return
        for daemon_set in self.store(DAEMON_SETS).all():
            judge = judge_of(daemon_set)
            if change.type != "MODIFIED" or old is None or judge(old) != judge(node):
                yield key_of(daemon_set)

    watches = (
        For(DAEMON_SETS),
        Owns(PODS, orphans=adopters(DAEMON_SETS)),
        Watches(NODES, keys=_of_node),
        Owns(CONTROLLER_REVISIONS, orphans=adopters(DAEMON_SETS), when=lambda change: not _is_new_and_owned(change)),
    )

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._pods = PodControl(self.client, self.events)
        self._backoffs: dict[Key, dict[str, _Backoff]] = {}

    async def reconcile(self, key: Key) -> Requeue | None:
        daemon_set = self.store(DAEMON_SETS).get(*key)
        if daemon_set is None or is_deleting(daemon_set):
            self._backoffs.pop(key, None)
            return None
        selector = from_label_selector(daemon_set["spec"].get("selector"))
        if selector.empty:
            message = "This daemon set is selecting all pods. A non-empty selector is required."
            self.events.warning(daemon_set, "SelectingAll", message)
            return None
        current, old, collisions = await self._sync_history(daemon_set, selector)
        pods = await self._claim_pods(daemon_set, selector)
        nodes = sorted(self.store(NODES).all(), key=name_of)
        digest = labels_of(current).get(history.REVISION_LABEL, "")
        seen = situation(daemon_set, nodes, pods, digest, self.clock())
        wait_s, failure, seen = await self._move(seen)
        if failure is None:
            await self._clean_up(seen, old)
        await write_status(self.client, DAEMON_SETS, daemon_set, plan_status(seen, collisions))
        if failure is not None:
            raise failure
        waits = [wait for wait in (wait_s, next_available(pods, seen.min_ready_s, seen.now)) if wait is not None]
        return Requeue(min(waits)) if waits else None

    async def _sync_history(self, daemon_set: Object, selector: LabelSelector) -> tuple[Object, Sequence[Object], int]:
        """The revision of the present template, the older ones in order, and how many names were taken."""
        revisions = await self._revisions(daemon_set, selector)
        data = history.data_of_template(daemon_set["spec"]["template"])
        collisions: int = (daemon_set.get("status") or {}).get("collisionCount", 0)
        wanted = history.plan_history(revisions, data)
        if wanted.latest is not None:
            current = wanted.latest
        elif wanted.renew is not None:
            current = await history.renew(self.client, wanted.renew, wanted.number)
        else:
            current, collisions = await history.create(
                self.client, lambda taken: _new_revision(daemon_set, data, wanted.number, taken), collisions
            )
        others = [one for one in revisions if uid_of(one) != uid_of(current)]
        for one in others:
            if one.get("data") == data:
                await self._merge(daemon_set, one, into=current)
        return current, [one for one in others if one.get("data") != data], collisions

    async def _revisions(self, daemon_set: Object, selector: LabelSelector) -> list[Object]:
        """The set's revisions in order, those adopted that nobody owns; each has the label that tells its pods."""
        store = self.store(CONTROLLER_REVISIONS)
        candidates = [*store.controlled_by(uid_of(daemon_set)), *store.orphans(namespace_of(daemon_set))]
        claims = plan_claims(daemon_set, selector, candidates)
        claims = ClaimPlan([*claims.owned, *claims.release], claims.adopt, ())
        owned = await claim(self.client, DAEMON_SETS, daemon_set, CONTROLLER_REVISIONS, claims)
        for place, one in enumerate(owned):
            if history.REVISION_LABEL not in labels_of(one):
                labels = {**labels_of(one), history.REVISION_LABEL: name_of(one)}
                changed = {**one, "metadata": {**one["metadata"], "labels": labels}}
                owned[place] = await self.client.update(CONTROLLER_REVISIONS, changed)
        return history.in_order(owned)

    async def _merge(self, daemon_set: Object, duplicate: Object, *, into: View) -> None:
        """Two revisions of one template: the pods of one become the other's, and it goes."""
        old, new = (labels_of(one).get(history.REVISION_LABEL, "") for one in (duplicate, into))
        for pod in self.store(PODS).controlled_by(uid_of(daemon_set)):
            if old != new and labels_of(pod).get(history.REVISION_LABEL) == old:
                patch = {"metadata": {"labels": {history.REVISION_LABEL: new}}}
                await self.client.patch(PODS, namespace_of(pod), name_of(pod), patch)
        await history.delete(self.client, [duplicate])

    async def _claim_pods(self, daemon_set: Object, selector: LabelSelector) -> list[Object]:
        store = self.store(PODS)
        candidates = [*store.controlled_by(uid_of(daemon_set)), *store.orphans(namespace_of(daemon_set))]
        plan = plan_claims(daemon_set, selector, candidates)
        return await claim(self.client, DAEMON_SETS, daemon_set, PODS, plan)

    async def _move(self, seen: Situation) -> tuple[float | None, ApiError | None, Situation]:
        """Make and delete pods: first where nodes ask for it, and once that is so, for the update.

        Answers in how many seconds to look again, the first refusal, and the situation as it is then.
        """
        changes = plan_nodes(seen)
        wait_s = self._take_ended(seen, changes)
        if not changes and (seen.daemon_set["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate":
            changes = plan_update(seen)
        return wait_s, *await self._apply(seen, changes)

    def _take_ended(self, seen: Situation, changes: Changes) -> float | None:
        """Delete ended pods too, failed ones not too often; in how many seconds the next may go."""
        wait_s: float | None = None
        for pod in changes.failed:
            left_s = self._hold_back(seen, pod)
            if left_s > 0:
                wait_s = left_s if wait_s is None else min(wait_s, left_s)
                continue
            message = f"Found failed daemon pod {describe(pod)}, will try to kill it"
            self.events.warning(seen.daemon_set, "FailedDaemonPod", message)
            changes.delete.append(pod)
        for pod in changes.succeeded:
            message = f"Found succeeded daemon pod {describe(pod)}, will try to delete it"
            self.events.normal(seen.daemon_set, "SucceededDaemonPod", message)
            changes.delete.append(pod)
        return wait_s

    def _hold_back(self, seen: Situation, pod: View) -> float:
        """How long a failed pod of that node must stay; 0 when it goes now."""
        first_s, longest_s = BACKOFF_S
        nodes = self._backoffs.setdefault(key_of(seen.daemon_set), {})
        node, now = node_of(pod), seen.now.timestamp()
        known = nodes.get(node)
        if known is None or now - known.since > 2 * longest_s:
            nodes[node] = _Backoff(first_s, now)
            return 0.0
        left_s = known.since + known.delay_s - now
        if left_s > 0:
            return left_s
        nodes[node] = _Backoff(min(2 * known.delay_s, longest_s), now)
        return 0.0

    async def _apply(self, seen: Situation, changes: Changes) -> tuple[ApiError | None, Situation]:
        daemon_set, nodes = seen.daemon_set, changes.create[:BURST]
        made: list[Object] = []
        gone: set[str] = set()

        async def make(index: int) -> None:
            try:
                made.append(await self._pods.create(daemon_set, pod_for_node(daemon_set, nodes[index], seen.digest)))
            except ApiError as error:
                if not error.has_cause(NAMESPACE_TERMINATING):
                    raise

        failure = await slow_start(len(nodes), make)
        leaving = changes.delete[:BURST]
        deletions = (self._pods.delete(daemon_set, pod) for pod in leaving)
        results = await asyncio.gather(*deletions, return_exceptions=True)
        for pod, result in zip(leaving, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, ApiError):
                raise result
            if isinstance(result, NotFound) or (isinstance(result, dict) and is_gone(result)):
                gone.add(uid_of(pod))
            elif isinstance(result, ApiError):
                failure = failure or result
        return failure, after(seen, made, gone)

    async def _clean_up(self, seen: Situation, old: Sequence[Object]) -> None:
        """Delete the oldest revisions beyond the limit that no pod has."""
        limit = seen.daemon_set["spec"].get("revisionHistoryLimit", 10)
        live = {labels_of(pod).get(history.REVISION_LABEL) for pods in seen.pods.values() for pod in pods}
        unused = [one for one in old if labels_of(one).get(history.REVISION_LABEL) not in live]
        await history.delete(self.client, unused[: max(0, len(old) - limit)])


def _is_new_and_owned(change: Change) -> bool:
    """A revision that comes with its owner is no reason to look at it: what it doubles is merged at the next one."""
    return change.type == "ADDED" and controller_of(change.obj) is not None


def _placement(node: View) -> tuple[Any, ...]:
    """What of a node decides about daemons."""
    return (labels_of(node), (node.get("spec") or {}).get("taints"))


def _new_revision(daemon_set: View, data: Any, number: int, collisions: int) -> Object:
    digest = hash_of(data, collisions)
    name = history.name_with(daemon_set, digest)
    return history.new_revision(DAEMON_SETS, daemon_set, name, {history.REVISION_LABEL: digest}, data, number)
