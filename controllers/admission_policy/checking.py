"""Checks a policy's expressions against the fields of the kinds that it is about. Pure.

A warning never keeps a policy from working. Kinds without a built-in schema are not looked at.
Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from controllers.runtime.objects import Object, View
from openapi.catalog import GroupVersionKind, GroupVersionResource, split_api_version
from openapi.cel.admission import checked_variables
from openapi.cel.objects import type_of
from openapi.cel.types import DYN, CelType
from openapi.kinds import RESOURCES
from openapi.schema.load import schema_for

MAX_KINDS = 10
"""So many kinds are looked at for one rule: a policy that names hundreds must not cost that much."""

_KINDS: Mapping[GroupVersionResource, GroupVersionKind] = {row.gvr: row.gvk for row in RESOURCES}


def expression_warnings(policy: View) -> list[Object]:
    """What is wrong with the policy's validations, as its status says it."""
    spec = policy["spec"]
    kinds = {gvk: type_of(schema_for(gvk)) or DYN for gvk in kinds_of(spec.get("matchConstraints") or {})}
    params = _params_type(spec.get("paramKind"))
    warnings: list[Object] = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field)
            found = _problems(text, kinds, params, spec.get("variables") or ()) if text else ""
            if found:
                warnings.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": found})
    return warnings


def kinds_of(constraints: View) -> list[GroupVersionKind]:
    """The kinds that the rules name; rules with wildcards, and subresources, name none."""
    found: set[GroupVersionKind] = set()
    for rule in constraints.get("resourceRules") or ():
        for gvk in list(_kinds_of_rule(rule))[:MAX_KINDS]:
            found.add(gvk)
    return sorted(found)


def _kinds_of_rule(rule: View) -> Iterator[GroupVersionKind]:
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if any("*" in text for text in (*groups, *versions)):
        return
    resources = [text for text in rule.get("resources") or () if "*" not in text and "/" not in text]
    for group, version, resource in product(sorted(groups), sorted(versions), sorted(resources)):
        gvk = _KINDS.get(GroupVersionResource(group, version, resource))
        if gvk is not None:
            yield gvk


def _params_type(kind: View | None) -> CelType | None:
    """The type of `params`; None if there are none, or of a kind that is not known."""
    if kind is None:
        return None
    gvk = GroupVersionKind(*split_api_version(kind.get("apiVersion", "")), kind.get("kind", ""))
    return type_of(schema_for(gvk)) if gvk in _KINDS.values() else None


def _problems(
    text: str, kinds: Mapping[GroupVersionKind, CelType], params: CelType | None, variables: Sequence[View]
) -> str:
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
