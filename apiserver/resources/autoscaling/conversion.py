"""Autoscalers between versions 1 and 2.

Version 1 knows one metric, the CPU. What else version 2 holds travels in annotations: other metrics, all current
metrics, conditions and behaviour. On the way back the annotations are taken apart and removed.
Follows: pkg/apis/autoscaling/v1/conversion.go, pkg/apis/autoscaling/annotations.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from openapi.kinds.autoscaling_defaults import CPU_TARGET_PERCENT, cpu_metric
from openapi.kinds.autoscaling_defaults import METRICS_ANNOTATION as METRICS

Object = dict[str, Any]
Struct = Mapping[str, Any]

CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_ANNOTATIONS = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)

_EMPTY: Struct = {}
_SPEC_FIELDS = ("scaleTargetRef", "minReplicas", "maxReplicas")
_STATUS_FIELDS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
_RULES = (
    ("StabilizationWindowSeconds", "stabilizationWindowSeconds"),
    ("SelectPolicy", "selectPolicy"),
    ("Policies", "policies"),
    ("Tolerance", "tolerance"),
)
_POLICY = (("Type", "type"), ("Value", "value"), ("PeriodSeconds", "periodSeconds"))
_SIDES = (("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown"))


def to_v1(obj: Struct) -> Object:
    """The version 1 form of an autoscaler of version 2. `obj` stays as it is."""
    spec, status = obj.get("spec") or _EMPTY, obj.get("status") or _EMPTY
    metrics, current = spec.get("metrics") or (), status.get("currentMetrics") or ()
    new_spec = {name: spec[name] for name in _SPEC_FIELDS if name in spec}
    utilization = _cpu_utilization(metrics, "target")
    if utilization is not None:
        new_spec["targetCPUUtilizationPercentage"] = utilization
    new_status = {name: status[name] for name in _STATUS_FIELDS if name in status}
    new_status.setdefault("currentReplicas", 0)
    new_status.setdefault("desiredReplicas", 0)
    used = _cpu_utilization(current, "current")
    if used is not None:
        new_status["currentCPUUtilizationPercentage"] = used
    notes: dict[str, Any] = {
        METRICS: [_metric_to_v1(metric, "target") for metric in metrics if not _is_cpu_utilization(metric)],
        CURRENT_METRICS: [_metric_to_v1(metric, "current") for metric in current],
        CONDITIONS: status.get("conditions"),
        BEHAVIOR: _behavior_out(spec.get("behavior")),
    }
    added = {key: orjson.dumps(value).decode() for key, value in notes.items() if value}
    meta = _with_annotations(obj.get("metadata") or _EMPTY, added)
    head = {"kind": obj["kind"], "apiVersion": "autoscaling/v1", "metadata": meta}
    return head | {"spec": new_spec, "status": new_status}


def to_v2(obj: Struct) -> Object:
    """The version 2 form of an autoscaler of version 1. Annotations that cannot be read are dropped as if not there."""
    spec, status = obj.get("spec") or _EMPTY, obj.get("status") or _EMPTY
    notes = (obj.get("metadata") or _EMPTY).get("annotations") or _EMPTY
    metrics = [_metric_to_v2(metric, "target") for metric in _list_in(notes, METRICS)]
    utilization = spec.get("targetCPUUtilizationPercentage")
    if utilization is not None:
        metrics.append(cpu_metric(utilization))
    new_spec = {name: spec[name] for name in _SPEC_FIELDS if name in spec}
    new_spec["metrics"] = metrics or [cpu_metric(CPU_TARGET_PERCENT)]
    behavior = _behavior_in(notes)
    if behavior:
        new_spec["behavior"] = behavior
    new_status: Object = {name: status[name] for name in _STATUS_FIELDS if name in status}
    new_status.setdefault("desiredReplicas", 0)
    current = [_metric_to_v2(metric, "current") for metric in _list_in(notes, CURRENT_METRICS)]
    used = status.get("currentCPUUtilizationPercentage")
    if not current and used is not None:
        source = {"name": "cpu", "current": {"averageUtilization": used}}
        current = [{"type": "Resource", "resource": source}]
    new_status["currentMetrics"] = current or None
    conditions = _list_in(notes, CONDITIONS)
    if conditions:
        new_status["conditions"] = conditions
    meta = _with_annotations(obj.get("metadata") or _EMPTY, {})
    head = {"kind": obj["kind"], "apiVersion": "autoscaling/v2", "metadata": meta}
    return head | {"spec": new_spec, "status": new_status}


def _with_annotations(meta: Struct, added: dict[str, str]) -> Object:
    """The metadata with the carrying annotations replaced by `added`."""
    old = meta.get("annotations") or _EMPTY
    annotations = {key: value for key, value in old.items() if key not in _ANNOTATIONS} | added
    result = dict(meta)
    if annotations:
        result["annotations"] = annotations
    else:
        result.pop("annotations", None)
    return result


def _is_cpu(metric: Struct) -> bool:
    return metric.get("type") == "Resource" and (metric.get("resource") or _EMPTY).get("name") == "cpu"


def _is_cpu_utilization(metric: Struct) -> bool:
    return _is_cpu(metric) and "averageUtilization" in (metric["resource"].get("target") or _EMPTY)


def _cpu_utilization(metrics: Any, side: str) -> int | None:
    first = next((metric for metric in metrics if _is_cpu(metric)), None)
    if first is None:
        return None
    utilization: int | None = (first["resource"].get(side) or _EMPTY).get("averageUtilization")
    return utilization


def _list_in(notes: Struct, key: str) -> list[Any]:
    value = _json_in(notes, key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _json_in(notes: Struct, key: str) -> Any:
    try:
        return orjson.loads(notes.get(key, "null"))
    except ValueError:
        return None


# A metric in version 1 names its values by their role: `targetAverageValue`, `currentValue`. Object metrics say
# `averageValue` in either role, and the quantities that are not optional there are "0" when absent.


def _metric_to_v1(metric: Struct, side: str) -> Object:
    kind = metric.get("type", "")
    result: Object = {"type": kind}
    for name in ("object", "pods", "resource", "containerResource", "external"):
        if name in metric:
            result[name] = _source_to_v1(name, metric[name], side)
    return result


def _source_to_v1(name: str, source: Struct, side: str) -> Object:
    values = source.get(side) or _EMPTY
    found: Object = {}
    if name in ("resource", "containerResource"):
        found["name"] = source.get("name", "")
        _copy(values, "averageUtilization", found, f"{side}AverageUtilization")
        _copy(values, "averageValue", found, f"{side}AverageValue", None if side == "target" else "0")
        if name == "containerResource":
            found["container"] = source.get("container", "")
        return found
    metric = source.get("metric") or _EMPTY
    if name == "object":
        found["target"] = source.get("describedObject") or {}
        found["metricName"] = metric.get("name", "")
        _copy(values, "value", found, f"{side}Value", "0")
        _copy(metric, "selector", found, "selector")
        _copy(values, "averageValue", found, "averageValue")
    elif name == "pods":
        found["metricName"] = metric.get("name", "")
        _copy(values, "averageValue", found, f"{side}AverageValue", "0")
        _copy(metric, "selector", found, "selector")
    else:
        found["metricName"] = metric.get("name", "")
        _copy(metric, "selector", found, "metricSelector")
        _copy(values, "value", found, f"{side}Value", None if side == "target" else "0")
        _copy(values, "averageValue", found, f"{side}AverageValue")
    return found


def _metric_to_v2(metric: Struct, side: str) -> Object:
    result: Object = {"type": metric.get("type", "")}
    for name in ("object", "pods", "resource", "containerResource", "external"):
        if isinstance(metric.get(name), dict):
            result[name] = _source_to_v2(name, metric[name], side)
    return result


def _source_to_v2(name: str, source: Struct, side: str) -> Object:
    values: Object = {}
    found: Object = {}
    if name in ("resource", "containerResource"):
        found["name"] = source.get("name", "")
        if name == "containerResource":
            found["container"] = source.get("container", "")
        _copy(source, f"{side}AverageUtilization", values, "averageUtilization")
        _copy(source, f"{side}AverageValue", values, "averageValue")
        kind = "Utilization" if "averageUtilization" in values else "AverageValue"
    else:
        found["metric"] = {"name": source.get("metricName", "")}
        _copy(source, "metricSelector" if name == "external" else "selector", found["metric"], "selector")
        kind = _copy_values(name, source, side, values)
        if name == "object":
            found["describedObject"] = source.get("target") or {}
    if side == "target":
        values["type"] = kind
    found[side] = values
    return found


def _copy_values(name: str, source: Struct, side: str, values: Object) -> str:
    """Read a named metric's values; the type of target they make is returned."""
    if name == "pods":
        _copy(source, f"{side}AverageValue", values, "averageValue", "0")
        return "AverageValue"
    _copy(source, f"{side}Value", values, "value", "0" if name == "object" else None)
    _copy(source, "averageValue" if name == "object" else f"{side}AverageValue", values, "averageValue")
    if name == "object":
        if "averageValue" in values and values["value"] in ("0", 0):
            # What the annotation cannot leave out was never asked for.
            del values["value"]
        return "AverageValue" if "averageValue" in values else "Value"
    return "Value" if "value" in values else "AverageValue"


def _copy(source: Struct, name: str, target: Object, new_name: str, absent: Any = None) -> None:
    value = source.get(name, absent)
    if value is not None:
        target[new_name] = value


# Behaviour is carried in the server's internal form, with its names and nulls.


def _behavior_out(behavior: Struct | None) -> Object | None:
    if behavior is None:
        return None
    return {go: _rules_out(behavior.get(name)) for go, name in _SIDES}


def _rules_out(rules: Struct | None) -> Object | None:
    if rules is None:
        return None
    shown = {go: rules.get(name) for go, name in _RULES}
    if shown["Policies"] is not None:
        shown["Policies"] = [{go: policy.get(name) for go, name in _POLICY} for policy in shown["Policies"]]
    return shown


def _behavior_in(notes: Struct) -> Object:
    value = _json_in(notes, BEHAVIOR)
    if not isinstance(value, dict):
        return {}
    return {name: _rules_in(value[go]) for go, name in _SIDES if isinstance(value.get(go), dict)}


def _rules_in(rules: Struct) -> Object:
    found = {name: rules[go] for go, name in _RULES if rules.get(go) is not None}
    if isinstance(found.get("policies"), list):
        policies = [policy for policy in found["policies"] if isinstance(policy, dict)]
        found["policies"] = [{name: policy[go] for go, name in _POLICY if go in policy} for policy in policies]
    return found
