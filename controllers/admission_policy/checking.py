"""Checks a policy's expressions against the fields of the kinds that it is about. Pure.

A warning never keeps a policy from working. Kinds are known by the built-in schemas and those of custom definitions.
Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from controllers.runtime.objects import Object, View
from openapi.catalog import GroupVersionKind, GroupVersionResource, split_api_version
from openapi.cel.admission import checked_variables
from openapi.cel.objects import type_of
from openapi.cel.types import DYN, CelType, StructOf
from openapi.kinds import RESOURCES
from openapi.schema.load import OBJECT_META, node_for, schema_for

MAX_KINDS = 10
"""So many kinds are looked at for one rule: a policy that names hundreds must not cost that much."""

_KINDS: Mapping[GroupVersionResource, GroupVersionKind] = {row.gvr: row.gvk for row in RESOURCES}

Schemas = Mapping[GroupVersionKind, CelType]


class Kinds:
    """The kinds that can be checked: the built-in ones, and those of `definitions` (CustomResourceDefinitions)."""

    def __init__(self, definitions: Iterable[View] = ()) -> None:
        self._custom: dict[GroupVersionResource, tuple[GroupVersionKind, View]] = {}
        for definition in definitions:
            spec = definition["spec"]
            for version in filter(lambda one: one.get("served"), spec["versions"]):
                gvr = GroupVersionResource(spec["group"], version["name"], spec["names"]["plural"])
                gvk = GroupVersionKind(spec["group"], version["name"], spec["names"]["kind"])
                self._custom[gvr] = (gvk, version)

    def of_resource(self, gvr: GroupVersionResource) -> GroupVersionKind | None:
        custom = self._custom.get(gvr)
        return custom[0] if custom is not None else _KINDS.get(gvr)

    def type(self, gvk: GroupVersionKind) -> CelType | None:
        """The type of its objects; None for kinds that are not known."""
        if gvk in _KINDS.values():
            return type_of(schema_for(gvk)) or DYN
        for known, version in self._custom.values():
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            if known == gvk and schema is not None:
                return _custom_type(schema)
        return None


def _custom_type(schema: View) -> CelType:
    """The type of a custom kind, with the whole of its metadata."""
    # Only clusters with policies for custom kinds pay for loading this.
    from openapi.custom.rules import cel_type

    kind, metadata = cel_type(schema, is_root=True), type_of(node_for(OBJECT_META)) or DYN
    if not isinstance(kind, StructOf):
        return kind
    fields = ((name, metadata if name == "metadata" else value) for name, value in kind.fields)
    return StructOf(kind.name, tuple(fields))


def expression_warnings(policy: View, kinds: Kinds) -> list[Object]:
    """What is wrong with the policy's validations, as its status says it."""
    spec = policy["spec"]
    found = ((gvk, kinds.type(gvk)) for gvk in kinds_of(spec.get("matchConstraints") or {}, kinds))
    schemas = {gvk: kind for gvk, kind in found if kind is not None}
    params = _params_type(spec.get("paramKind"), kinds)
    warnings: list[Object] = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field)
            problems = _problems(text, schemas, params, spec.get("variables") or ()) if text else ""
            if problems:
                warnings.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": problems})
    return warnings


def kinds_of(constraints: View, kinds: Kinds) -> list[GroupVersionKind]:
    """The kinds that the rules name; rules with wildcards, and subresources, name none."""
    found: set[GroupVersionKind] = set()
    for rule in constraints.get("resourceRules") or ():
        named = list(_kinds_of_rule(rule, kinds))[:MAX_KINDS]
        found.update(named)
        if len(named) == MAX_KINDS:
            break
    return sorted(found)


def _kinds_of_rule(rule: View, kinds: Kinds) -> Iterator[GroupVersionKind]:
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if any("*" in text for text in (*groups, *versions)):
        return
    resources = [text for text in rule.get("resources") or () if "*" not in text and "/" not in text]
    for group, version, resource in product(sorted(groups), sorted(versions), sorted(resources)):
        gvk = kinds.of_resource(GroupVersionResource(group, version, resource))
        if gvk is not None:
            yield gvk


def _params_type(kind: View | None, kinds: Kinds) -> CelType | None:
    """The type of `params`; None if there are none, or of a kind that is not known."""
    if kind is None:
        return None
    return kinds.type(GroupVersionKind(*split_api_version(kind.get("apiVersion", "")), kind.get("kind", "")))


def _problems(text: str, kinds: Schemas, params: CelType | None, variables: Sequence[View]) -> str:
    """What is wrong with an expression, kind by kind; '' for nothing."""
    problems = []
    for gvk, kind in kinds.items():
        _, problem = _check(text, kind, params, _defined(variables, kind, params))
        if problem:
            problems.append(f"{gvk.group}/{gvk.version}, Kind={gvk.kind}: {problem}\n")
    return "\n".join(problems)


def _defined(variables: Iterable[View], kind: CelType, params: CelType | None) -> tuple[tuple[str, str], ...]:
    """The policy's own variables with their types; each sees those before it."""
    defined: tuple[tuple[str, str], ...] = ()
    for variable in variables:
        result, _ = _check(variable["expression"], kind, params, defined)
        defined = (*defined, (variable["name"], result))
    return defined


def _check(text: str, kind: CelType, params: CelType | None, defined: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """The type of an expression and what is wrong with it."""
    # Loading CEL takes a while: only clusters with policies pay for it.
    from openapi.cel.environment import compile_expression
    from openapi.cel.errors import CompileError

    try:
        return compile_expression(text, checked_variables(kind, params, defined)).result_type, ""
    except CompileError as error:
        return DYN, str(error)
