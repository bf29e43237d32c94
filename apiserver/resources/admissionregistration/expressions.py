"""The CEL expressions of webhooks and policies: which variables they see, and what they must evaluate to.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel/compile.go,
pkg/apis/admissionregistration/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from apiserver.resources.field_rules import named
from openapi.cel.types import BOOL, DYN, STRING, CelType, ListOf, MapOf, StructOf
from openapi.meta.field import FieldError, duplicate, invalid, required, too_many
from openapi.meta.names import is_qualified_name

Struct = Mapping[str, Any]
Variables = tuple[tuple[str, CelType], ...]

MAX_CONDITIONS = 64


def _struct(title: str, /, **fields: CelType) -> StructOf:
    return StructOf(f"kubernetes.{title}", tuple(fields.items()))


_KIND = _struct("GroupVersionKind", group=STRING, version=STRING, kind=STRING)
_RESOURCE = _struct("GroupVersionResource", group=STRING, version=STRING, resource=STRING)
_USER = _struct("UserInfo", username=STRING, uid=STRING, groups=ListOf(STRING), extra=MapOf(DYN))
_REQUEST = _struct(
    "AdmissionRequest",
    kind=_KIND,
    resource=_RESOURCE,
    subResource=STRING,
    requestKind=_KIND,
    requestResource=_RESOURCE,
    requestSubResource=STRING,
    name=STRING,
    namespace=STRING,
    operation=STRING,
    userInfo=_USER,
    dryRun=BOOL,
    options=DYN,
)
_NAMESPACE_META = _struct(
    "NamespaceMeta",
    name=STRING,
    generateName=STRING,
    namespace=STRING,
    labels=MapOf(STRING),
    annotations=MapOf(STRING),
    UID=STRING,
    creationTimestamp="timestamp",
    deletionGracePeriodSeconds="int",
    deletionTimestamp="timestamp",
    generation="int",
    resourceVersion=STRING,
    finalizers=ListOf(STRING),
)
_NAMESPACE = _struct(
    "Namespace",
    metadata=_NAMESPACE_META,
    status=_struct("NamespaceStatus", phase=STRING),
    spec=_struct("NamespaceSpec", finalizers=ListOf(STRING)),
)
_COMMON: Variables = (
    ("object", DYN),
    ("oldObject", DYN),
    ("namespaceObject", _NAMESPACE),
    ("request", _REQUEST),
    ("authorizer", "kubernetes.authorization.Authorizer"),
    ("authorizer.requestResource", "kubernetes.authorization.ResourceCheck"),
)


@lru_cache(maxsize=256)
def variables_of(has_params: bool = False, defined: tuple[tuple[str, str], ...] = ()) -> Variables:
    """What an expression may use; `defined` are the policy's own variables so far, with their types."""
    found = _COMMON
    if has_params:
        found = (*found, ("params", DYN))
    if defined:
        name = "kubernetes.variables" + "".join(f"_{n}_{_identifier(t)}" for n, t in defined)
        found = (*found, ("variables", StructOf(name, tuple((n, _declared(t)) for n, t in defined))))
    return found


def _identifier(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)


def _declared(result_type: str) -> CelType:
    return result_type if result_type in ("bool", "bytes", "double", "int", "string") else DYN


def compile_problem(text: str, variables: Variables, allowed: Sequence[str]) -> tuple[str, str]:
    """The result type of an expression, and what is wrong with it ('' for nothing). No `allowed`: any result."""
    from openapi.cel.environment import compile_expression
    from openapi.cel.errors import CompileError

    try:
        result = compile_expression(text, variables).result_type
    except CompileError as err:
        return DYN, f"compilation failed: {err}"
    if not allowed or result in allowed:
        return result, ""
    if len(allowed) == 1:
        return result, f"must evaluate to {allowed[0]} but got {result}"
    return result, f"must evaluate to one of [{' '.join(allowed)}] but got {result}"


def validate_expression(text: str, variables: Variables, allowed: Sequence[str], path: str) -> Iterator[FieldError]:
    _, problem = compile_problem(text, variables, allowed)
    if problem:
        yield invalid(path, text, problem)


def validate_match_conditions(
    conditions: Sequence[Struct], path: str, *, has_params: bool = False
) -> Iterator[FieldError]:
    if len(conditions) > MAX_CONDITIONS:
        yield too_many(path, len(conditions), MAX_CONDITIONS)
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        name, text = condition.get("name", ""), condition.get("expression", "").strip()
        if not text:
            yield required(f"{path}[{i}].expression")
        else:
            yield from validate_expression(text, variables_of(has_params), (BOOL,), f"{path}[{i}].expression")
        if not name:
            yield required(f"{path}[{i}].name")
            continue
        yield from named(is_qualified_name, name, f"{path}[{i}].name")
        if name in seen:
            yield duplicate(f"{path}[{i}].name", name)
        seen.add(name)


def same_conditions(hooks: Iterable[Struct], old_hooks: Iterable[Struct]) -> bool:
    """An update that leaves match conditions alone does not check them again."""
    new = [hook.get("matchConditions") or [] for hook in hooks]
    return new == [hook.get("matchConditions") or [] for hook in old_hooks]
