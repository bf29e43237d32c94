"""Which requests a policy, a binding or a webhook is about: rules, and selectors of the namespace and the object.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/matching, plugin/webhook/predicates
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import Attributes
from openapi.meta.selectors import from_label_selector

Object = dict[str, Any]
Struct = Mapping[str, Any]

CONFIGURATION = "admissionregistration.k8s.io"
_NEVER = frozenset(("authentication.k8s.io", "authorization.k8s.io"))


def is_exempt(attributes: Attributes) -> bool:
    """What decides about admission, and who asks what he may, is never asked about itself."""
    group = attributes.resource.group
    return group == CONFIGURATION or group in _NEVER


class Matcher:
    """Matches requests; looks namespaces up for their labels."""

    def __init__(self, namespaces: Lookup) -> None:
        self._namespaces = namespaces

    async def matches(self, attributes: Attributes, match: Struct | None, rules_field: str = "resourceRules") -> bool:
        """`match` has rules, exclusions and selectors, each optional; None matches everything."""
        if match is None:
            return True
        rules = match.get(rules_field)
        if rules and not any(_rule_matches(rule, attributes) for rule in rules):
            return False
        if any(_rule_matches(rule, attributes) for rule in match.get("excludeResourceRules") or ()):
            return False
        if not self._object_matches(attributes, match.get("objectSelector")):
            return False
        return await self._namespace_matches(attributes, match.get("namespaceSelector"))

    def _object_matches(self, attributes: Attributes, selector: Struct | None) -> bool:
        if not selector:
            return True
        wanted = from_label_selector(selector)
        objects = (attributes.obj, attributes.old)
        return any(o is not None and wanted.matches(o["metadata"].get("labels") or {}) for o in objects)

    async def _namespace_matches(self, attributes: Attributes, selector: Struct | None) -> bool:
        if not selector:
            return True
        labels = await self.namespace_labels(attributes)
        return labels is None or from_label_selector(selector).matches(labels)

    async def namespace_labels(self, attributes: Attributes) -> Struct | None:
        """Labels of the namespace that a request is about; None for other cluster-scoped objects."""
        if attributes.resource.resource == "namespaces" and not attributes.resource.group:
            found = attributes.obj or attributes.old or {"metadata": {}}
            labels: Struct = found["metadata"].get("labels") or {}
            return labels
        if not attributes.resource.namespaced:
            return None
        entry = await self._namespaces.find("", attributes.namespace)
        return {} if entry is None else entry.labels

    async def namespace_object(self, attributes: Attributes) -> Object | None:
        if not attributes.resource.namespaced:
            return None
        entry = await self._namespaces.find("", attributes.namespace)
        return None if entry is None else entry.object()


def _rule_matches(rule: Struct, attributes: Attributes) -> bool:
    row = attributes.resource
    scope = rule.get("scope", "*")
    return (
        _holds(rule.get("operations"), attributes.operation)
        and _holds(rule.get("apiGroups"), row.group)
        and _holds(rule.get("apiVersions"), row.version)
        and (scope == "*" or (scope == "Namespaced") == row.namespaced)
        and _resource_matches(rule.get("resources") or (), row.resource, attributes.subresource)
        and (not rule.get("resourceNames") or attributes.name in rule["resourceNames"])
    )


def _holds(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)


def _resource_matches(patterns: Sequence[str], resource: str, subresource: str) -> bool:
    for pattern in patterns:
        wanted, _, part = pattern.partition("/")
        if pattern == "*/*" or (wanted in ("*", resource) and part in ("*", subresource)):
            return True
    return False
