"""ResourceQuotas: hard limits of known resources, for objects of some scope only if said so.

Follows: pkg/registry/core/resourcequota/strategy.go, pkg/apis/core/validation/validation.go ValidateResourceQuota
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.go_values import GoField, go_struct
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource_names import is_standard_quota, validate_amount, validate_quota_resource_name
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, Verbatim, invalid, required
from openapi.meta.quantity import Quantity

_POD_COUNT = frozenset(("pods",))
_POD_COMPUTE = frozenset(("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"))
_CLAIMS = frozenset(("persistentvolumeclaims", "requests.storage"))
_PODS = _POD_COUNT | _POD_COMPUTE
_SCOPES = {
    "Terminating": _PODS,
    "NotTerminating": _PODS,
    "NotBestEffort": _PODS,
    "BestEffort": _POD_COUNT,
    "PriorityClass": _PODS,
    "CrossNamespacePodAffinity": _PODS,
    "VolumeAttributesClass": _CLAIMS,
}
_EXISTS_ONLY = frozenset(
    ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
)
_CONFLICTS = (frozenset(("BestEffort", "NotBestEffort")), frozenset(("Terminating", "NotTerminating")))
_EXISTS_TEXT = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_REQUIREMENT: tuple[GoField, ...] = (
    ("ScopeName", "scopeName", ""), ("Operator", "operator", ""), ("Values", "values", None),
)


class QuotaStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from _validate_status(obj)


class ResourceQuotas(WithStatus):
    generation = False
    returns_deleted = True
    columns = columns.RESOURCE_QUOTA
    subresources = {"status": QuotaStatus()}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        if old is None:
            yield from validate_object_meta(meta, namespaced=True, name=names.name_is_dns_subdomain)
            yield from _validate_spec(spec)
            yield from _validate_status(obj)
            return
        yield from validate_object_meta_update(meta, old["metadata"])
        yield from _validate_spec(spec)
        scopes = spec.get("scopes") or []
        if set(scopes) != set((old.get("spec") or {}).get("scopes") or ()):
            yield invalid("spec.scopes", scopes or None, "field is immutable")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return () if old is not None else _requests_over_limits((obj.get("spec") or {}).get("hard") or {})

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, status = obj["metadata"], obj.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        requests: list[str] = []
        limits: list[str] = []
        for name in sorted(hard):
            amount = str(Quantity.parse(used.get(name, "0")))
            (limits if name.startswith("limits") else requests).append(f"{name}: {amount}/{hard[name]}")
        return [meta["name"], ", ".join(requests), ", ".join(limits), age(meta.get("creationTimestamp"), now)]


def _requests_over_limits(hard: dict[str, str]) -> Iterator[str]:
    """A new quota that grants more requests than limits; cpu and memory alone mean requests too."""
    for name in ("cpu", "memory", "storage", "ephemeral-storage"):
        request, limit = f"requests.{name}", f"limits.{name}"
        if request not in hard and name in ("cpu", "memory"):
            request = name
        if request not in hard or limit not in hard:
            continue
        wanted, most = Quantity.parse(hard[request]), Quantity.parse(hard[limit])
        if wanted > most:
            yield f"ResourceQuota {request} ({wanted}) should be less than {limit} ({most})"


def _validate_status(obj: Object) -> Iterator[FieldError]:
    status = obj.get("status") or {}
    for kind in ("hard", "used"):
        yield from _validate_list(status.get(kind) or {}, f"status.{kind}")


def _validate_list(amounts: dict[str, str], path: str) -> Iterator[FieldError]:
    for name in sorted(amounts):
        yield from validate_quota_resource_name(name, f"{path}[{name}]")
        yield from validate_amount(name, amounts[name], f"{path}[{name}]")


def _validate_spec(spec: Object) -> Iterator[FieldError]:
    hard = spec.get("hard") or {}
    yield from _validate_list(hard, "spec.hard")
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid("spec.scopes", scopes, "unsupported scope")
        for _ in _unfit(scope, hard):
            yield invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for pair in _CONFLICTS:
        if pair <= set(scopes):
            yield invalid("spec.scopes", scopes, "conflicting scopes")
    selector = spec.get("scopeSelector")
    if selector is not None:
        yield from _validate_selector(selector, hard, scopes)


def _unfit(scope: str, hard: dict[str, str]) -> list[str]:
    """The resources of the quota that a scope says nothing about."""
    fit = _SCOPES.get(scope)
    return [] if fit is None else [name for name in sorted(hard) if is_standard_quota(name) and name not in fit]


def _validate_selector(selector: Object, hard: dict[str, str], scopes: list[str]) -> Iterator[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    expressions = selector.get("matchExpressions") or ()
    for expression in expressions:
        scope, operator = expression.get("scopeName", ""), expression.get("operator", "")
        values = expression.get("values") or []
        if scope not in _SCOPES:
            yield invalid(f"{path}.scopeName", scope, "unsupported scope")
        for _ in _unfit(scope, hard):
            yield invalid(path, _shown(expressions), "unsupported scope applied to resource")
        if scope in _EXISTS_ONLY and operator != "Exists":
            yield invalid(f"{path}.operator", operator, _EXISTS_TEXT)
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                yield required(f"{path}.values", text)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                yield invalid(f"{path}.values", values, text)
        else:
            yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    chosen = {expression.get("scopeName", "") for expression in expressions}
    for pair in _CONFLICTS:
        if pair <= chosen:
            yield invalid(path, scopes or None, "conflicting scopes")


def _shown(expressions: Any) -> Verbatim:
    return Verbatim('{"MatchExpressions":[' + ",".join(go_struct(e, _REQUIREMENT) for e in expressions) + "]}")
