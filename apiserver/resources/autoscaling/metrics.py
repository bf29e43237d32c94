"""The metrics of an autoscaler: what is wrong with them, and how a Table sums them up.

Follows: pkg/apis/autoscaling/validation/validation.go, pkg/printers/internalversion/printers.go formatHPAMetrics
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.field_rules import named
from apiserver.resources.resource_names import validate_container_resource_name
from apiserver.resources.spec_rules import EMPTY
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, required
from openapi.meta.names import is_dns1123_label, is_path_segment
from openapi.meta.quantity import Quantity

Struct = Mapping[str, Any]

# What a metric type calls its source, in the order the sources are looked at.
SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS = ("Utilization", "Value", "AverageValue")

# Tables have room for this many metrics.
SHOWN = 2


def validate_metrics(metrics: Sequence[Struct], path: str, *, lax_object_versions: bool) -> Iterator[FieldError]:
    for index, metric in enumerate(metrics):
        yield from _validate_metric(metric, f"{path}[{index}]", lax_object_versions)


def _validate_metric(metric: Struct, path: str, lax_object_versions: bool) -> Iterator[FieldError]:
    kind = metric.get("type", "")
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in SOURCES:
        yield not_supported(f"{path}.type", kind, SOURCES)
    present = [name for name in SOURCES.values() if name in metric]
    if present:
        name = present[0]
        if name == "object":
            yield from _validate_object(metric[name], f"{path}.{name}", lax_object_versions)
        else:
            yield from _VALIDATORS[name](metric[name], f"{path}.{name}")
    expected = SOURCES.get(kind)
    if expected is None:
        yield not_supported(f"{path}.type", kind, SOURCES)
    elif expected not in present:
        yield required(f"{path}.{expected}", "must populate information for the given metric source")
    if len(present) > 1:
        for name in present:
            if name != expected:
                yield forbidden(f"{path}.{name}", "must populate the given metric source only")


def validate_reference(
    reference: Struct, path: str, *, lax_version: bool = False, empty_group: bool = False
) -> Iterator[FieldError]:
    """A reference to an object of any version; `lax_version` lets any apiVersion through, `empty_group` the core's."""
    for name in ("kind", "name"):
        value = reference.get(name, "")
        if not value:
            yield required(f"{path}.{name}")
        else:
            yield from named(is_path_segment, value, f"{path}.{name}")
    version = reference.get("apiVersion", "")
    problem = None if lax_version else version_problem(version, empty_group)
    if problem:
        yield invalid(f"{path}.apiVersion", version, problem)


def version_problem(version: str, empty_group: bool) -> str | None:
    """Why `group/version` is none."""
    if version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    group = version.partition("/")[0] if "/" in version else ""
    return None if group or empty_group else "apiVersion must specify API group"


def _validate_object(source: Struct, path: str, lax_version: bool) -> Iterator[FieldError]:
    described = source.get("describedObject") or EMPTY
    yield from validate_reference(described, f"{path}.describedObject", lax_version=lax_version, empty_group=True)
    target = yield from _identified_target(source, path)
    if "value" not in target and "averageValue" not in target:
        yield required(f"{path}.target.averageValue", "must set either a target value or averageValue")


def _validate_external(source: Struct, path: str) -> Iterator[FieldError]:
    target = yield from _identified_target(source, path)
    if "value" not in target and "averageValue" not in target:
        text = "must set either a target value for metric or a per-pod target"
        yield required(f"{path}.target.averageValue", text)
    if "value" in target and "averageValue" in target:
        yield forbidden(f"{path}.target.value", "may not set both a target value for metric and a per-pod target")


def _validate_pods(source: Struct, path: str) -> Iterator[FieldError]:
    target = yield from _identified_target(source, path)
    if "averageValue" not in target:
        yield required(f"{path}.target.averageValue", "must specify a positive target averageValue")


def _validate_resource(source: Struct, path: str) -> Iterator[FieldError]:
    if not source.get("name"):
        yield required(f"{path}.name", "must specify a resource name")
    yield from _resource_target(source, path)


def _validate_container_resource(source: Struct, path: str) -> Iterator[FieldError]:
    name, container = source.get("name", ""), source.get("container", "")
    if not name:
        yield required(f"{path}.name", "must specify a resource name")
    else:
        yield from validate_container_resource_name(name, f"{path}.name")
    if not container:
        yield required(f"{path}.container", "must specify a container")
    else:
        yield from named(is_dns1123_label, container, f"{path}.container")
    yield from _resource_target(source, path)


def _resource_target(source: Struct, path: str) -> Iterator[FieldError]:
    target = source.get("target") or EMPTY
    yield from _validate_target(target, f"{path}.target")
    if "averageUtilization" not in target and "averageValue" not in target:
        text = "must set either a target raw value or a target utilization"
        yield required(f"{path}.target.averageUtilization", text)
    if "averageUtilization" in target and "averageValue" in target:
        text = "may not set both a target raw value and a target utilization"
        yield forbidden(f"{path}.target.averageValue", text)


def _identified_target(source: Struct, path: str) -> Generator[FieldError, None, Struct]:
    """Check the metric's name and the target; the target is what the generator returns."""
    name = (source.get("metric") or EMPTY).get("name", "")
    if not name:
        yield required(f"{path}.metric.name", "must specify a metric name")
    else:
        yield from named(is_path_segment, name, f"{path}.metric.name")
    target: Struct = source.get("target") or EMPTY
    yield from _validate_target(target, f"{path}.target")
    return target


def _validate_target(target: Struct, path: str) -> Iterator[FieldError]:
    kind = target.get("type", "")
    if not kind:
        yield required(f"{path}.type", "must specify a metric target type")
    if kind not in _TARGETS:
        yield invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        if name in target and Quantity.parse(target[name]).sign <= 0:
            yield invalid(f"{path}.{name}", target[name], "must be positive")
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        yield invalid(f"{path}.averageUtilization", utilization, "must be greater than 0")


_VALIDATORS: Mapping[str, Callable[[Struct, str], Iterator[FieldError]]] = {
    "external": _validate_external,
    "pods": _validate_pods,
    "resource": _validate_resource,
    "containerResource": _validate_container_resource,
}


def metrics_cell(specs: Sequence[Struct], statuses: Sequence[Struct]) -> str:
    """`cpu: 40%/60%, 7/5 + 3 more...`: current over wanted values."""
    if not specs:
        return "<none>"
    shown = [_metric_text(spec, statuses[i] if i < len(statuses) else EMPTY) for i, spec in enumerate(specs)]
    text = ", ".join(shown[:SHOWN])
    return f"{text} + {len(shown) - SHOWN} more..." if len(shown) > SHOWN else text


def _metric_text(spec: Struct, status: Struct) -> str:
    source = SOURCES.get(spec.get("type", ""))
    if source is None:
        return "<unknown type>"
    target = (spec.get(source) or EMPTY).get("target") or EMPTY
    current = (status.get(source) or EMPTY).get("current") or EMPTY
    if source in ("resource", "containerResource"):
        return f"{spec[source].get('name', '')}: {_resource_text(target, current)}"
    if source == "pods":
        return f"{current.get('averageValue', '<unknown>')}/{target.get('averageValue', '0')}"
    if "averageValue" in target:
        return f"{current.get('averageValue', '<unknown>')}/{target['averageValue']} (avg)"
    return f"{current.get('value', '<unknown>')}/{target.get('value', '0')}"


def _resource_text(target: Struct, current: Struct) -> str:
    if "averageValue" in target:
        return f"{current.get('averageValue', '<unknown>')}/{target['averageValue']}"
    used, wanted = current.get("averageUtilization"), target.get("averageUtilization")
    return f"{'<unknown>' if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"
