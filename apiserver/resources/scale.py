"""The scale of a workload: how many pods it wants and has, as one small object of autoscaling/v1.

A strategy that can be scaled says where its numbers are (`scale = ScaleFields(...)`); `to_scale` reads them into a
Scale, `apply_scale` writes a changed Scale back, `validate_scale` checks one.
Follows: pkg/registry/apps/deployment/storage/storage.go ScaleREST, pkg/apis/autoscaling/validation ValidateScale
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import NEGATIVE
from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column, Object
from openapi.meta.field import FieldError, invalid
from openapi.meta.metadata import validate_object_meta
from openapi.meta.names import name_is_dns_subdomain
from openapi.meta.selectors import from_label_selector

SCALE_API_VERSION = "autoscaling/v1"
SCALE_KIND = "Scale"
COLUMNS: tuple[Column, ...] = (
    replace(NAME_COLUMN, format=""),
    Column("Desired", "integer", "replicas is the desired number of instances for the scaled object."),
    Column("Available", "integer", "replicas is the actual number of observed instances of the scaled object."),
    AGE_COLUMN,
)

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


@dataclass(frozen=True, slots=True)
class ScaleFields:
    """Where an object keeps its scale: paths from its root.

    `selector` leads to a label selector, to a map of labels (`labels_only`) or to a selector's text (`text`); () if the
    kind tells none. A path that is not there reads as 0 or no selector; `needs_spec` names the path of wanted replicas
    where that is an error.
    """

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")
    labels_only: bool = False
    text: bool = False
    needs_spec: str = ""


WORKLOAD_SCALE = ScaleFields()
LABELS_SCALE = ScaleFields(labels_only=True)


def to_scale(obj: Mapping[str, Any], fields: ScaleFields = WORKLOAD_SCALE) -> Object:
    """The Scale of `obj`. Raises SelectorError if the object's selector is none."""
    meta = obj["metadata"]
    spec: Object = {}
    desired = _at(obj, fields.spec_replicas) or 0
    if desired:
        spec["replicas"] = desired
    status: Object = {"replicas": _at(obj, fields.status_replicas) or 0}
    selector = _selector_text(obj, fields)
    if selector:
        status["selector"] = selector
    return {
        "kind": SCALE_KIND,
        "apiVersion": SCALE_API_VERSION,
        "metadata": {name: meta[name] for name in _METADATA if name in meta},
        "spec": spec,
        "status": status,
    }


def has_replicas(obj: Mapping[str, Any], fields: ScaleFields) -> bool:
    """Whether the wanted replicas are there at all."""
    return _at(obj, fields.spec_replicas) is not None


def apply_scale(obj: Object, scale: Mapping[str, Any], fields: ScaleFields = WORKLOAD_SCALE) -> None:
    """Write the Scale's wish into `obj`, in place, and its resourceVersion: the update is checked against that."""
    *parents, last = fields.spec_replicas
    target = obj
    for name in parents:
        target = target.setdefault(name, {})
    target[last] = (scale.get("spec") or {}).get("replicas", 0)
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version:
        obj["metadata"]["resourceVersion"] = version


def validate_scale(scale: Mapping[str, Any]) -> Iterator[FieldError]:
    """What is wrong with a Scale that replaces another."""
    yield from validate_object_meta(scale["metadata"], namespaced=True, name=name_is_dns_subdomain)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        yield invalid("spec.replicas", replicas, NEGATIVE)


def scale_cells(scale: Mapping[str, Any], now: datetime) -> list[Any]:
    """The cells of a Scale in the order of `COLUMNS`."""
    meta = scale["metadata"]
    desired, actual = scale["spec"].get("replicas", 0), scale["status"].get("replicas", 0)
    return [meta.get("name", ""), desired, actual, age(meta.get("creationTimestamp"), now)]


def _selector_text(obj: Mapping[str, Any], fields: ScaleFields) -> str:
    selector = _at(obj, fields.selector) if fields.selector else None
    if selector is None:
        return ""
    if fields.text:
        return str(selector)
    return str(from_label_selector({"matchLabels": selector} if fields.labels_only else selector))


def _at(obj: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = obj
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
