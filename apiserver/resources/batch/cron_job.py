"""Cron jobs: a job at every time of a schedule.

Follows: pkg/registry/batch/cronjob/strategy.go, pkg/apis/batch/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from apiserver.resources.age import age
from apiserver.resources.apps.workload import container_cells, drop_disabled, selector_cell
from apiserver.resources.batch.columns import CRON_JOB
from apiserver.resources.batch.job_spec import job_spec_warnings, validate_job_spec
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY, name_warning, nonnegative_fields, show_selector
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta.cron import ScheduleError, parse_schedule
from openapi.meta.field import FieldError, invalid, not_supported_listed, required
from openapi.meta.names import name_is_dns_subdomain

Struct = Mapping[str, Any]

# A job's name is the cron job's, a dash and ten digits of time, within the 63 characters of a label.
MAX_NAME_LENGTH = 52
_POLICIES = ("Allow", "Forbid", "Replace")
_ZONE_HELP = (
    "is not officially supported, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#unsupported-timezone-specification "
    "for more details"
)
_is_zone_part = re.compile(r"[A-Za-z.\-_0-9+]{1,14}").fullmatch


class CronJobStatus(StatusOf):
    """Nothing of the status is checked."""

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from ()


class CronJobStrategy(WithStatus):
    subresources = {"status": CronJobStatus()}
    columns = CRON_JOB

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        drop_disabled(_job_template(obj), None if old is None else _job_template(old))

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from _validate_spec(spec, old.get("spec") or EMPTY)
            return
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        yield from _validate_spec(spec, None)
        name = obj["metadata"].get("name", "")
        if len(name) > MAX_NAME_LENGTH:
            yield invalid("metadata.name", name, f"must be no more than {MAX_NAME_LENGTH} characters")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        warnings = name_warning(obj["metadata"].get("name", "")) if old is None else []
        if old is None or obj["metadata"].get("generation") != old["metadata"].get("generation"):
            old_spec = None if old is None else _job_template(old).get("spec") or EMPTY
            job_spec = _job_template(obj).get("spec") or EMPTY
            warnings += job_spec_warnings(job_spec, old_spec, "spec.jobTemplate.spec")
        if "TZ" in (obj.get("spec") or EMPTY).get("schedule", ""):
            warnings.append(f"spec.spec.schedule {_ZONE_HELP}")
        return warnings

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        suspend, last = spec.get("suspend"), status.get("lastScheduleTime")
        job_spec = _job_template(obj).get("spec") or EMPTY
        return [
            meta.get("name", ""),
            spec.get("schedule", ""),
            spec.get("timeZone", "<none>"),
            "<unset>" if suspend is None else str(suspend),
            len(status.get("active") or ()),
            age(last, now) if last else "<none>",
            age(meta.get("creationTimestamp"), now),
            *container_cells(job_spec.get("template")),
            selector_cell(job_spec.get("selector")),
        ]


def _job_template(obj: Struct) -> Object:
    template: Object = (obj.get("spec") or EMPTY).get("jobTemplate") or {}
    return template


def _validate_spec(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    zone = spec.get("timeZone")
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    else:
        yield from _validate_schedule(schedule, zone, old_spec)
    yield from nonnegative_fields(spec, ("startingDeadlineSeconds",), "spec")
    if zone is not None and (old_spec is None or zone != old_spec.get("timeZone")):
        yield from _validate_zone(zone)
    policy = spec.get("concurrencyPolicy", "")
    if not policy:
        yield required("spec.concurrencyPolicy")
    elif policy not in _POLICIES:
        yield not_supported_listed("spec.concurrencyPolicy", policy, _POLICIES)
    yield from _validate_job_template(spec, old_spec)
    yield from nonnegative_fields(spec, ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"), "spec")


def _validate_schedule(schedule: str, zone: str | None, old_spec: Struct | None) -> Iterator[FieldError]:
    try:
        parse_schedule(schedule)
    except ScheduleError as error:
        yield invalid("spec.schedule", schedule, str(error))
    if "TZ" not in schedule:
        return
    if old_spec is None or "TZ" not in old_spec.get("schedule", ""):
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid("spec.schedule", schedule, text)
    elif zone is not None:
        yield invalid("spec.schedule", schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule")


def _validate_zone(zone: str) -> Iterator[FieldError]:
    path = "spec.timeZone"
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _is_zone_part(part):
            yield invalid(path, zone, f"unknown time zone {zone}")
            return
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid(path, zone, text)
    if zone != "Local" and not _is_known_zone(zone):
        yield invalid(path, zone, f"unknown time zone {zone}")


@lru_cache(maxsize=256)
def _is_known_zone(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        return False
    return True


def _validate_job_template(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    path = "spec.jobTemplate.spec"
    job_spec = (spec.get("jobTemplate") or EMPTY).get("spec") or EMPTY
    old_job_spec = None if old_spec is None else (old_spec.get("jobTemplate") or EMPTY).get("spec") or EMPTY
    yield from validate_job_spec(job_spec, old_job_spec, path)
    selector = job_spec.get("selector")
    if selector is not None:
        yield invalid(f"{path}.selector", show_selector(selector), "`selector` will be auto-generated")
    if job_spec.get("manualSelector"):
        yield not_supported_listed(f"{path}.manualSelector", True, ("nil", "false"))
