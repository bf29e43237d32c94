"""The variables of expressions in webhooks and policies.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel/compile.go,
staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from openapi.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    ListOf,
    MapOf,
    StructOf,
)

Variables = tuple[tuple[str, CelType], ...]


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
    ("namespaceObject", _NAMESPACE),
    ("request", _REQUEST),
    ("authorizer", "kubernetes.authorization.Authorizer"),
)
_REQUEST_RESOURCE: tuple[str, CelType] = ("authorizer.requestResource", "kubernetes.authorization.ResourceCheck")


@lru_cache(maxsize=256)
def variables_of(has_params: bool = False, defined: tuple[tuple[str, str], ...] = ()) -> Variables:
    """What an expression may use; `defined` are the policy's own variables so far, with their types."""
    found = (("object", DYN), ("oldObject", DYN), *_COMMON, _REQUEST_RESOURCE)
    if has_params:
        found = (*found, ("params", DYN))
    return (*found, *_variables(defined))


def checked_variables(kind: CelType, params: CelType | None, defined: tuple[tuple[str, str], ...]) -> Variables:
    """What an expression may use when it is checked against the fields of the objects that it will see."""
    found = (("object", kind), ("oldObject", kind), *_COMMON)
    if params is not None:
        found = (*found, ("params", params))
    return (*found, *_variables(defined))


def without_authorizer(variables: Variables) -> Variables:
    """The same, for those who only word messages."""
    return tuple((name, kind) for name, kind in variables if not name.startswith("authorizer"))


def _variables(defined: tuple[tuple[str, str], ...]) -> Variables:
    if not defined:
        return ()
    name = "kubernetes.variables" + "".join(f"_{n}_{_identifier(t)}" for n, t in defined)
    return (("variables", StructOf(name, tuple((n, _declared(t)) for n, t in defined))),)


def _identifier(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)


_SCALARS: Final = {
    **{name: name for name in (BOOL, BYTES, DOUBLE, INT, STRING)},
    "google.protobuf.Duration": DURATION,
    "google.protobuf.Timestamp": TIMESTAMP,
}
_LIST, _MAP = re.compile(r"list\((\w[\w.]*)\)").fullmatch, re.compile(r"map\(string, (\w[\w.]*)\)").fullmatch


def _declared(result_type: str) -> CelType:
    """The type of a variable whose expression has that result: scalars, their lists and maps, or anything."""
    items, values = _LIST(result_type), _MAP(result_type)
    if items is not None:
        return ListOf(_SCALARS.get(items[1], DYN))
    if values is not None:
        return MapOf(_SCALARS.get(values[1], DYN))
    return _SCALARS.get(result_type, DYN)
