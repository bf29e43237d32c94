"""ReplicaSets and ReplicationControllers: keep as many pods as wanted.

Both kinds are one controller with two sets of names; a ReplicationController's selector is a plain map of labels.
Follows: pkg/controller/replicaset/replica_set.go, pkg/controller/replication/replication_controller.go
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from controllers.replicaset.plan import ScalePlan, plan_scale, plan_status
from controllers.runtime.controller import Controller, For, Owns, Requeue, Runtime
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.kinds import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    controller_of,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    uid_of,
)
from controllers.workloads.batches import slow_start
from controllers.workloads.claims import claim, plan_claims
from controllers.workloads.podcontrol import NAMESPACE_TERMINATING, PodControl
from controllers.workloads.pods import is_active, is_terminating, next_available, pod_from_template
from controllers.workloads.status import write_status
from openapi.catalog import Resource
from openapi.meta.selectors import LabelSelector, from_label_selector, from_labels

BATCH_S = 0.02
"""Changes of pods are gathered for so long: hundreds that become ready at once must not mean hundreds of writes."""


class ReplicaController(Controller):
    """What both kinds have in common."""

    resource: ClassVar[Resource]
    counts_terminating: ClassVar[bool]

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._pods = PodControl(self.client, self.events)

    @abstractmethod
    def selector(self, owner: View) -> LabelSelector:
        """Which pods belong to `owner`."""

    def would_adopt(self, pod: Object) -> Iterable[Key]:
        """The owners whose selector matches a pod that nobody controls."""
        for owner in self.store(self.resource).all(namespace_of(pod)):
            selector = self.selector(owner)
            if not selector.empty and selector.matches(labels_of(pod)):
                yield key_of(owner)

    async def reconcile(self, key: Key) -> Requeue | None:
        owner = self.store(self.resource).get(*key)
        if owner is None:
            return None
        pods = self.store(PODS)
        mine = pods.controlled_by(uid_of(owner))
        candidates = [pod for pod in (*mine, *pods.orphans(key.namespace)) if is_active(pod)]
        plan = plan_claims(owner, self.selector(owner), candidates)
        active = await claim(self.client, self.resource, owner, PODS, plan)
        failure = None
        if not is_deleting(owner):
            failure = await self._scale(owner, active)
        terminating = sum(map(is_terminating, mine)) if self.counts_terminating else None
        now = self.clock()
        status = plan_status(owner, active, terminating, str(failure) if failure else None, now)
        await write_status(self.client, self.resource, owner, status)
        if failure is not None:
            raise failure
        wait_s = next_available(active, owner["spec"].get("minReadySeconds", 0), now)
        return Requeue(wait_s) if wait_s is not None else None

    async def _scale(self, owner: Object, active: Sequence[Object]) -> ApiError | None:
        """Make or delete pods; what the server said against it, if it did."""
        wanted = owner["spec"].get("replicas", 1)
        related = self._related(owner) if wanted < len(active) else ()
        plan = plan_scale(wanted, active, related, self.clock())
        return await self._delete(owner, plan) if plan.delete else await self._create(owner, plan.create)

    async def _create(self, owner: Object, count: int) -> ApiError | None:
        pod = pod_from_template(owner["spec"]["template"], owner, controller_reference(self.resource, owner))

        async def make(_index: int) -> None:
            try:
                await self._pods.create(owner, pod)
            except ApiError as error:
                # The namespace is going away, and this owner with it.
                if not error.has_cause(NAMESPACE_TERMINATING):
                    raise

        return await slow_start(count, make)

    async def _delete(self, owner: Object, plan: ScalePlan) -> ApiError | None:
        deletions = (self._pods.delete(owner, pod) for pod in plan.delete)
        refused: ApiError | None = None
        for result in await asyncio.gather(*deletions, return_exceptions=True):
            if isinstance(result, ApiError):
                refused = refused or (None if isinstance(result, NotFound) else result)
            elif isinstance(result, BaseException):
                raise result
        return refused

    def _related(self, owner: View) -> Sequence[View]:
        """The pods of all sets that belong to the same controller as `owner`, or its own."""
        reference = controller_of(owner)
        siblings: list[View] = [owner]
        if reference is not None:
            siblings = list(self.store(self.resource).controlled_by(reference["uid"]))
        pods = self.store(PODS)
        return [pod for sibling in siblings for pod in pods.controlled_by(uid_of(sibling))]


_OWNED = (
    Owns(PODS, orphans=ReplicaController.would_adopt, when=lambda change: change.type != "MODIFIED"),
    Owns(PODS, orphans=ReplicaController.would_adopt, when=lambda change: change.type == "MODIFIED", delay_s=BATCH_S),
)


class ReplicaSetController(ReplicaController):
    """Keeps the pods of ReplicaSets."""

    name = "replicaset-controller"
    account = "replicaset-controller"
    resource = REPLICA_SETS
    counts_terminating = True
    watches = (For(REPLICA_SETS), *_OWNED)

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.store(REPLICA_SETS).index_controllers()

    def selector(self, owner: View) -> LabelSelector:
        return from_label_selector(owner["spec"].get("selector"))


class ReplicationController(ReplicaController):
    """Keeps the pods of ReplicationControllers."""

    name = "replication-controller"
    account = "replication-controller"
    resource = REPLICATION_CONTROLLERS
    counts_terminating = False
    watches = (For(REPLICATION_CONTROLLERS), *_OWNED)

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.store(REPLICATION_CONTROLLERS).index_controllers()

    def selector(self, owner: View) -> LabelSelector:
        return from_labels(owner["spec"].get("selector"))
