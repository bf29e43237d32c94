"""Ingress classes: which controller serves an ingress, with which parameters.

Follows: pkg/registry/networking/ingressclass/strategy.go, pkg/apis/networking/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import immutable, named
from apiserver.resources.networking.columns import INGRESS_CLASS
from apiserver.resources.networking.references import validate_typed_reference
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, not_supported, required, too_long
from openapi.meta.names import is_dns1123_label, is_domain_prefixed_path, name_is_dns_subdomain

DEFAULT_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
MAX_CONTROLLER_BYTES = 250
_SCOPES = ("Cluster", "Namespace")


class IngressClassStrategy(WithStatus):
    """It has no status, but its generation counts changes of the spec."""

    reset_fields = ()
    empty_status = False
    columns = INGRESS_CLASS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        controller = spec.get("controller", "")
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            old_controller = (old.get("spec") or EMPTY).get("controller", "")
            yield from immutable(controller, old_controller, "spec.controller")
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        if len(controller.encode()) > MAX_CONTROLLER_BYTES:
            yield too_long("spec.controller", MAX_CONTROLLER_BYTES)
        if not controller:
            yield required("spec.controller")
        else:
            yield from named(is_domain_prefixed_path, controller, "spec.controller")
        if spec.get("parameters") is not None:
            yield from _validate_parameters(spec["parameters"], "spec.parameters")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        created = age(meta.get("creationTimestamp"), now)
        name = meta.get("name", "")
        if (meta.get("annotations") or EMPTY).get(DEFAULT_CLASS_ANNOTATION) == "true":
            name += " (default)"
        return [name, spec.get("controller", ""), _parameters_cell(spec.get("parameters")), created]


def _parameters_cell(parameters: Mapping[str, Any] | None) -> str:
    if parameters is None:
        return "<none>"
    kind, group = parameters.get("kind", ""), parameters.get("apiGroup")
    return f"{kind}.{group}/{parameters.get('name', '')}" if group else f"{kind}/{parameters.get('name', '')}"


def _validate_parameters(parameters: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    yield from validate_typed_reference(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        yield required(f"{path}.scope")
    elif scope not in _SCOPES:
        yield not_supported(f"{path}.scope", scope, _SCOPES)
    elif scope == "Cluster":
        if namespace is not None:
            yield forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif namespace is None:
        yield required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
    else:
        yield from named(is_dns1123_label, namespace, f"{path}.namespace")
