"""ReplicationControllers: the oldest workload, with a plain map as its selector.

Follows: pkg/registry/core/replicationcontroller/strategy.go,
pkg/apis/core/validation/validation.go ValidateReplicationController
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.field_rules import nonnegative, one_of
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.pods.template import (
    drop_disabled_template_fields,
    pod_template_warnings,
    validate_pod_template,
)
from apiserver.resources.scale import LABELS_SCALE
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, forbidden, invalid, required

_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
_NAME_WARNING = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is "
    "recommended: [{}]"
)


class ControllerStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        status = obj.get("status") or {}
        for name in _COUNTS:
            yield from nonnegative(status.get(name, 0), f"status.{name}")
        total, ready, available = (status.get(n, 0) for n in ("replicas", "readyReplicas", "availableReplicas"))
        for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
            if status.get(name, 0) > total:
                yield invalid(f"status.{name}", status.get(name, 0), "cannot be greater than status.replicas")
        if available > ready:
            yield invalid("status.availableReplicas", available, "cannot be greater than readyReplicas")


class ReplicationControllers(WithStatus):
    orphans_by_default = True
    scale = LABELS_SCALE
    columns = columns.REPLICATION_CONTROLLER
    subresources = {"status": ControllerStatus()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        template = obj["spec"].get("template")
        if template is not None:
            drop_disabled_template_fields(template, None if old is None else old["spec"].get("template"))
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"replicas": 0}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        stored = None if old is None else old["spec"]
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        of_spec = list(_validate_spec(obj["spec"], stored))
        yield from of_spec
        if old is not None:
            # An update is checked as a new object and as a change, and both look at the spec: errors come twice.
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from of_spec

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        texts: list[str] = []
        if old is None:
            problems = names.is_dns1123_label(obj["metadata"]["name"])
            if problems:
                texts.append(_NAME_WARNING.format(" ".join(problems)))
        elif obj["metadata"].get("generation") == old["metadata"].get("generation"):
            return texts
        template = obj["spec"].get("template")
        if template is not None:
            stored = None if old is None else old["spec"].get("template")
            texts += pod_template_warnings(template, "spec.template", stored)
        return texts

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.replicas": str((obj.get("status") or {}).get("replicas", 0))}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
        selector = spec.get("selector") or {}
        return [
            meta["name"],
            spec.get("replicas", 0),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            age(meta.get("creationTimestamp"), now),
            ",".join(container.get("name", "") for container in containers),
            ",".join(container.get("image", "") for container in containers),
            ",".join(f"{key}={selector[key]}" for key in sorted(selector)) or "<none>",
        ]


def _validate_spec(spec: Object, old: Object | None) -> Iterator[FieldError]:
    selector, template = spec.get("selector") or {}, spec.get("template")
    yield from nonnegative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    if not selector:
        yield required("spec.selector")
    yield from nonnegative(spec.get("replicas", 0), "spec.replicas")
    if template is None:
        yield required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector.items() <= labels.items():
        yield invalid("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`")
    yield from validate_pod_template(template, "spec.template", None if old is None else old.get("template"))
    pod = template.get("spec") or {}
    yield from one_of(pod.get("restartPolicy", ""), ("Always",), "spec.template.spec.restartPolicy")
    if "activeDeadlineSeconds" in pod:
        text = "activeDeadlineSeconds in ReplicationController is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", text)
