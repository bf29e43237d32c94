"""Rules of webhooks and policies: which operations on which resources they concern.

Follows: pkg/apis/admissionregistration/validation/validation.go validateRuleWithOperations
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.field_rules import first_use, named
from apiserver.resources.spec_rules import EMPTY
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, not_supported_listed, required
from openapi.meta.names import is_path_segment
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]

ALL = "*"
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_MUTATING = ("*", "CONNECT", "CREATE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_MATCH_POLICIES = ("Equivalent", "Exact")


def validate_rule(rule: Struct, path: str) -> Iterator[FieldError]:
    """A rule with its operations."""
    operations = rule.get("operations") or ()
    yield from _listed(operations, f"{path}.operations", "operations")
    for i, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            yield not_supported(f"{path}.operations[{i}]", operation, _OPERATIONS)
    yield from _listed(rule.get("apiGroups") or (), f"{path}.apiGroups", "API groups")
    versions = rule.get("apiVersions") or ()
    yield from _listed(versions, f"{path}.apiVersions", "API versions")
    for i, version in enumerate(versions):
        if not version:
            yield required(f"{path}.apiVersions[{i}]")
    yield from _validate_resources(rule.get("resources") or (), f"{path}.resources")
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        yield not_supported(f"{path}.scope", scope, _SCOPES)


def _listed(values: Sequence[str], path: str, noun: str) -> Iterator[FieldError]:
    if not values:
        yield required(path)
    elif len(values) > 1 and ALL in values:
        yield invalid(path, list(values), f"if '*' is present, must not specify other {noun}")


def _validate_resources(resources: Sequence[str], path: str) -> Iterator[FieldError]:
    if not resources:
        yield required(path)
    all_subresources: set[str] = set()
    of_all_resources: set[str] = set()
    has_plain = False
    for i, text in enumerate(resources):
        resource, slash, subresource = text.partition("/")
        if not text:
            yield required(f"{path}[{i}]")
        elif not slash:
            has_plain = text != ALL
        else:
            if resource in all_subresources:
                yield invalid(f"{path}[{i}]", text, f"if '{resource}/*' is present, must not specify {text}")
            if subresource in of_all_resources:
                yield invalid(f"{path}[{i}]", text, f"if '*/{subresource}' is present, must not specify {text}")
            if subresource == ALL:
                all_subresources.add(resource)
            if resource == ALL:
                of_all_resources.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, list(resources), "if '*/*' is present, must not specify other resources")
    if ALL in resources and has_plain:
        text = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, list(resources), text)


def validate_match_resources(match: Struct, path: str) -> Iterator[FieldError]:
    """What a policy or its binding is limited to."""
    policy = match.get("matchPolicy")
    if policy is None:
        yield required(f"{path}.matchPolicy")
    elif policy not in _MATCH_POLICIES:
        yield not_supported(f"{path}.matchPolicy", policy, _MATCH_POLICIES)
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            yield required(f"{path}.{name}")
        else:
            yield from validate_label_selector(match[name], f"{path}.{name}")
    for name in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(name) or ()):
            yield from _validate_named_rule(rule, f"{path}.{name}[{i}]")


def validate_mutating_operations(match: Struct, path: str) -> Iterator[FieldError]:
    """What is deleted cannot be changed any more."""
    for rule in match.get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            if operation not in _MUTATING:
                yield not_supported(f"{path}.resourceRules.operations", operation, _MUTATING)


def _validate_named_rule(rule: Struct, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, name in enumerate(rule.get("resourceNames") or ()):
        yield from named(is_path_segment, name, f"{path}.resourceNames[{i}]")
        yield from first_use(name, seen, f"{path}.resourceNames[{i}]")
    yield from validate_rule(rule, path)


def validate_param_ref(reference: Struct | None, path: str) -> Iterator[FieldError]:
    """Where a binding's parameters are: one object by name, or those that a selector finds."""
    if reference is None:
        return
    name, selector = reference.get("name", ""), reference.get("selector")
    text = "name and selector are mutually exclusive"
    if name:
        yield from named(is_path_segment, name, f"{path}.name")
        if selector is not None:
            yield forbidden(f"{path}.name", text)
    if selector is not None:
        yield from validate_label_selector(selector, f"{path}.selector")
        if name:
            yield forbidden(f"{path}.selector", text)
    if not name and selector is None:
        yield required(path, "one of name or selector must be specified")
    action = reference.get("parameterNotFoundAction", "")
    if not action:
        yield required(f"{path}.parameterNotFoundAction")
    elif action not in ("Deny", "Allow"):
        yield not_supported_listed(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow"))


def param_kind_cell(spec: Struct) -> str:
    kind = spec.get("paramKind")
    if kind is None:
        return "<unset>"
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def param_ref_cell(spec: Struct) -> str:
    reference = spec.get("paramRef") or EMPTY
    if not reference:
        return "<unset>"
    name = reference.get("name") or "*"
    return f"{reference.get('namespace') or '*'}/{name}"
