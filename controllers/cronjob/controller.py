"""CronJobs: start jobs when they are due, keep track of them, remove old ones.

Follows: pkg/controller/cronjob/cronjob_controllerv2.go
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from controllers.cronjob.plan import (
    due_time,
    is_too_late,
    job_name,
    new_job,
    outcome_of,
    reference_to,
    seconds_to_next,
    surplus,
    without,
)
from controllers.cronjob.schedule import MANY_MISSED, ScheduleTooDense
from controllers.runtime.controller import Controller, For, Owns, Requeue
from controllers.runtime.errors import AlreadyExists, ApiError, NotFound
from controllers.runtime.kinds import CRON_JOBS, JOBS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    is_controlled_by,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
)
from openapi.meta.cron import Schedule, ScheduleError, parse_schedule
from openapi.meta.field import quote
from openapi.meta.times import format_time, parse_time

NAMESPACE_TERMINATING = "NamespaceTerminating"
ZONES_URL = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"


class CronJobController(Controller):
    """Starts the jobs of CronJobs."""

    name = "cronjob-controller"
    account = "cronjob-controller"
    watches = (For(CRON_JOBS), Owns(JOBS))

    async def reconcile(self, key: Key) -> Requeue | None:
        cron_job = self.store(CRON_JOBS).get(*key)
        if cron_job is None:
            return None
        jobs = self.store(JOBS).controlled_by(uid_of(cron_job))
        status: Object = {**(cron_job.get("status") or {})}
        await self._remove_old(cron_job, jobs, status)
        await self._follow(cron_job, jobs, status)
        wait_s: float | None = None
        failure: ApiError | None = None
        try:
            wait_s = await self._start_due({**cron_job, "status": status}, status)
        except ApiError as error:
            failure = error
        if status != (cron_job.get("status") or {}):
            await self.client.update(CRON_JOBS, {**cron_job, "status": status}, "status")
        if failure is not None:
            raise failure
        return Requeue(wait_s) if wait_s is not None else None

    async def _remove_old(self, cron_job: Object, jobs: Sequence[Object], status: Object) -> None:
        """Delete finished jobs beyond the limits."""
        spec = cron_job["spec"]
        old = surplus(jobs, "Complete", spec.get("successfulJobsHistoryLimit"))
        for job in old + surplus(jobs, "Failed", spec.get("failedJobsHistoryLimit")):
            await self._delete(cron_job, job, status)

    async def _delete(self, cron_job: Object, job: View, status: Object) -> bool:
        try:
            await self.client.delete(JOBS, namespace_of(job), name_of(job), propagation="Background")
        except ApiError as error:
            self.events.warning(cron_job, "FailedDelete", f"Deleted job: {error}")
            return False
        _set_active(status, without(status.get("active") or (), uid_of(job)))
        self.events.normal(cron_job, "SuccessfulDelete", f"Deleted job {name_of(job)}")
        return True

    async def _follow(self, cron_job: Object, jobs: Sequence[Object], status: Object) -> None:
        """Bring the list of active jobs up to date."""
        for job in jobs:
            is_listed = any(reference.get("uid") == uid_of(job) for reference in status.get("active") or ())
            outcome = outcome_of(job)
            if is_listed and outcome:
                _set_active(status, without(status["active"], uid_of(job)))
                message = f"Saw completed job: {name_of(job)}, condition: {outcome}"
                self.events.normal(cron_job, "SawCompletedJob", message)
            elif not is_listed and not outcome:
                message = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
                self.events.warning(cron_job, "UnexpectedJob", message)
            elif outcome == "Complete":
                _note_success(status, job)
        known = {uid_of(job) for job in jobs}
        for reference in status.get("active") or ():
            if reference.get("uid") not in known and await self._is_gone(reference):
                self.events.normal(cron_job, "MissingJob", f"Active job went missing: {reference['name']}")
                _set_active(status, without(status["active"], reference.get("uid", "")))

    async def _is_gone(self, reference: View) -> bool:
        """The store may lag behind: ask the server."""
        try:
            await self.client.get(JOBS, reference["namespace"], reference["name"])
        except NotFound:
            return True
        return False

    async def _start_due(self, cron_job: Object, status: Object) -> float | None:
        """Start a job if one is due; in how many seconds to look again. `status` is brought up to date."""
        if is_deleting(cron_job) or cron_job["spec"].get("suspend"):
            return None
        schedule = self._schedule(cron_job)
        if schedule is None:
            return None
        now = self.clock()
        try:
            due = due_time(cron_job, schedule, now)
        except ScheduleTooDense as error:
            message = f"invalid schedule: {cron_job['spec']['schedule']} : {error}"
            self.events.warning(cron_job, "InvalidSchedule", message)
            return None
        if due.missed > MANY_MISSED and due.latest is not None:
            message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.events.warning(cron_job, "TooManyMissedTimes", message)
        if due.latest is not None and not await self._start(cron_job, status, due.latest, now):
            return None
        return seconds_to_next({**cron_job, "status": status}, schedule, now)

    def _schedule(self, cron_job: Object) -> Schedule | None:
        """The schedule, or None where it cannot be read; then an event says why."""
        spec = cron_job["spec"]
        text, zone = spec["schedule"], spec.get("timeZone")
        if zone is not None and not _is_zone(zone):
            message = f"invalid timeZone: {quote(zone)}: unknown time zone {zone}"
            self.events.warning(cron_job, "UnknownTimeZone", message)
            return None
        if "TZ" in text:
            why = f"is not officially supported, see {ZONES_URL} for more details"
            message = f"CRON_TZ or TZ used in schedule {quote(text)} {why}"
            self.events.warning(cron_job, "UnsupportedSchedule", message)
        try:
            return parse_schedule(text)
        except ScheduleError as error:
            self.events.warning(cron_job, "UnparseableSchedule", f"unparseable schedule: {quote(text)} : {error}")
            return None

    async def _start(self, cron_job: Object, status: Object, due: datetime, now: datetime) -> bool:
        """Start the job of a time unless something is against it; False where there is no need to look again."""
        if is_too_late(cron_job, due, now):
            when = due.strftime("%a, %d %b %Y %H:%M:%S +0000")
            self.events.warning(cron_job, "MissSchedule", f"Missed scheduled time to start a job: {when}")
            return True
        active = status.get("active") or []
        name = job_name(cron_job, due)
        if any(one["name"] == name for one in active) or status.get("lastScheduleTime") == format_time(due):
            return True
        policy = cron_job["spec"].get("concurrencyPolicy")
        if policy == "Forbid" and active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.events.normal(cron_job, "JobAlreadyActive", message)
            return True
        if policy == "Replace" and not await self._replace(cron_job, status):
            return False
        return await self._create(cron_job, status, due)

    async def _replace(self, cron_job: Object, status: Object) -> bool:
        """Delete the active jobs, so that the new one takes their place."""
        for reference in status.get("active") or []:
            try:
                job = await self.client.get(JOBS, reference["namespace"], reference["name"])
            except ApiError as error:
                self.events.warning(cron_job, "FailedGet", f"Get job: {error}")
                raise
            if not await self._delete(cron_job, job, status):
                return False
        return True

    async def _create(self, cron_job: Object, status: Object, due: datetime) -> bool:
        wanted = new_job(cron_job, due)
        try:
            job = await self.client.create(JOBS, wanted)
        except AlreadyExists:
            # Ours from a round whose status could not be written, or somebody else's, who then keeps the books.
            job = await self.client.get(JOBS, namespace_of(wanted), name_of(wanted))
            if not is_controlled_by(job, cron_job):
                return False
        except ApiError as error:
            if error.has_cause(NAMESPACE_TERMINATING):
                return False
            self.events.warning(cron_job, "FailedCreate", f"Error creating job: {error}")
            raise
        else:
            self.events.normal(cron_job, "SuccessfulCreate", f"Created job {name_of(job)}")
        _set_active(status, [*(status.get("active") or []), reference_to(job)])
        status["lastScheduleTime"] = format_time(due)
        return True


def _set_active(status: Object, active: Sequence[Object]) -> None:
    status.pop("active", None)
    if active:
        status["active"] = list(active)


def _note_success(status: Object, job: View) -> None:
    ended = (job.get("status") or {}).get("completionTime")
    last = status.get("lastSuccessfulTime")
    if ended is not None and (last is None or parse_time(ended) > parse_time(last)):
        status["lastSuccessfulTime"] = ended


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True
