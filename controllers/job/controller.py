"""Jobs: run pods to their end, as many as wanted, and count them.

A pod carries a finalizer until it is counted, so that none is lost or counted twice. Changes of pods are gathered for
a second before the Job is looked at, as one look costs as much as many.
Follows: pkg/controller/job/job_controller.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from controllers.job.assess import Assessment, Finish, assess, finished_condition, seconds_to_deadline
from controllers.job.backoff import Backoff
from controllers.job.plan import PodPlan, plan_pods
from controllers.job.pods import FINALIZER, is_suspended, is_tracked
from controllers.job.tracking import (
    can_end,
    drop_counted,
    track,
    with_counts,
    with_final,
    with_interim,
    with_suspension,
)
from controllers.runtime.controller import Controller, For, Owns, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import JOBS, PODS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    controller_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from controllers.workloads.adoption import adopters
from controllers.workloads.batches import slow_start
from controllers.workloads.claims import claim, plan_claims
from controllers.workloads.podcontrol import NAMESPACE_TERMINATING, PodControl
from controllers.workloads.pods import is_ready
from openapi.meta.selectors import from_label_selector
from openapi.meta.times import format_time

MANAGER = "kubernetes.io/job-controller"
"""The value of managedBy that means us."""

BATCH_S = 1.0

_LOST_POD = "/pod/"
"""Before the name in keys that stand for a pod whose Job is gone; no Job's name has a slash."""


class JobController(Controller):
    """Runs Jobs."""

    name = "job-controller"
    account = "job-controller"

    def _lost_pods(self, change: Change) -> Iterable[Key]:
        """A pod that nobody will count any more."""
        if change.type != "DELETED" and is_tracked(change.obj) and self._is_lost(change.obj):
            yield _lost_key(change.obj)

    def _pods_of_ended(self, change: Change) -> Iterable[Key]:
        """The uncounted pods of a Job that is gone or finished."""
        if change.type == "DELETED" or finished_condition(change.obj) is not None:
            for pod in self.store(PODS).controlled_by(uid_of(change.obj)):
                if is_tracked(pod):
                    yield _lost_key(pod)

    def _itself(self, change: Change) -> Iterable[Key]:
        yield key_of(change.obj)

    watches = (
        For(JOBS, when=lambda change: not _is_status_only(change)),
        Watches(JOBS, keys=_itself, when=lambda change: _is_status_only(change), delay_s=BATCH_S),
        Owns(PODS, orphans=adopters(JOBS), delay_s=BATCH_S),
        Watches(PODS, keys=_lost_pods),
        Watches(JOBS, keys=_pods_of_ended),
    )

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._pods = PodControl(self.client, self.events)
        self._backoffs: dict[Key, Backoff] = {}

    async def reconcile(self, key: Key) -> Requeue | None:
        if key.name.startswith(_LOST_POD):
            await self._release_lost(Key(key.namespace, key.name.removeprefix(_LOST_POD)))
            return None
        job = self.store(JOBS).get(*key)
        if job is None or finished_condition(job) is not None:
            self._backoffs.pop(key, None)
            return None
        if job["spec"].get("managedBy", MANAGER) != MANAGER:
            return None
        return await self._sync(job)

    async def _sync(self, job: Object) -> Requeue | None:
        pods = await self._claim_pods(job)
        now = self.clock()
        status: Object = {**(job.get("status") or {})}
        if "startTime" not in status and not is_suspended(job):
            status["startTime"] = format_time(now)
        status.setdefault("uncountedTerminatedPods", {})
        seen = assess({**job, "status": status}, pods, self._backoffs.get(key_of(job), Backoff()), now)
        failure, wait_s = await self._manage(seen)
        if seen.finish is None and not is_deleting(job):
            status = self._note_suspension(job, status)
        await self._track(seen, job, status, can_finish=failure is None)
        self._backoffs[key_of(job)] = seen.backoff
        if failure is not None:
            raise failure
        left_s = seconds_to_deadline({**job, "status": status}, now)
        waits = [wait for wait in (wait_s, left_s) if wait is not None and wait > 0]
        return Requeue(min(waits)) if waits else None

    async def _claim_pods(self, job: Object) -> list[Object]:
        store = self.store(PODS)
        candidates = [*store.controlled_by(uid_of(job)), *store.orphans(namespace_of(job))]
        plan = plan_claims(job, from_label_selector(job["spec"].get("selector")), candidates)
        return await claim(self.client, JOBS, job, PODS, plan, FINALIZER)

    async def _manage(self, seen: Assessment) -> tuple[ApiError | None, float | None]:
        """Make and remove pods; the first refusal, and in how many seconds the backoff is over."""
        if seen.finish is not None:
            return await self._stop_pods(seen), None
        wait_s: float | None = None
        failure: ApiError | None = None
        if not is_deleting(seen.job):
            plan = plan_pods(seen, self.clock())
            failure = await self._apply(seen, plan)
            wait_s = plan.wait_s or None
        completions = seen.completions
        done = seen.succeeded > 0 if completions is None else seen.succeeded >= completions
        if done and seen.active == 0:
            seen.finish = Finish(True, "CompletionsReached", "Reached expected number of succeeded pods")
        return failure, wait_s

    async def _apply(self, seen: Assessment, plan: PodPlan) -> ApiError | None:
        if plan.remove:
            return await self._remove(seen, plan.remove, uncounted=False)
        made = 0

        async def make(index: int) -> None:
            nonlocal made
            try:
                await self._pods.create(seen.job, plan.create[index])
                made += 1
            except ApiError as error:
                if not error.has_cause(NAMESPACE_TERMINATING):
                    raise

        failure = await slow_start(len(plan.create), make)
        seen.active += made
        return failure

    async def _stop_pods(self, seen: Assessment) -> ApiError | None:
        """The Job is over: what still runs is deleted, and counted as failed."""
        return await self._remove(seen, seen.active_pods, uncounted=True)

    async def _remove(self, seen: Assessment, pods: Sequence[Object], *, uncounted: bool) -> ApiError | None:
        """Delete pods. Without `uncounted` they leave the count: their finalizers go first."""

        async def remove(pod: Object) -> None:
            if not uncounted and is_tracked(pod):
                await self._release(pod)
            await self._pods.delete(seen.job, pod)

        failure: ApiError | None = None
        results = await asyncio.gather(*map(remove, pods), return_exceptions=True)
        for pod, result in zip(pods, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, ApiError):
                raise result
            if result is None or isinstance(result, NotFound):
                seen.active -= 1
                seen.ready -= is_ready(pod)
                seen.terminating += 1
            elif isinstance(result, ApiError):
                failure = failure or result
        return failure

    def _note_suspension(self, job: Object, status: Object) -> Object:
        changed = with_suspension(status, is_suspended(job), self.clock())
        if changed is None:
            return status
        told = ("Suspended", "Job suspended") if is_suspended(job) else ("Resumed", "Job resumed")
        self.events.normal(job, *told)
        return changed

    async def _track(self, seen: Assessment, job: Object, status: Object, *, can_finish: bool) -> None:
        """Write the status: with ended pods noted, then, their finalizers removed, with them counted."""
        tracking = track(seen, with_counts(seen, status))
        status = tracking.status
        if seen.finish is not None:
            status = with_interim(status, seen.finish, self.clock())
        if tracking.release:
            job = await self._write(job, status)
            gone = await self._release_all(tracking.release)
            tracked = {uid_of(pod) for pod in seen.pods if is_tracked(pod)} - gone
            status = drop_counted(status, tracked)
        is_over = seen.finish is not None and can_finish and tracking.is_all and can_end(seen, status)
        if is_over and seen.finish is not None:
            status = with_final(status, seen.finish, self.clock())
        await self._write(job, status)
        if is_over and seen.finish is not None:
            self._tell_end(job, seen, seen.finish)

    def _tell_end(self, job: View, seen: Assessment, finish: Finish) -> None:
        if finish.is_success:
            if seen.completions is not None and seen.succeeded > seen.completions:
                message = "Too many succeeded pods running after completion count reached"
                self.events.warning(job, "TooManySucceededPods", message)
            self.events.normal(job, "Completed", "Job completed")
        else:
            self.events.warning(job, finish.reason, finish.message)

    async def _release_all(self, pods: Sequence[Object]) -> set[str]:
        """Take the finalizers off; the uids of the pods without one now. Raises the first refusal afterwards."""
        results = await asyncio.gather(*map(self._release, pods), return_exceptions=True)
        gone = {uid_of(pod) for pod, result in zip(pods, results, strict=True) if result is None}
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ApiError):
                raise result
        return gone

    async def _release(self, pod: View) -> None:
        """Take the finalizer off one pod, if it is still there and the same."""
        patch = {"metadata": {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
        try:
            await self.client.patch(PODS, namespace_of(pod), name_of(pod), patch, type="strategic")
        except NotFound:
            return

    async def _write(self, job: Object, status: Object) -> Object:
        if job.get("status") == status:
            return job
        return await self.client.update(JOBS, {**job, "status": status}, "status")

    def _is_lost(self, pod: View) -> bool:
        """Whether no Job is there that would count the pod."""
        reference = controller_of(pod)
        if reference is None:
            return True
        if reference["kind"] != JOBS.kind:
            return False
        job = self.store(JOBS).get(namespace_of(pod), reference["name"])
        return job is None or uid_of(job) != reference["uid"] or finished_condition(job) is not None

    async def _release_lost(self, key: Key) -> None:
        pod = self.store(PODS).get(*key)
        if pod is not None and is_tracked(pod) and self._is_lost(pod):
            await self._release(pod)


def _is_status_only(change: Change) -> bool:
    """Whether the change is most likely our own: what the Job wants is as before."""
    old = change.old
    return old is not None and old["metadata"].get("generation") == change.obj["metadata"].get("generation")


def _lost_key(pod: View) -> Key:
    return Key(namespace_of(pod), _LOST_POD + name_of(pod))
