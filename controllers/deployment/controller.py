"""Deployments: keep one ReplicaSet per template, and move the pods from the old ones to the newest.

`reconcile` reads from top to bottom like a rollout: claim, pause, scale, roll or recreate, clean up, status.
Follows: pkg/controller/deployment/{deployment_controller.go,sync.go,rolling.go,recreate.go,rollback.go}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from controllers.deployment import marks, rollback, status
from controllers.deployment.sizes import (
    active,
    by_age,
    counted,
    is_rolling,
    is_scaling,
    limits_of,
    new_size,
    replicas_of,
    rolled_size,
    scale_all,
    shrink_old,
)
from controllers.deployment.template import new_replica_set, same_template
from controllers.runtime.controller import Controller, For, Owns, Requeue, Watches
from controllers.runtime.errors import AlreadyExists, ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    annotations_of,
    controller_of,
    is_controlled_by,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from controllers.workloads.adoption import adopters
from controllers.workloads.claims import claim, plan_claims
from controllers.workloads.podcontrol import NAMESPACE_TERMINATING
from controllers.workloads.pods import is_finished
from openapi.meta.selectors import from_label_selector

BATCH_S = 0.02
"""Changes of ReplicaSets are gathered for so long, as their statuses may follow each other fast."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment with its ReplicaSets as the reconcile has them so far."""

    deployment: Object
    newest: Object | None
    old: Sequence[Object]

    @property
    def everything(self) -> list[Object]:
        return [*self.old, *([self.newest] if self.newest is not None else [])]

    def with_replica_set(self, changed: Object) -> Rollout:
        uid = uid_of(changed)
        if self.newest is not None and uid_of(self.newest) == uid:
            return replace(self, newest=changed)
        return replace(self, old=[changed if uid_of(one) == uid else one for one in self.old])


class DeploymentController(Controller):
    """Rolls out Deployments."""

    name = "deployment-controller"
    account = "deployment-controller"

    def _recreating(self, change: Change) -> Iterable[Key]:
        """A Deployment that waits for its last old pod to be gone."""
        reference = controller_of(change.obj)
        if change.type != "DELETED" or reference is None or reference["kind"] != REPLICA_SETS.kind:
            return
        replica_set = self.store(REPLICA_SETS).get(namespace_of(change.obj), reference["name"])
        owner = controller_of(replica_set) if replica_set is not None else None
        deployment = self.store(DEPLOYMENTS).get(namespace_of(change.obj), owner["name"]) if owner else None
        if deployment is not None and not is_rolling(deployment):
            yield key_of(deployment)

    watches = (
        For(DEPLOYMENTS),
        Owns(REPLICA_SETS, orphans=adopters(DEPLOYMENTS), delay_s=BATCH_S),
        Watches(PODS, keys=_recreating),
    )

    async def reconcile(self, key: Key) -> Requeue | None:
        deployment = self.store(DEPLOYMENTS).get(*key)
        if deployment is None:
            return None
        selector = from_label_selector(deployment["spec"].get("selector"))
        if selector.empty:
            await self._refuse_selector(deployment)
            return None
        known = self.store(REPLICA_SETS)
        candidates = [*known.controlled_by(uid_of(deployment)), *known.orphans(key.namespace)]
        plan = plan_claims(deployment, selector, candidates)
        replica_sets = await claim(self.client, DEPLOYMENTS, deployment, REPLICA_SETS, plan)
        if is_deleting(deployment):
            await self._write_plain_status(await self._sync_revision(deployment, replica_sets))
            return None
        deployment = await self._note_pause(deployment)
        if deployment["spec"].get("paused"):
            await self._scale(await self._sync_revision(deployment, replica_sets))
            return None
        if rollback.is_wanted(deployment):
            rollout = await self._with_newest(await self._sync_revision(deployment, replica_sets))
            await self._roll_back(rollout)
            return None
        rollout = await self._sync_revision(deployment, replica_sets)
        if is_scaling(deployment, rollout.everything):
            await self._scale(rollout)
            return None
        return await (self._roll(rollout) if is_rolling(deployment) else self._recreate(rollout))

    async def _refuse_selector(self, deployment: Object) -> None:
        message = "This deployment is selecting all pods. A non-empty selector is required."
        self.events.warning(deployment, "SelectingAll", message)
        generation = deployment["metadata"].get("generation", 0)
        if counted(deployment, "observedGeneration") < generation:
            await self._write(deployment, {**(deployment.get("status") or {}), "observedGeneration": generation})

    async def _note_pause(self, deployment: Object) -> Object:
        """Say in the progress condition that the rollout has been paused or resumed, so that its clock stops."""
        current = status.progressing_of(deployment.get("status") or {})
        if not status.has_deadline(deployment) or (current or {}).get("reason") == status.TIMED_OUT:
            return deployment
        is_paused = bool(deployment["spec"].get("paused"))
        is_noted = current is not None and current.get("reason") == "DeploymentPaused"
        if is_paused == is_noted:
            return deployment
        reason = "DeploymentPaused" if is_paused else "DeploymentResumed"
        message = "Deployment is paused" if is_paused else "Deployment is resumed"
        told = status.condition(status.PROGRESSING, "Unknown", reason, message, self.clock())
        return await self._write(deployment, _with_condition(deployment, told))

    async def _sync_revision(self, deployment: Object, replica_sets: Sequence[Object]) -> Rollout:
        """Find the ReplicaSet of the present template, and keep its annotations and the Deployment's revision right."""
        template = deployment["spec"]["template"]
        newest = next((one for one in by_age(replica_sets) if same_template(one["spec"]["template"], template)), None)
        old = [one for one in replica_sets if one is not newest]
        if newest is None:
            return Rollout(deployment, None, old)
        wanted = marks.of_new_replica_set(deployment, annotations_of(newest), marks.next_revision(old))
        min_ready_s = deployment["spec"].get("minReadySeconds", 0)
        if wanted != annotations_of(newest) or min_ready_s != newest["spec"].get("minReadySeconds", 0):
            changed = {
                **newest,
                "metadata": {**newest["metadata"], "annotations": wanted},
                "spec": {**newest["spec"], "minReadySeconds": min_ready_s},
            }
            return Rollout(deployment, await self.client.update(REPLICA_SETS, changed), old)
        deployment = await self._note_revision(
            deployment,
            annotations_of(newest).get(marks.REVISION, ""),
            ("FoundNewReplicaSet", f'Found new replica set "{name_of(newest)}"'),
            only_first=True,
        )
        return Rollout(deployment, newest, old)

    async def _note_revision(
        self, deployment: Object, revision: str, told: tuple[str, str], *, only_first: bool
    ) -> Object:
        """Write the revision, and into the progress condition where the newest ReplicaSet comes from."""
        wanted = deployment
        if revision and annotations_of(deployment).get(marks.REVISION) != revision:
            noted = {**annotations_of(deployment), marks.REVISION: revision}
            wanted = {**deployment, "metadata": {**deployment["metadata"], "annotations": noted}}
        has_condition = status.progressing_of(deployment.get("status") or {}) is not None
        if status.has_deadline(deployment) and not (only_first and has_condition):
            condition = status.condition(status.PROGRESSING, "True", *told, self.clock())
            wanted = {**wanted, "status": _with_condition(deployment, condition)}
        return deployment if wanted is deployment else await self.client.update(DEPLOYMENTS, wanted, "status")

    async def _with_newest(self, rollout: Rollout) -> Rollout:
        """With a ReplicaSet for the present template, made if there is none."""
        if rollout.newest is not None:
            return rollout
        deployment, revision = rollout.deployment, marks.next_revision(rollout.old)
        draft = new_replica_set(deployment)
        size = new_size(deployment, [*rollout.old, draft], draft)
        noted = marks.of_new_replica_set(deployment, {}, revision)
        draft["spec"]["replicas"] = size
        draft["metadata"]["annotations"] = marks.sized(noted, replicas_of(deployment), limits_of(deployment).surge)
        created, is_new = await self._create(deployment, draft)
        if is_new and size > 0:
            self._tell_scaled(deployment, created, 0)
        if is_new:
            told = ("NewReplicaSetCreated", f'Created new replica set "{name_of(created)}"')
            deployment = await self._note_revision(deployment, str(revision), told, only_first=False)
        return Rollout(deployment, created, rollout.old)

    async def _create(self, deployment: Object, draft: Object) -> tuple[Object, bool]:
        """The ReplicaSet made, or the one already there that is what we would make. Raises ApiError."""
        try:
            return await self.client.create(REPLICA_SETS, draft), True
        except AlreadyExists:
            known = await self.client.get(REPLICA_SETS, namespace_of(draft), name_of(draft))
            template = deployment["spec"]["template"]
            if is_controlled_by(known, deployment) and same_template(known["spec"]["template"], template):
                return known, False
            # The name is another template's: count the collision, which makes another hash the next time.
            old = deployment.get("status") or {}
            await self._write(deployment, {**old, "collisionCount": old.get("collisionCount", 0) + 1})
            raise
        except ApiError as error:
            if error.has_cause(NAMESPACE_TERMINATING):
                raise
            message = f'Failed to create new replica set "{name_of(draft)}": {error}'
            if status.has_deadline(deployment):
                told = status.condition(status.PROGRESSING, "False", "ReplicaSetCreateError", message, self.clock())
                await self._write(deployment, _with_condition(deployment, told))
            self.events.warning(deployment, "ReplicaSetCreateError", message)
            raise

    async def _scale(self, rollout: Rollout) -> None:
        """A new size, or a paused rollout: nothing moves between ReplicaSets."""
        for step in scale_all(rollout.deployment, rollout.newest, rollout.old):
            rollout = await self._resize(rollout, step.replica_set, step.size)
        deployment = rollout.deployment
        if deployment["spec"].get("paused") and not rollback.is_wanted(deployment):
            await self._clean_up(rollout)
        await self._write_plain_status(rollout)

    async def _roll(self, rollout: Rollout) -> Requeue | None:
        rollout = await self._with_newest(rollout)
        newest = rollout.newest
        assert newest is not None
        size = rolled_size(rollout.deployment, rollout.everything, newest)
        if size != replicas_of(newest):
            return await self._write_rollout_status(await self._resize(rollout, newest, size))
        steps = shrink_old(rollout.deployment, newest, active(rollout.old))
        for step in steps:
            current = next(one for one in rollout.old if uid_of(one) == uid_of(step.replica_set))
            rollout = await self._resize(rollout, current, step.size)
        return await self._finish(rollout, moved=bool(steps))

    async def _recreate(self, rollout: Rollout) -> Requeue | None:
        used = active(rollout.old)
        for replica_set in used:
            rollout = await self._resize(rollout, replica_set, 0)
        if used or self._old_pods_run(rollout):
            return await self._write_rollout_status(rollout)
        rollout = await self._with_newest(rollout)
        assert rollout.newest is not None
        size = replicas_of(rollout.deployment)
        if size != replicas_of(rollout.newest):
            rollout = await self._resize(rollout, rollout.newest, size)
        return await self._finish(rollout, moved=False)

    def _old_pods_run(self, rollout: Rollout) -> bool:
        if any(counted(one, "replicas") for one in rollout.old):
            return True
        pods = self.store(PODS)
        return any(not is_finished(pod) for one in rollout.old for pod in pods.controlled_by(uid_of(one)))

    async def _finish(self, rollout: Rollout, *, moved: bool) -> Requeue | None:
        """After a step in which nothing more could move, see whether the rollout is done."""
        deployment = rollout.deployment
        if not moved and status.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(rollout)
        return await self._write_rollout_status(rollout)

    async def _resize(self, rollout: Rollout, replica_set: Object, size: int) -> Rollout:
        """Give a ReplicaSet its size, and the annotations that say for which size of the Deployment it has it."""
        deployment, before = rollout.deployment, replicas_of(replica_set)
        current = annotations_of(replica_set)
        noted = marks.sized(current, replicas_of(deployment), limits_of(deployment).surge)
        if size == before and noted == current:
            return rollout
        changed = {
            **replica_set,
            "metadata": {**replica_set["metadata"], "annotations": noted},
            "spec": {**replica_set["spec"], "replicas": size},
        }
        written = await self.client.update(REPLICA_SETS, changed)
        if size != before:
            self._tell_scaled(deployment, written, before)
        return rollout.with_replica_set(written)

    def _tell_scaled(self, deployment: View, replica_set: View, before: int) -> None:
        size = replicas_of(replica_set)
        way = "up" if size > before else "down"
        message = f"Scaled {way} replica set {name_of(replica_set)} from {before} to {size}"
        self.events.normal(deployment, "ScalingReplicaSet", message)

    async def _clean_up(self, rollout: Rollout) -> None:
        """Delete the oldest ReplicaSets beyond the history's length, unless they still have to do."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == status.NO_DEADLINE:
            return
        alive = [one for one in by_age(rollout.old) if not is_deleting(one)]
        surplus = max(0, len(alive) - limit)
        for one in sorted(alive, key=marks.revision_of)[:surplus]:
            is_observed = counted(one, "observedGeneration") >= one["metadata"].get("generation", 0)
            if counted(one, "replicas") or replicas_of(one) or not is_observed:
                continue
            try:
                await self.client.delete(REPLICA_SETS, namespace_of(one), name_of(one))
            except NotFound:
                continue

    async def _roll_back(self, rollout: Rollout) -> None:
        """Put an earlier template back, as the deprecated annotation asks; the new template then rolls out."""
        outcome = rollback.plan(rollout.deployment, rollout.everything)
        self.events.event(rollout.deployment, outcome.event_type, outcome.reason, outcome.message)
        await self.client.update(DEPLOYMENTS, outcome.deployment)

    async def _write_plain_status(self, rollout: Rollout) -> None:
        deployment = rollout.deployment
        wanted = status.plain_status(deployment, rollout.newest, rollout.everything, self.clock())
        await self._write(deployment, wanted)

    async def _write_rollout_status(self, rollout: Rollout) -> Requeue | None:
        deployment, now = rollout.deployment, self.clock()
        wanted = status.rollout_status(deployment, rollout.newest, rollout.everything, now)
        if wanted != (deployment.get("status") or {}):
            await self._write(deployment, wanted)
            return None
        wait_s = status.seconds_to_deadline(deployment, wanted, now)
        return Requeue(wait_s) if wait_s is not None else None

    async def _write(self, deployment: Object, wanted: Object) -> Object:
        if wanted == (deployment.get("status") or {}):
            return deployment
        return await self.client.update(DEPLOYMENTS, {**deployment, "status": wanted}, "status")


def _with_condition(deployment: View, condition: Object) -> Object:
    old = deployment.get("status") or {}
    return {**old, "conditions": status.with_condition(old.get("conditions") or [], condition)}
