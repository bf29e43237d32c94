"""Flow schemas: which requests belong to which priority level.

Follows: pkg/registry/flowcontrol/flowschema/strategy.go, pkg/apis/flowcontrol/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import named
from apiserver.resources.flowcontrol.columns import FLOW_SCHEMA
from apiserver.resources.flowcontrol.conditions import validate_conditions
from apiserver.resources.flowcontrol.fixed import EXEMPT, FLOW_SCHEMAS
from apiserver.resources.flowcontrol.shown import show_flow_schema
from apiserver.resources.object_meta import validate_object_meta
from apiserver.resources.spec_rules import EMPTY, verbatim
from apiserver.resources.status_only import StatusOnly
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, required
from openapi.meta.names import is_dns1123_label, is_dns1123_subdomain, name_is_dns_subdomain

Struct = Mapping[str, Any]

MAX_PRECEDENCE = 10_000
ALL = "*"
_METHODS = ("ByNamespace", "ByUser")
_VERBS = frozenset(("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"))
_FIELD_OF_KIND = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
_FORBIDDEN_ORDER = ("serviceAccount", "user", "group")
_KIND_OF_FIELD = {field: kind for kind, field in _FIELD_OF_KIND.items()}


class FlowSchemaStatus(StatusOnly):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        return validate_conditions(obj)


class FlowSchemaStrategy(WithStatus):
    subresources = {"status": FlowSchemaStatus()}
    columns = FLOW_SCHEMA

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        name, spec = obj["metadata"].get("name", ""), obj.get("spec") or EMPTY
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        yield from _validate_spec(name, spec)
        if name in FLOW_SCHEMAS and spec != FLOW_SCHEMAS[name]:
            yield invalid("spec", show_flow_schema(spec), f"spec of '{name}' must equal the fixed value")
        yield from validate_conditions(obj)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        method = spec.get("distinguisherMethod")
        conditions = (obj.get("status") or EMPTY).get("conditions") or ()
        return [
            meta.get("name", ""),
            (spec.get("priorityLevelConfiguration") or EMPTY).get("name", ""),
            spec.get("matchingPrecedence", 0),
            "<none>" if method is None else method.get("type", ""),
            age(meta.get("creationTimestamp"), now),
            next((c.get("status", "") for c in conditions if c.get("type") == "Dangling"), "?"),
        ]


def _validate_spec(name: str, spec: Struct) -> Iterator[FieldError]:
    precedence, path = spec.get("matchingPrecedence", 0), "spec.matchingPrecedence"
    if precedence <= 0:
        yield invalid(path, precedence, "must be a positive value")
    if precedence > MAX_PRECEDENCE:
        yield invalid(path, precedence, f"must not be greater than {MAX_PRECEDENCE}")
    if precedence == 1 and name != EXEMPT:
        yield invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in _METHODS:
        yield not_supported("spec.distinguisherMethod.type", verbatim({"Type": method.get("type", "")}), _METHODS)
    level = (spec.get("priorityLevelConfiguration") or EMPTY).get("name", "")
    if level:
        yield from named(is_dns1123_subdomain, level, "spec.priorityLevelConfiguration.name")
    else:
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    for i, rule in enumerate(spec.get("rules") or ()):
        yield from _validate_rule(rule, f"spec.rules[{i}]")


def _validate_rule(rule: Struct, path: str) -> Iterator[FieldError]:
    subjects = rule.get("subjects") or ()
    if not subjects:
        yield required(f"{path}.subjects", "subjects must contain at least one value")
    for i, subject in enumerate(subjects):
        yield from _validate_subject(subject, f"{path}.subjects[{i}]")
    resource_rules, path_rules = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resource_rules and not path_rules:
        yield required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for i, resource_rule in enumerate(resource_rules):
        yield from _validate_resource_rule(resource_rule, f"{path}.resourceRules[{i}]")
    for i, path_rule in enumerate(path_rules):
        yield from _validate_path_rule(path_rule, f"{path}.nonResourceRules[{i}]")


def _validate_subject(subject: Struct, path: str) -> Iterator[FieldError]:
    kind = subject.get("kind", "")
    field = _FIELD_OF_KIND.get(kind)
    if field is None:
        yield not_supported(f"{path}.kind", kind, _FIELD_OF_KIND)
        return
    value = subject.get(field)
    if value is None:
        yield required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'")
    elif field == "serviceAccount":
        yield from _validate_account(value, f"{path}.{field}")
    elif not value.get("name"):
        yield required(f"{path}.{field}.name")
    for other in _FORBIDDEN_ORDER:
        if other != field and subject.get(other) is not None:
            text = f"{other} is forbidden when subject kind is not '{_KIND_OF_FIELD[other]}'"
            yield forbidden(f"{path}.{other}", text)


def _validate_account(account: Struct, path: str) -> Iterator[FieldError]:
    name, namespace = account.get("name", ""), account.get("namespace", "")
    if not name:
        yield required(f"{path}.name")
    elif name != ALL:
        yield from named(is_dns1123_subdomain, name, f"{path}.name")
    if namespace:
        yield from named(is_dns1123_label, namespace, f"{path}.namespace")
    else:
        yield required(f"{path}.namespace", "must specify namespace for service account")


def _validate_verbs(verbs: Sequence[str], path: str) -> Iterator[FieldError]:
    if not verbs:
        yield required(path, "verbs must contain at least one value")
    elif ALL in verbs:
        yield from _alone(verbs, path, "verbs")
    elif not _VERBS.issuperset(verbs):
        yield not_supported(path, list(verbs), _VERBS)


def _alone(values: Sequence[str], path: str, others: str) -> Iterator[FieldError]:
    """`*` has no company."""
    if ALL in values and len(values) > 1:
        yield invalid(path, list(values), f"if '*' is present, must not specify other {others}")


def _validate_resource_rule(rule: Struct, path: str) -> Iterator[FieldError]:
    yield from _validate_verbs(rule.get("verbs") or (), f"{path}.verbs")
    groups, resources, namespaces = (rule.get(f) or () for f in ("apiGroups", "resources", "namespaces"))
    if not groups:
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    yield from _alone(groups, f"{path}.apiGroups", "api groups")
    if not resources:
        yield required(f"{path}.resources", "resource rules must supply at least one resource")
    yield from _alone(resources, f"{path}.resources", "resources")
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        yield required(f"{path}.namespaces", text)
    elif ALL in namespaces:
        yield from _alone(namespaces, f"{path}.namespaces", "namespaces")
    else:
        for i, namespace in enumerate(namespaces):
            for problem in is_dns1123_label(namespace):
                text = f"each member of this list must be '*' or a DNS-1123 label; {problem}"
                yield invalid(f"{path}.namespaces[{i}]", namespace, text)


def _validate_path_rule(rule: Struct, path: str) -> Iterator[FieldError]:
    yield from _validate_verbs(rule.get("verbs") or (), f"{path}.verbs")
    paths, where = rule.get("nonResourceURLs") or (), f"{path}.nonResourceURLs"
    if not paths:
        yield required(where, "nonResourceURLs must contain at least one value")
    elif ALL in paths:
        yield from _alone(paths, where, "non-resource URLs")
    else:
        for i, text in enumerate(paths):
            problem = _path_problem(text)
            if problem:
                yield invalid(f"{where}[{i}]", text, problem)


def _path_problem(path: str) -> str:
    """What is wrong with a path of the server; '' if nothing."""
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars == 1 and not path.endswith("/*")) else ""
