"""Roles and cluster roles: rules of what may be done.

Follows: pkg/registry/rbac/{role,clusterrole}/strategy.go, pkg/apis/rbac/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import has_invalid_values, selector_of
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.names import is_path_segment
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]


def rbac_name(name: str, prefix: bool) -> list[str]:
    """Anything that fits into a path: names of roles carry colons."""
    return is_path_segment(name)


class RoleStrategy(Strategy):
    allow_create_on_update = True
    namespaced = True

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=self.namespaced, name=rbac_name)
        for index, rule in enumerate(obj.get("rules") or ()):
            yield from _validate_rule(rule, self.namespaced, f"rules[{index}]")
        yield from self.validate_aggregation(obj, old)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])

    def validate_aggregation(self, obj: Object, old: Object | None) -> Iterator[FieldError]:
        """Only cluster roles are made of others."""
        yield from ()


class ClusterRoleStrategy(RoleStrategy):
    namespaced = False

    def validate_aggregation(self, obj: Object, old: Object | None) -> Iterator[FieldError]:
        rule = obj.get("aggregationRule")
        if rule is None:
            return
        path = "aggregationRule.clusterRoleSelectors"
        selectors = rule.get("clusterRoleSelectors") or ()
        if not selectors:
            yield required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
        old_rule = ((old or {}).get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        lax = any(has_invalid_values(selector) for selector in old_rule)
        for index, selector in enumerate(selectors):
            yield from validate_label_selector(selector, f"{path}[{index}]", allow_invalid_values=lax)
            if selector_of(selector) is None:
                yield invalid(f"{path}[{index}]", None, "invalid label selector.")


def _validate_rule(rule: Struct, namespaced: bool, path: str) -> Iterator[FieldError]:
    if not rule.get("verbs"):
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls:
        if namespaced:
            yield invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(f"{path}.nonResourceURLs", urls, text)
        return
    if not rule.get("apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")
