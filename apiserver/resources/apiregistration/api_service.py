"""API services: who serves a version of an API group. Those this server serves itself are available at once.

Follows: staging/src/k8s.io/kube-aggregator/pkg/registry/apiservice/strategy.go, pkg/apis/apiregistration/validation
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apiregistration.columns import API_SERVICE
from apiserver.resources.field_rules import named
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta.field import FieldError, invalid, not_supported_listed, quote, required
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import is_dns1035_label, is_dns1123_subdomain, is_path_segment, is_port_number
from openapi.meta.times import format_time

Struct = Mapping[str, Any]

AVAILABLE = "Available"
MAX_GROUP_PRIORITY = 20_000
MAX_VERSION_PRIORITY = 1_000
_STATUSES = ("True", "False", "Unknown")
_SYSTEM_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")


class ApiServiceStatus(StatusOf):
    allow_unconditional_update = False
    kept_metadata = _SYSTEM_METADATA
    reset_fields = (("spec",), ("metadata",))

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        for i, condition in enumerate((obj.get("status") or EMPTY).get("conditions") or ()):
            if condition.get("status") not in _STATUSES:
                yield not_supported_listed(f"status.conditions[{i}].status", condition.get("status", ""), _STATUSES)


class ApiServiceStrategy(WithStatus):
    allow_unconditional_update = False
    generation = False
    subresources = {"status": ApiServiceStatus()}
    columns = API_SERVICE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None and (obj.get("spec") or EMPTY).get("service") is None:
            obj["status"] = {"conditions": [_available_locally(context.now)]}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        if old is not None:
            yield from validate_object_meta_update(meta, old["metadata"])
        required_name = f"{spec.get('version', '')}.{spec.get('group', '')}"

        def check_name(name: str, prefix: bool) -> list[str]:
            problems = is_path_segment(name)
            if problems or name == required_name:
                return problems
            return [f'must be `spec.version+"."+spec.group`: {quote(required_name)}']

        yield from validate_object_meta(meta, namespaced=False, name=check_name)
        yield from _validate_spec(spec)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, service = obj["metadata"], (obj.get("spec") or EMPTY).get("service")
        shown = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
        return [meta.get("name", ""), shown, _availability(obj), age(meta.get("creationTimestamp"), now)]


def _available_locally(now: datetime) -> Object:
    return {
        "type": AVAILABLE,
        "status": "True",
        "lastTransitionTime": format_time(now),
        "reason": "Local",
        "message": "Local APIServices are always available",
    }


def _availability(obj: Struct) -> str:
    conditions = (obj.get("status") or EMPTY).get("conditions") or ()
    found = next((c for c in conditions if c.get("type") == AVAILABLE), None)
    if found is None:
        return "Unknown"
    status = str(found.get("status", ""))
    return status if status == "True" else f"{status} ({found.get('reason', '')})"


def _validate_spec(spec: Struct) -> Iterator[FieldError]:
    group, version = spec.get("group", ""), spec.get("version", "")
    if not group and version != "v1":
        yield required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    if group:
        yield from named(is_dns1123_subdomain, group, "spec.group")
    yield from named(is_dns1035_label, version, "spec.version")
    for name, most in (("groupPriorityMinimum", MAX_GROUP_PRIORITY), ("versionPriority", MAX_VERSION_PRIORITY)):
        priority = spec.get(name, 0)
        if not 0 < priority <= most:
            yield invalid(f"spec.{name}", priority, f"must be positive and less than {most}")
    bundle, insecure, service = spec.get("caBundle"), spec.get("insecureSkipTLSVerify", False), spec.get("service")
    if service is None:
        if bundle:
            size = len(base64.b64decode(bundle))
            yield invalid("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
        if insecure:
            text = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid("spec.insecureSkipTLSVerify", insecure, text)
        return
    for name in ("namespace", "name"):
        if not service.get(name):
            yield required(f"spec.service.{name}")
    port = service.get("port", 0)
    problems = is_port_number(port)
    if problems:
        yield invalid("spec.service.port", port, "port is not valid: " + ", ".join(problems))
    if insecure and bundle:
        yield invalid("spec.insecureSkipTLSVerify", insecure, "may not be true if caBundle is present")
