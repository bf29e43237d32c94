"""Which objects a quota with scopes is about.

Follows: pkg/quota/v1/evaluator/core/{pods,persistent_volume_claims}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.kinds.pod_resources import qos_class

Object = dict[str, Any]

EXISTS, DOES_NOT_EXIST, IN, NOT_IN = "Exists", "DoesNotExist", "In", "NotIn"
_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def scope_selectors(quota: Object) -> Iterator[Mapping[str, Any]]:
    """All that an object must satisfy: plain scopes as requirements that they hold, then the selector's."""
    spec = quota.get("spec") or {}
    for scope in spec.get("scopes") or ():
        yield {"scopeName": scope, "operator": EXISTS}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def pod_in_scope(selector: Mapping[str, Any], pod: Object) -> bool:
    spec, scope = pod.get("spec") or {}, selector.get("scopeName")
    if scope in ("Terminating", "NotTerminating"):
        ends = (spec.get("activeDeadlineSeconds") or 0) >= 0 and spec.get("activeDeadlineSeconds") is not None
        return bool(ends == (scope == "Terminating"))
    if scope in ("BestEffort", "NotBestEffort"):
        quality = (pod.get("status") or {}).get("qosClass") or qos_class(spec)
        return bool((quality == "BestEffort") == (scope == "BestEffort"))
    if scope == "PriorityClass":
        name = spec.get("priorityClassName")
        return _holds(selector, {name} if name else set())
    if scope == "CrossNamespacePodAffinity":
        return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in _terms(spec))
    return False


def claim_in_scope(selector: Mapping[str, Any], claim: Object) -> bool:
    if selector.get("scopeName") != "VolumeAttributesClass":
        return False
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    names = {
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return _holds(selector, {name for name in names if name})


def _holds(selector: Mapping[str, Any], names: set[str]) -> bool:
    """Whether any of `names` (or that there is none) satisfies the requirement."""
    operator, values = selector.get("operator"), set(selector.get("values") or ())
    if operator == EXISTS:
        return bool(names)
    if operator == DOES_NOT_EXIST:
        return not names
    if operator == IN:
        return bool(names & values)
    return not names or bool(names - values)


def _terms(spec: Object) -> Iterator[Object]:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        group = affinity.get(kind) or {}
        yield from group.get(_TERMS) or ()
        for weighted in group.get(_PREFERRED) or ():
            yield weighted.get("podAffinityTerm") or {}
