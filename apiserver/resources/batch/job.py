"""Jobs: pods that run to completion. The server selects a job's pods by its uid unless told otherwise.

Follows: pkg/registry/batch/job/strategy.go, pkg/apis/batch/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apps.workload import container_cells, drop_disabled, selector_cell
from apiserver.resources.batch.columns import JOB
from apiserver.resources.batch.job_spec import (
    job_spec_warnings,
    show_failure_policy,
    show_success_policy,
    validate_job_spec,
)
from apiserver.resources.batch.job_status import JobStatus
from apiserver.resources.field_rules import immutable
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import (
    EMPTY,
    SELECTOR_MISMATCH,
    condition_is_true,
    has_invalid_values,
    labels_of,
    name_warning,
    selector_of,
    show_selector,
)
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.names import is_dns1123_label, name_is_dns_subdomain
from openapi.meta.selectors import validate_label_selector
from openapi.meta.times import human_duration, parse_time

Struct = Mapping[str, Any]

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
OLD_CONTROLLER_UID = "controller-uid"
OLD_JOB_NAME = "job-name"

_STATES = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates")


class JobStrategy(WithStatus):
    subresources = {"status": JobStatus()}
    orphans_by_default = True
    orphaning_warning = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or "
        "set propagationPolicy=Orphan to suppress this warning"
    )
    columns = JOB
    unknown_field = 'field label "{name}" not supported for Job'

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        if old is None:
            _generate_selector(obj)
        super().prepare(obj, old, context)
        drop_disabled(obj, old)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        old_spec = None if old is None else old.get("spec") or EMPTY
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        yield from _validate_generated(obj, old_spec)
        yield from _validate_spec(spec, old_spec)
        yield from _validate_hostname(obj)
        if old is not None and old_spec is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from _validate_spec(spec, old_spec)
            yield from _validate_spec_update(spec, old_spec, old)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        spec = obj.get("spec") or EMPTY
        if old is None:
            return name_warning(obj["metadata"].get("name", "")) + job_spec_warnings(spec, None, "spec")
        if obj["metadata"].get("generation") == old["metadata"].get("generation"):
            return ()
        return job_spec_warnings(spec, old.get("spec") or EMPTY, "spec")

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.successful": str((obj.get("status") or EMPTY).get("succeeded", 0))}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        return [
            meta.get("name", ""),
            _state(meta, status),
            _completions(spec, status),
            _duration(status, now),
            age(meta.get("creationTimestamp"), now),
            *container_cells(spec.get("template")),
            selector_cell(spec.get("selector")),
        ]


def _generate_selector(obj: Object) -> None:
    """Label the template by the job's name and uid, and select by the uid, keeping what the user chose."""
    spec = obj.setdefault("spec", {})
    if not spec.get("manualSelector"):
        uid, name = obj["metadata"].get("uid", ""), obj["metadata"].get("name", "")
        labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
        for key, value in ((OLD_JOB_NAME, name), (JOB_NAME, name), (OLD_CONTROLLER_UID, uid), (CONTROLLER_UID, uid)):
            labels.setdefault(key, value)
        spec.setdefault("selector", {}).setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, uid)
    labels = labels_of(spec.get("template") or EMPTY)
    if labels and not obj["metadata"].get("labels"):
        # Whoever reads a job without labels sees those of its template.
        obj["metadata"]["labels"] = dict(labels)


def _validate_generated(obj: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    """What `_generate_selector` made must not have met other values under the same keys."""
    spec, meta = obj.get("spec") or EMPTY, obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    uid, name = meta.get("uid", ""), meta.get("name", "")
    if not uid:
        yield required("metadata.uid")
    expected = {OLD_CONTROLLER_UID: uid, OLD_JOB_NAME: name}
    old_labels = labels_of((old_spec or EMPTY).get("template") or EMPTY) or {}
    if old_spec is None or (JOB_NAME in old_labels and CONTROLLER_UID in old_labels):
        expected |= {CONTROLLER_UID: uid, JOB_NAME: name}
    labels = labels_of(spec.get("template") or EMPTY) or {}
    for key, value in expected.items():
        path = "spec.template.metadata.labels"
        if key not in labels:
            yield required(f"{path}[{key}]", f"must be '{value}'")
        elif labels[key] != value:
            yield invalid(f"{path}[{key}]", labels, f"must be '{value}'")
    selector = selector_of(spec["selector"])
    if selector is not None and not selector.matches(expected):
        yield invalid("spec.selector", show_selector(spec["selector"]), "`selector` not auto-generated")


def _validate_spec(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    yield from validate_job_spec(spec, old_spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
    else:
        lax = old_spec is not None and has_invalid_values(old_spec.get("selector"))
        yield from validate_label_selector(selector, "spec.selector", allow_invalid_values=lax)
    compiled, labels = selector_of(selector), labels_of(spec.get("template") or EMPTY)
    if compiled is not None and not compiled.matches(labels):
        yield invalid("spec.template.metadata.labels", labels, SELECTOR_MISMATCH)


def _validate_hostname(obj: Struct) -> Iterator[FieldError]:
    """The pods of an indexed job have its name and their index as hostname."""
    spec, name = obj.get("spec") or EMPTY, obj["metadata"].get("name", "")
    completions = spec.get("completions", 0)
    if spec.get("completionMode") == "Indexed" and completions > 0:
        hostname = f"{name}-{completions - 1}"
        if is_dns1123_label(hostname):
            yield invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {hostname}")


def _validate_spec_update(spec: Struct, old_spec: Struct, old: Struct) -> Iterator[FieldError]:
    yield from _validate_completions(spec, old_spec)
    selector = spec.get("selector")
    yield from immutable(selector, old_spec.get("selector"), "spec.selector", show_selector(selector))
    yield from _validate_template_update(spec, old_spec, old)
    yield from _kept(spec, old_spec, "completionMode")
    policy = spec.get("podFailurePolicy")
    shown = show_failure_policy(policy)
    yield from immutable(policy, old_spec.get("podFailurePolicy"), "spec.podFailurePolicy", shown)
    yield from _kept(spec, old_spec, "backoffLimitPerIndex")
    yield from _kept(spec, old_spec, "managedBy")
    success = spec.get("successPolicy")
    yield from immutable(success, old_spec.get("successPolicy"), "spec.successPolicy", show_success_policy(success))


def _kept(spec: Struct, old_spec: Struct, name: str) -> Iterator[FieldError]:
    yield from immutable(spec.get(name), old_spec.get(name), f"spec.{name}")


def _validate_completions(spec: Struct, old_spec: Struct) -> Iterator[FieldError]:
    """Only an indexed job may change them, together with its parallelism."""
    completions, old_completions = spec.get("completions"), old_spec.get("completions")
    if spec.get("completionMode") != "Indexed":
        yield from immutable(completions, old_completions, "spec.completions")
    elif completions not in (None, old_completions, spec.get("parallelism")):
        yield invalid("spec.completions", completions, "can only be modified in tandem with spec.parallelism")


def _validate_template_update(spec: Struct, old_spec: Struct, old: Struct) -> Iterator[FieldError]:
    """While a job is suspended and has no pods, where they will go and what they ask for may still change."""
    template, old_template = spec.get("template") or EMPTY, old_spec.get("template") or EMPTY
    if template == old_template:
        return
    if _is_adjustable(old_spec, old.get("status") or EMPTY):
        old_template = _with_adjusted(old_template, template)
    yield from immutable(template, old_template, "spec.template")


def _is_adjustable(old_spec: Struct, old_status: Struct) -> bool:
    if not old_spec.get("suspend"):
        return False
    stopped = condition_is_true(old_status.get("conditions"), "Suspended") and not old_status.get("active")
    return "startTime" not in old_status or stopped


def _with_adjusted(old: Struct, new: Struct) -> Struct:
    """The old template with the adjustable fields of the new one."""
    old_meta, new_meta = old.get("metadata") or EMPTY, new.get("metadata") or EMPTY
    old_pod, new_pod = old.get("spec") or EMPTY, new.get("spec") or EMPTY
    pod = _replaced(old_pod, new_pod, _SCHEDULING)
    affinity = _replaced(old_pod.get("affinity") or EMPTY, new_pod.get("affinity") or EMPTY, ("nodeAffinity",))
    pod.pop("affinity", None)
    if affinity or "affinity" in new_pod:
        pod["affinity"] = affinity
    for name in ("containers", "initContainers"):
        pairs = zip(old_pod.get(name) or (), new_pod.get(name) or (), strict=False)
        adjusted = [_replaced(before, after, ("resources",)) for before, after in pairs]
        if adjusted and len(adjusted) == len(old_pod[name]):
            pod[name] = adjusted
    meta = _replaced(old_meta, new_meta, ("labels", "annotations"))
    result: Object = {**old, "spec": pod}
    if meta or "metadata" in new:
        result["metadata"] = meta
    else:
        result.pop("metadata", None)
    return result


def _replaced(old: Struct, new: Struct, names: Iterable[str]) -> Object:
    """A copy of `old` whose `names` are as in `new`."""
    result = dict(old)
    for name in names:
        if name in new:
            result[name] = new[name]
        else:
            result.pop(name, None)
    return result


def _state(meta: Struct, status: Struct) -> str:
    conditions = status.get("conditions")
    for kind in ("Complete", "Failed"):
        if condition_is_true(conditions, kind):
            return kind
    if "deletionTimestamp" in meta:
        return "Terminating"
    return next((kind for kind in _STATES if condition_is_true(conditions, kind)), "Running")


def _completions(spec: Struct, status: Struct) -> str:
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism", 0)
    if "completions" in spec:
        return f"{succeeded}/{spec['completions']}"
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(status: Struct, now: datetime) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    return human_duration(((parse_time(end) if end else now) - parse_time(start)).total_seconds())
