"""Which requests a policy, a binding or a webhook is about: rules, and selectors of the namespace and the object.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/matching, plugin/webhook/predicates
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import Attributes
from apiserver.admission.policies.views import Versions
from openapi.catalog import Resource
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

    def __init__(self, namespaces: Lookup, versions: Versions) -> None:
        self._namespaces = namespaces
        self._versions = versions

    async def match(
        self, attributes: Attributes, match: Struct | None, rules_field: str = "resourceRules"
    ) -> Resource | None:
        """At which version of the resource the request is meant; None if it is not.

        `match` has rules, exclusions and selectors, each optional; None matches everything.
        """
        asked = attributes.requested or attributes.resource
        if match is None:
            return asked
        if match.get("excludeResourceRules") and self._by_rules(attributes, asked, match, "excludeResourceRules"):
            return None
        row = self._by_rules(attributes, asked, match, rules_field) if match.get(rules_field) else asked
        if row is None or not self._object_matches(attributes, match.get("objectSelector")):
            return None
        return row if await self._namespace_matches(attributes, match.get("namespaceSelector")) else None

    def _by_rules(self, attributes: Attributes, asked: Resource, match: Struct, field: str) -> Resource | None:
        """The version that was asked for, if a rule names it; else the first that one names, where those count too."""
        rules = match[field]
        if any(_rule_matches(rule, attributes, asked) for rule in rules):
            return asked
        if match.get("matchPolicy", "Equivalent") != "Equivalent":
            return None
        others = self._versions.others(asked)
        return next((row for rule in rules for row in others if _rule_matches(rule, attributes, row)), None)

    def _object_matches(self, attributes: Attributes, selector: Struct | None) -> bool:
        if not selector:
            return True
        wanted = from_label_selector(selector)
        objects = (attributes.obj, attributes.old)
        metas = (o["metadata"] for o in objects if o is not None and "metadata" in o)
        return any(wanted.matches(meta.get("labels") or {}) for meta in metas)

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


def _rule_matches(rule: Struct, attributes: Attributes, row: Resource) -> bool:
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
