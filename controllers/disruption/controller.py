"""Keeps the status of PodDisruptionBudgets, and takes marks off pods whose eviction did not happen.

Follows: pkg/controller/disruption/disruption.go
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import ClassVar

import orjson

from controllers.disruption.plan import (
    TARGET,
    count_healthy,
    desired_healthy,
    disrupted_pods,
    failed_status,
    plan_status,
    selector_text,
    stale_in_s,
    wants_scale,
)
from controllers.runtime.client import path_of
from controllers.runtime.controller import Controller, Reads, Requeue, Runtime, Watches
from controllers.runtime.discovery import Discovery
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    condition_of,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from openapi.meta.intstr import IntOrStringError
from openapi.meta.selectors import from_label_selector
from openapi.meta.times import format_time

PODS_SUFFIX = "/pods"
"""Marks keys that name a pod instead of a budget; no namespace can end like that."""

REPLACED_S = 0.1
"""A pod that is gone mostly has a successor by then; counting in between would write the status twice."""

_SCALED = {row.kind: row for row in (REPLICATION_CONTROLLERS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)}


class NoScale(Exception):
    """How many pods are wanted cannot be known."""


class DisruptionController(Controller):
    name = "disruption-controller"
    account = "disruption-controller"

    def budget_changed(self, change: Change) -> Iterable[Key]:
        """What evictions, or we ourselves, write into the status can wait for the pods that it is about."""
        if change.old is None or change.old["metadata"].get("generation") != change.obj["metadata"].get("generation"):
            return (key_of(change.obj),)
        self.enqueue(key_of(change.obj), REPLACED_S)
        return ()

    def pod_changed(self, change: Change) -> Iterable[Key]:
        pod, old = change.obj, change.old
        if change.type == "DELETED" or (is_deleting(pod) and old is not None and not is_deleting(old)):
            for key in self._budgets(pod):
                self.enqueue(key, REPLACED_S)
            return
        wait_s = stale_in_s(pod, self.clock())
        if wait_s is not None:
            self.enqueue(Key(namespace_of(pod) + PODS_SUFFIX, name_of(pod)), wait_s)
        if old is not None and _aspects(old) == _aspects(pod):
            return
        found = list(self._budgets(pod))
        if len(found) > 1:
            text = (
                f'Pod "{namespace_of(pod)}"/"{name_of(pod)}" matches multiple PodDisruptionBudgets.  '
                f'Chose "{found[0].name}" arbitrarily.'
            )
            self.events.warning(pod, "MultiplePodDisruptionBudgets", text)
        yield from found
        if old is not None and labels_of(old) != labels_of(pod):
            yield from self._budgets(old)

    watches: ClassVar = (
        Watches(POD_DISRUPTION_BUDGETS, budget_changed),
        Watches(PODS, pod_changed),
        Reads(DEPLOYMENTS),
        Reads(REPLICA_SETS),
        Reads(STATEFUL_SETS),
        Reads(REPLICATION_CONTROLLERS),
    )

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.events = runtime.events.recorder("controllermanager")
        self._discovery = Discovery(self.client)

    async def reconcile(self, key: Key) -> Requeue | None:
        if key.namespace.endswith(PODS_SUFFIX):
            return await self._unmark(self.store(PODS).get(key.namespace.removesuffix(PODS_SUFFIX), key.name))
        budget = self.store(POD_DISRUPTION_BUDGETS).get(*key)
        if budget is None:
            return None
        try:
            return await self._sync(budget)
        except Conflict:
            raise
        except (ApiError, NoScale, IntOrStringError) as error:
            await self._write(budget, failed_status(budget, str(error), self.clock()))
            return None

    async def _sync(self, budget: View) -> Requeue | None:
        pods = self._pods(budget)
        if not pods:
            self.events.normal(budget, "NoPods", "No matching pods found")
        try:
            expected = await self._wanted(budget, pods) if wants_scale(budget) else len(pods)
            desired = desired_healthy(budget, expected)
        except (ApiError, NoScale, IntOrStringError) as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.events.warning(budget, "CalculateExpectedPodCountFailed", text)
            raise
        now = self.clock()
        disrupted = disrupted_pods(budget, pods, now)
        for pod in disrupted.overdue:
            where = f"{namespace_of(budget)}/{namespace_of(budget)}"
            self.events.warning(pod, "NotDeleted", f"Pod was expected by PDB {where} to be deleted but it wasn't")
        healthy = count_healthy(pods, disrupted.pods)
        status = plan_status(
            budget, healthy=healthy, desired=desired, expected=expected, disrupted=disrupted.pods, now=now
        )
        if status is not None:
            await self._write(budget, status)
        return Requeue(disrupted.recheck_s) if disrupted.recheck_s is not None else None

    async def _write(self, budget: View, status: Object) -> None:
        await self.client.update(POD_DISRUPTION_BUDGETS, {**budget, "status": status}, "status")

    def _pods(self, budget: View) -> list[Object]:
        selector = from_label_selector(budget["spec"].get("selector"))
        return [pod for pod in self.store(PODS).all(namespace_of(budget)) if selector.matches(labels_of(pod))]

    def _budgets(self, pod: View) -> Iterator[Key]:
        """The budgets that cover the pod."""
        for budget in self.store(POD_DISRUPTION_BUDGETS).all(namespace_of(pod)):
            if from_label_selector(budget["spec"].get("selector")).matches(labels_of(pod)):
                yield key_of(budget)

    async def _wanted(self, budget: View, pods: Sequence[View]) -> int:
        """How many pods the controllers of these pods want altogether."""
        scales: dict[str, int] = {}
        unmanaged = 0
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged += 1
            elif reference["uid"] not in scales:
                uid, scale = await self._scale(reference, pod)
                scales[uid] = scale
                scales.setdefault(reference["uid"], 0)
        if unmanaged:
            text = (
                f"Pods selected by this PodDisruptionBudget (selector: {selector_text(budget['spec'].get('selector'))})"
                " were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which "
                "may result in undefined behavior. To account for these pods please set "
                '".spec.minAvailable" field of the PDB to an integer value.'
            )
            self.events.warning(budget, "UnmanagedPods", text)
        return sum(scales.values())

    async def _scale(self, reference: View, pod: View) -> tuple[str, int]:
        """Uid and replicas of what decides about the pod's number: its controller, or the Deployment above it."""
        namespace, row = namespace_of(pod), _SCALED.get(reference["kind"])
        if row is not None and row.api_version == reference["apiVersion"]:
            owner = self.store(row).get(namespace, reference["name"])
            if owner is not None and uid_of(owner) == reference["uid"]:
                above = controller_of(owner)
                if row is REPLICA_SETS and above is not None and above["kind"] == DEPLOYMENTS.kind:
                    deployment = self.store(DEPLOYMENTS).get(namespace, above["name"])
                    if deployment is not None and uid_of(deployment) == above["uid"]:
                        owner = deployment
                return uid_of(owner), int(owner["spec"].get("replicas", 1))
        scale = await self._scale_of(reference, namespace)
        if scale is None:
            raise NoScale(f'found no controllers for pod "{name_of(pod)}"')
        return scale

    async def _scale_of(self, reference: View, namespace: str) -> tuple[str, int] | None:
        """What the scale subresource of any kind says."""
        kind = (reference["apiVersion"], reference["kind"])
        row = self._discovery.last.by_kind().get(kind) or (await self._discovery.look()).by_kind().get(kind)
        if row is None:
            raise NoScale(f'no matches for kind "{reference["kind"]}" in version "{reference["apiVersion"]}"')
        try:
            scale = orjson.loads(await self.client.raw("GET", path_of(row, namespace, reference["name"], "scale")))
        except NotFound as error:
            if row.subresource("scale") is None:
                name = f"{row.resource}.{row.group}" if row.group else row.resource
                raise NoScale(f"{name} does not implement the scale subresource") from error
            return None
        if uid_of(scale) != reference["uid"]:
            return None
        return uid_of(scale), int((scale.get("spec") or {}).get("replicas", 0))

    async def _unmark(self, pod: View | None) -> Requeue | None:
        """The pod was to be evicted, and still lives: it is no target any more."""
        wait_s = stale_in_s(pod, self.clock()) if pod is not None else None
        if pod is None or wait_s is None:
            return None
        if wait_s > 0:
            return Requeue(wait_s)
        conditions = [
            {"type": TARGET, "status": "False", "lastTransitionTime": format_time(self.clock())}
            if condition["type"] == TARGET
            else condition
            for condition in pod["status"]["conditions"]
        ]
        await self.client.update(PODS, {**pod, "status": {**pod["status"], "conditions": conditions}}, "status")
        return None


def _aspects(pod: View) -> Hashable:
    """All of a pod that a budget's status depends on."""
    ready = condition_of(pod, "Ready")
    owner = controller_of(pod)
    return (
        uid_of(pod),
        tuple(sorted(labels_of(pod).items())),
        is_deleting(pod),
        ready is not None and ready["status"],
        owner["uid"] if owner is not None else None,
    )
