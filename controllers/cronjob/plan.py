"""A CronJob's jobs and times from plain data: names, templates, history, what is due.

Follows: pkg/controller/cronjob/{cronjob_controllerv2.go,utils.go}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from controllers.cronjob.schedule import Due, latest_due, next_time
from controllers.runtime.kinds import CRON_JOBS
from controllers.runtime.objects import (
    Object,
    View,
    condition_of,
    controller_reference,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from openapi.meta.cron import Schedule
from openapi.meta.times import parse_time

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"

_DELTA_S = 0.1
"""A little after the time, so that it has come for sure."""


def outcome_of(job: View) -> str:
    """`Complete` or `Failed` for a finished job, '' for any other."""
    for kind in ("Complete", "Failed"):
        condition = condition_of(job, kind)
        if condition is not None and condition["status"] == "True":
            return kind
    return ""


def surplus(jobs: Iterable[Object], outcome: str, limit: int | None) -> list[Object]:
    """The oldest jobs with that outcome beyond the limit."""
    ended = [job for job in jobs if outcome_of(job) == outcome]
    ended.sort(key=lambda job: ((job.get("status") or {}).get("startTime", ""), name_of(job)))
    return ended[: max(0, len(ended) - limit)] if limit is not None else []


def job_name(cron_job: View, due: datetime) -> str:
    return f"{name_of(cron_job)}-{int(due.timestamp()) // 60}"


def new_job(cron_job: View, due: datetime) -> Object:
    """The job for a time that is due."""
    template = cron_job["spec"]["jobTemplate"]
    wanted = template.get("metadata") or {}
    zone = cron_job["spec"].get("timeZone")
    local = due.astimezone(ZoneInfo(zone) if zone else UTC)
    metadata: Object = {"name": job_name(cron_job, due), "namespace": namespace_of(cron_job)}
    if wanted.get("labels"):
        metadata["labels"] = wanted["labels"]
    text = local.isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata["annotations"] = {**(wanted.get("annotations") or {}), SCHEDULED: text}
    metadata["ownerReferences"] = [controller_reference(CRON_JOBS, cron_job)]
    return {"kind": "Job", "apiVersion": "batch/v1", "metadata": metadata, "spec": template["spec"]}


def reference_to(job: View) -> Object:
    """How a job is listed as active."""
    return {
        "kind": "Job",
        "namespace": namespace_of(job),
        "name": name_of(job),
        "uid": uid_of(job),
        "apiVersion": "batch/v1",
        "resourceVersion": str(revision_of(job)),
    }


def without(active: Sequence[Object], uid: str) -> list[Object]:
    return [reference for reference in active if reference.get("uid") != uid]


def due_time(cron_job: View, schedule: Schedule, now: datetime) -> Due:
    """What is due now, not looking back further than the starting deadline."""
    earliest = _last_time(cron_job)
    deadline = cron_job["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=deadline))
    return latest_due(schedule, cron_job["spec"].get("timeZone") or "", earliest, now)


def _last_time(cron_job: View) -> datetime:
    last = (cron_job.get("status") or {}).get("lastScheduleTime")
    return parse_time(last or cron_job["metadata"]["creationTimestamp"])


def seconds_to_next(cron_job: View, schedule: Schedule, now: datetime) -> float | None:
    """When to look again; None for a schedule that has no times left."""
    zone = cron_job["spec"].get("timeZone") or ""
    due = latest_due(schedule, zone, _last_time(cron_job), now)
    base = due.latest or (now if due.missed else due.earliest)
    following = next_time(schedule, base, zone)
    return None if following is None else max(0.0, (following - now).total_seconds()) + _DELTA_S


def is_too_late(cron_job: View, due: datetime, now: datetime) -> bool:
    deadline = cron_job["spec"].get("startingDeadlineSeconds")
    return deadline is not None and due + timedelta(seconds=deadline) < now
