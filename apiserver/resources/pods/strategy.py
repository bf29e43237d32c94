"""Pods on their way into the store, and what else writes them: status, ephemeral containers, resizing.

Follows: pkg/registry/core/pod/strategy.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.addresses import ip_warnings
from apiserver.resources.pods.annotations import APPARMOR, APPARMOR_DEFAULT, APPARMOR_LOCAL, APPARMOR_UNCONFINED
from apiserver.resources.pods.columns import COLUMNS, pod_cells, pod_row_conditions
from apiserver.resources.pods.features import drop_disabled_fields, drop_disabled_status_fields
from apiserver.resources.pods.options import FOR_POD, Errors, Options, all_containers, options_for
from apiserver.resources.pods.pod import check_new_pod
from apiserver.resources.pods.status import check_status_update
from apiserver.resources.pods.updates import check_ephemeral_update, check_resize, check_updated_pod
from apiserver.resources.pods.warnings import APPARMOR_TEXT, spec_warnings
from apiserver.resources.strategy import FieldPath, Object, StatusOf, Strategy, WriteContext
from openapi.kinds.pod_resources import qos_class
from openapi.meta.field import FieldError
from openapi.meta.names import is_dns1123_label
from openapi.meta.times import format_time

_GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"
_KEPT_METADATA = ("deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences")


def _update_options(old: Object) -> Options:
    return options_for(old.get("spec") or {}, old["metadata"], is_pod=True)


def _count_change(obj: Object, old: Object) -> None:
    """The generation counts changes of the spec."""
    generation = int(old["metadata"].get("generation", 0)) + (obj.get("spec") != old.get("spec"))
    if generation:
        obj["metadata"]["generation"] = generation
    else:
        obj["metadata"].pop("generation", None)


def _keep(obj: Object, old: Object, *fields: str) -> None:
    for field in fields:
        if field in old:
            obj[field] = old[field]
        else:
            obj.pop(field, None)


class PodStatusStrategy(StatusOf):
    """What nodes report. The class of service and what was observed before stay if a report leaves them out."""

    reset_fields: tuple[FieldPath, ...] = (
        ("spec",),
        ("metadata", "deletionTimestamp"),
        ("metadata", "ownerReferences"),
    )
    kept_metadata = ("deletionTimestamp", "ownerReferences")

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        assert old is not None
        status, old_status = obj.setdefault("status", {}), old.get("status") or {}
        if not status.get("qosClass") and old_status.get("qosClass"):
            status["qosClass"] = old_status["qosClass"]
        if not status.get("observedGeneration") and old_status.get("observedGeneration"):
            status["observedGeneration"] = old_status["observedGeneration"]
        _keep_observed_conditions(status, old_status)
        drop_disabled_status_fields(status, old_status)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        errors: Errors = []
        check_status_update(obj, old, _update_options(old), errors)
        yield from errors

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        status = obj.get("status") or {}
        for field in ("podIPs", "hostIPs"):
            for index, address in enumerate(status.get(field) or ()):
                yield from ip_warnings(address.get("ip", ""), f"status.{field}[{index}].ip")


def _keep_observed_conditions(status: Object, old_status: Object) -> None:
    """Conditions without an observed generation keep the one they had, in order of occurrence of their type."""
    known: dict[str, list[int]] = {}
    for condition in old_status.get("conditions") or ():
        known.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration", 0))
    for condition in status.get("conditions") or ():
        before = known.get(condition.get("type", ""))
        generation = before.pop(0) if before else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


class EphemeralContainersStrategy(Strategy):
    """Containers for debugging, added to a running pod; nothing else changes."""

    only_fields: tuple[FieldPath, ...] = (("spec", "ephemeralContainers"),)

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        assert old is not None
        added = (obj.get("spec") or {}).get("ephemeralContainers")
        obj["spec"] = dict(old["spec"])
        _keep(obj, old, "status")
        _keep(obj["metadata"], old["metadata"], *_KEPT_METADATA)
        if added:
            obj["spec"]["ephemeralContainers"] = added
        else:
            obj["spec"].pop("ephemeralContainers", None)
        _count_change(obj, old)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        errors: Errors = []
        check_ephemeral_update(obj, old, _update_options(old), errors)
        yield from errors


class ResizeStrategy(Strategy):
    """The resources of containers and of the pod, and their resize policies."""

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        assert old is not None
        _drop_all_but_resources(obj, old)
        _count_change(obj, old)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        errors: Errors = []
        check_resize(obj, old, _update_options(old), errors)
        yield from errors


def _drop_all_but_resources(obj: Object, old: Object) -> None:
    """Containers that came, went or moved stay as they are: validation tells of them."""
    spec, old_spec = obj.get("spec") or {}, old["spec"]
    if any(len(spec.get(f) or ()) != len(old_spec.get(f) or ()) for f in ("containers", "initContainers")):
        return
    merged = dict(old_spec)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            merged[field] = _merged_resources(spec[field], old_spec[field])
    _keep(merged, spec, "resources")
    obj["spec"] = merged
    _keep(obj, old, "status")
    _keep(obj["metadata"], old["metadata"], *_KEPT_METADATA)


def _merged_resources(containers: list[Object], old_containers: list[Object]) -> list[Object]:
    merged = []
    for container, old in zip(containers, old_containers, strict=True):
        if container.get("name") != old.get("name"):
            return containers
        copy = dict(old)
        _keep(copy, container, "resources", "resizePolicy")
        merged.append(copy)
    return merged


class PodStrategy(Strategy):
    graceful = True
    returns_deleted = True
    reset_fields: tuple[FieldPath, ...] = (("status",),)
    columns = COLUMNS
    field_aliases: Mapping[str, Mapping[str, str]] = {"v1": {"spec.host": "spec.nodeName"}}
    subresources: Mapping[str, Strategy] = {
        "status": PodStatusStrategy(),
        "ephemeralcontainers": EphemeralContainersStrategy(),
        "resize": ResizeStrategy(),
    }

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        spec = obj.setdefault("spec", {})
        if old is not None:
            _keep(obj, old, "status")
            drop_disabled_fields(spec, old.get("spec"))
            _count_change(obj, old)
            return
        obj["metadata"]["generation"] = 1
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        drop_disabled_fields(spec, None)
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [_gated_condition(context.now)]
        _merge_label_keys(obj)
        annotations = obj["metadata"].get("annotations")
        if annotations and (spec.get("os") or {}).get("name") != "windows":
            context.warnings.extend(_take_apparmor_from_annotations(spec, annotations))

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        errors: Errors = []
        if old is None:
            check_new_pod(obj, FOR_POD, errors)
        else:
            check_updated_pod(obj, old, _update_options(old), errors)
        yield from errors

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        """Only on create: updates are mostly the work of controllers and come often."""
        if old is not None:
            return ()
        meta, spec = obj["metadata"], obj.get("spec") or {}
        texts: list[str] = []
        problems = is_dns1123_label(meta.get("name", ""))
        if problems:
            listed = "[" + " ".join(problems) + "]"
            texts.append(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
                f"a DNS label is recommended: {listed}"
            )
        texts.extend(spec_warnings(spec, meta, "", is_template=False))
        return texts

    def fields(self, obj: Object) -> dict[str, str]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        addresses = status.get("podIPs")
        return {
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase", ""),
            "status.podIP": addresses[0].get("ip", "") if addresses else "",
            # May be asked for, but no pod has a value of it.
            "status.podIPs": "",
            "status.nominatedNodeName": status.get("nominatedNodeName", ""),
        }

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        return pod_cells(obj, now)

    def row_conditions(self, obj: Object) -> list[Object]:
        """The conditions of the object's row in a table."""
        return pod_row_conditions(obj)

    def deletion_grace_s(self, obj: Object, requested_s: int | None) -> int:
        spec = obj.get("spec") or {}
        grace_s = spec.get("terminationGracePeriodSeconds", 0) if requested_s is None else requested_s
        if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        return 1 if grace_s < 0 else int(grace_s)


def _gated_condition(now: datetime) -> Object:
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": _GATED_MESSAGE,
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
    }


def _merge_label_keys(obj: Object) -> None:
    """matchLabelKeys stand for expressions about the pod's own labels, which are added to the selectors."""
    spec, labels = obj["spec"], obj["metadata"].get("labels") or {}
    for constraint in spec.get("topologySpreadConstraints") or ():
        _merge_keys(constraint, labels)
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        group = affinity.get(kind) or {}
        for weighted in group.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            _merge_keys(weighted.get("podAffinityTerm") or {}, labels)
        for term in group.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            _merge_keys(term, labels)


def _merge_keys(term: Object, labels: Mapping[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        keys: Sequence[str] = term.get(field) or ()
        for key in keys:
            if key in labels:
                expression = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(expression)


def _apparmor_of_annotation(annotation: str) -> Object | None:
    """The profile that an old annotation means; None if it is no valid one."""
    if annotation == APPARMOR_DEFAULT:
        return {"type": "RuntimeDefault"}
    if annotation == APPARMOR_UNCONFINED:
        return {"type": "Unconfined"}
    local = annotation.removeprefix(APPARMOR_LOCAL)
    if local != annotation and local and local.strip() == local:
        return {"type": "Localhost", "localhostProfile": local}
    return None


def _take_apparmor_from_annotations(spec: Object, annotations: Mapping[str, str]) -> Iterator[str]:
    """Fill the field from the old annotation of each container that has only this; warnings of those that matter."""
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container in all_containers(spec):
        key = APPARMOR + container.get("name", "")
        if key not in annotations or "appArmorProfile" in (container.get("securityContext") or ()):
            continue
        profile = _apparmor_of_annotation(annotations[key])
        if profile is None:
            yield f"metadata.annotations[{key}]: {APPARMOR_TEXT}"
        elif profile != pod_profile:
            assert isinstance(container, dict)
            container.setdefault("securityContext", {})["appArmorProfile"] = profile
            yield f"metadata.annotations[{key}]: {APPARMOR_TEXT}"
