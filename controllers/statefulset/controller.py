"""StatefulSets: pods with names, an order and claims of their own.

Follows: pkg/controller/statefulset/{stateful_set.go,stateful_set_control.go,stateful_pod_control.go}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controllers.runtime.controller import Controller, For, Owns, Reads, Requeue, Runtime
from controllers.runtime.errors import AlreadyExists, ApiError, Conflict, NotFound
from controllers.runtime.kinds import CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
)
from controllers.statefulset.claims import are_owners_right, claims_of, has_foreign_controller, wanted_owners
from controllers.statefulset.identity import (
    has_identity,
    has_storage,
    is_member,
    revision_of,
    with_identity,
    with_storage,
)
from controllers.statefulset.plan import Plan, Situation, Step, plan, plan_status, situation
from controllers.workloads import history
from controllers.workloads.adoption import adopters
from controllers.workloads.batches import slow_start
from controllers.workloads.claims import claim, plan_claims
from controllers.workloads.hashing import hash_of
from controllers.workloads.pods import next_available
from controllers.workloads.status import write_status
from openapi.meta.selectors import LabelSelector, from_label_selector

HASH_LABEL = "controller.kubernetes.io/hash"
"""On revisions: the hash of what they keep."""


class ClaimsFailed(Exception):
    """Claims that a pod needs cannot be made, or are being deleted and have to be gone first."""


class StatefulSetController(Controller):
    """Keeps the pods and claims of StatefulSets."""

    name = "statefulset-controller"
    account = "statefulset-controller"

    watches = (
        For(STATEFUL_SETS),
        Owns(PODS, orphans=adopters(STATEFUL_SETS)),
        Reads(CONTROLLER_REVISIONS),
        Reads(PERSISTENT_VOLUME_CLAIMS),
    )

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.store(CONTROLLER_REVISIONS).index_controllers()

    async def reconcile(self, key: Key) -> Requeue | None:
        stateful_set = self.store(STATEFUL_SETS).get(*key)
        if stateful_set is None:
            return None
        selector = from_label_selector(stateful_set["spec"].get("selector"))
        revisions = await self._revisions(stateful_set, selector)
        pods = await self._claim_pods(stateful_set, selector)
        current, update, collisions = await self._sync_revision(stateful_set, revisions)
        claims = self.store(PERSISTENT_VOLUME_CLAIMS)
        seen = situation(
            stateful_set, current, update, pods, lambda name: claims.get(key.namespace, name), self.clock()
        )
        failure = await self._carry_out(seen, plan(seen), collisions)
        if isinstance(failure, ClaimsFailed):
            return Requeue()
        if failure is not None:
            raise failure
        live = {name_of(current), name_of(update), *map(revision_of, pods)}
        await history.truncate(self.client, revisions, live, stateful_set["spec"].get("revisionHistoryLimit", 10))
        wait_s = next_available(pods, seen.min_ready_s, seen.now)
        return Requeue(wait_s) if wait_s is not None else None

    async def _revisions(self, stateful_set: Object, selector: LabelSelector) -> list[Object]:
        """The set's revisions in order, those adopted that nobody owns."""
        store = self.store(CONTROLLER_REVISIONS)
        candidates = [*store.controlled_by(uid_of(stateful_set)), *store.orphans(namespace_of(stateful_set))]
        claims = plan_claims(stateful_set, selector, candidates)
        # A revision keeps its owner even when the set's selector is another one now.
        claims = type(claims)([*claims.owned, *claims.release], claims.adopt, ())
        owned = await claim(self.client, STATEFUL_SETS, stateful_set, CONTROLLER_REVISIONS, claims)
        return history.in_order(owned)

    async def _claim_pods(self, stateful_set: Object, selector: LabelSelector) -> list[Object]:
        store = self.store(PODS)
        candidates = [*store.controlled_by(uid_of(stateful_set)), *store.orphans(namespace_of(stateful_set))]
        claims = plan_claims(stateful_set, selector, [pod for pod in candidates if is_member(stateful_set, pod)])
        return await claim(self.client, STATEFUL_SETS, stateful_set, PODS, claims)

    async def _sync_revision(self, stateful_set: Object, revisions: Sequence[Object]) -> tuple[Object, Object, int]:
        """The revision that pods have, the one that they should have, and how many names were taken."""
        status = stateful_set.get("status") or {}
        collisions: int = status.get("collisionCount", 0)
        data = history.data_of_template(stateful_set["spec"]["template"])
        wanted = history.plan_history(revisions, data)
        if wanted.latest is not None:
            update = wanted.latest
        elif wanted.renew is not None:
            update = await history.renew(self.client, wanted.renew, wanted.number)
        else:
            update, collisions = await history.create(
                self.client, lambda taken: _new_revision(stateful_set, data, wanted.number, taken), collisions
            )
        current = next((one for one in revisions if name_of(one) == status.get("currentRevision")), update)
        return current, update, collisions

    async def _carry_out(self, seen: Situation, wanted: Plan, collisions: int) -> Exception | None:
        """Do the steps and write the status; what went wrong, after the status has been written."""
        failure: Exception | None = None
        rolled = 0
        try:
            for phase in wanted.phases:
                await self._phase(seen, phase)
            for pod in wanted.rolled:
                await self._delete(seen, pod)
                rolled += 1
        except (ApiError, ClaimsFailed) as error:
            failure = error
        await write_status(self.client, STATEFUL_SETS, seen.stateful_set, plan_status(seen, collisions, rolled))
        return failure

    async def _phase(self, seen: Situation, steps: Sequence[Step]) -> None:
        async def make(index: int) -> None:
            await self._step(seen, steps[index])

        failure = await slow_start(len(steps), make)
        if failure is not None:
            raise failure

    async def _step(self, seen: Situation, step: Step) -> None:
        match step.action:
            case "create":
                await self._create(seen, step.pod)
            case "delete":
                await self._delete(seen, step.pod)
            case "claims":
                await self._make_claims(seen, step.pod)
            case "fix":
                await self._fix(seen, step.pod)
            case "owners":
                await self._own_claims(seen, step.pod)

    async def _create(self, seen: Situation, draft: Object) -> None:
        try:
            await self._make_claims(seen, draft)
            pod = await self.client.create(PODS, draft)
        except AlreadyExists:
            # Somebody else's pod has the name, or the store lags: the next round sees which.
            raise
        except (ApiError, ClaimsFailed) as error:
            self._tell_pod("create", seen, draft, error)
            raise
        self._tell_pod("create", seen, pod)
        await self._own_claims(seen, pod)

    async def _delete(self, seen: Situation, pod: Object) -> None:
        try:
            await self.client.delete(PODS, namespace_of(pod), name_of(pod))
        except NotFound:
            return
        except ApiError as error:
            self._tell_pod("delete", seen, pod, error)
            raise
        self._tell_pod("delete", seen, pod)

    async def _make_claims(self, seen: Situation, pod: Object) -> None:
        """Create the claims that are not there, as many as possible. Raises ClaimsFailed."""
        failures: list[str] = []
        for wanted in claims_of(seen.stateful_set, pod):
            known = seen.find_claim(name_of(wanted))
            if known is not None:
                if is_deleting(known):
                    failures.append(f"pvc {name_of(wanted)} is being deleted")
                continue
            try:
                await self.client.create(PERSISTENT_VOLUME_CLAIMS, wanted)
            except AlreadyExists:
                continue
            except ApiError as error:
                self._tell_claim(seen, pod, wanted, error)
                failures.append(f"failed to create PVC {name_of(wanted)}: {error}")
            else:
                self._tell_claim(seen, pod, wanted)
        if failures:
            raise ClaimsFailed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")

    async def _fix(self, seen: Situation, pod: Object) -> None:
        """Give the pod its identity and storage, and the claims their owners; the pod is written, and told of, where
        only the latter was wrong too.
        """
        stateful_set, wanted = seen.stateful_set, pod
        if not has_identity(stateful_set, wanted):
            wanted = with_identity(stateful_set, wanted)
        try:
            if not has_storage(stateful_set, wanted):
                wanted = with_storage(stateful_set, wanted)
                await self._make_claims(seen, wanted)
            if not await self._own_claims(seen, pod) and wanted is pod:
                return
            await self.client.update(PODS, wanted)
        except Conflict:
            raise
        except (ApiError, ClaimsFailed) as error:
            self._tell_pod("update", seen, pod, error)
            raise
        self._tell_pod("update", seen, pod)

    async def _own_claims(self, seen: Situation, pod: Object) -> bool:
        """Give the claims the owners that the retention policy wants; whether any had others."""
        stateful_set, changed = seen.stateful_set, False
        for wanted in claims_of(stateful_set, pod):
            known = seen.find_claim(name_of(wanted))
            if known is None or are_owners_right(known, stateful_set, pod):
                continue
            if has_foreign_controller(known, stateful_set, pod):
                message = (
                    f"PersistentVolumeClaim {name_of(known)} has a conflicting OwnerReference that acts as a manging "
                    "controller, the retention policy is ignored for this claim"
                )
                self.events.warning(stateful_set, "ConflictingController", message)
            owners = wanted_owners(known, stateful_set, pod)
            metadata = {**known["metadata"], "ownerReferences": owners}
            await self.client.update(PERSISTENT_VOLUME_CLAIMS, {**known, "metadata": metadata})
            changed = True
        return changed

    def _tell_pod(self, verb: str, seen: Situation, pod: View, error: Exception | None = None) -> None:
        text = f"{verb.capitalize()} Pod {name_of(pod)} in StatefulSet {name_of(seen.stateful_set)}"
        self._tell(verb, seen, f"{text} successful" if error is None else f"{text} failed error: {error}", error)

    def _tell_claim(self, seen: Situation, pod: View, claim: View, error: Exception | None = None) -> None:
        member = f"Pod {name_of(pod)} in StatefulSet {name_of(seen.stateful_set)}"
        text = f"Create Claim {name_of(claim)}"
        done, failed = f"{text} {member} success", f"{text} for {member} failed error: {error}"
        self._tell("create", seen, done if error is None else failed, error)

    def _tell(self, verb: str, seen: Situation, message: str, error: Exception | None) -> None:
        if error is None:
            self.events.normal(seen.stateful_set, f"Successful{verb.capitalize()}", message)
        else:
            self.events.warning(seen.stateful_set, f"Failed{verb.capitalize()}", message)


def _new_revision(stateful_set: View, data: Any, number: int, collisions: int) -> Object:
    digest = hash_of(data, collisions)
    name = history.name_with(stateful_set, digest)
    return history.new_revision(STATEFUL_SETS, stateful_set, name, {HASH_LABEL: digest}, data, number)
