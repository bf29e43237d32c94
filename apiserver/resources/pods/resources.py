"""Resource requests and limits, of containers and of whole pods, and the claims containers use.

Follows: pkg/apis/core/validation/validation.go validateResourceRequirements, validatePodResources,
pkg/apis/core/helper/helpers.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apiserver.resources.go_values import go_struct
from apiserver.resources.pods.options import Errors, Options, check_format, is_whole_hugepages
from apiserver.resources.resource_names import (
    may_overcommit,
    validate_amount,
    validate_container_resource_name,
    validate_resource_name,
)
from openapi.kinds.pod_resources import aggregate_limits, aggregate_requests, is_hugepages, is_pod_level_resource
from openapi.meta.field import NOT_FOUND, WHOLE, FieldError, duplicate, forbidden, invalid, not_supported, required
from openapi.meta.names import is_dns1123_label, is_dns1123_subdomain
from openapi.meta.quantity import Quantity

Object = Mapping[str, Any]
NameCheck = Callable[[str, str, Errors], None]

_CONTAINER_RESOURCES = frozenset(("cpu", "memory", "ephemeral-storage"))
_POD_LEVEL_SHOWN = ("cpu", "hugepages-", "memory")


def check_container_resource_name(name: str, path: str, errors: Errors) -> None:
    if name not in _CONTAINER_RESOURCES:
        errors.extend(validate_container_resource_name(name, path))


def _check_pod_resource_name(name: str, path: str, errors: Errors) -> None:
    if is_pod_level_resource(name):
        return
    problems = list(validate_resource_name(name, path))
    errors.extend(problems or [not_supported(path, name, _POD_LEVEL_SHOWN)])


def check_requirements(
    requirements: Object,
    claim_names: frozenset[str] | set[str],
    path: str,
    options: Options,
    errors: Errors,
    *,
    check_name: NameCheck = check_container_resource_name,
) -> None:
    """Names, amounts, and that requests stay below limits. `claim_names` are the pod's claims."""
    limits, requests = requirements.get("limits") or {}, requirements.get("requests") or {}
    parsed = {name: Quantity.parse(text) for name, text in limits.items()}
    for name, quantity in parsed.items():
        where = f"{path}.limits[{name}]"
        check_name(name, where, errors)
        _check_quantity(name, limits[name], quantity, where, errors)
        _check_hugepages(name, quantity, where, options, errors)
    for name, text in requests.items():
        quantity = Quantity.parse(text)
        where = f"{path}.requests[{name}]"
        check_name(name, where, errors)
        _check_quantity(name, text, quantity, where, errors)
        _check_against_limit(name, quantity, parsed.get(name), path, errors)
        _check_hugepages(name, quantity, where, options, errors)
    names = limits.keys() | requests.keys()
    if "cpu" not in names and "memory" not in names and any(map(is_hugepages, names)):
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    if requirements.get("claims"):
        _check_claims(requirements["claims"], claim_names, f"{path}.claims", errors)


def _check_quantity(name: str, text: str, quantity: Quantity, path: str, errors: Errors) -> None:
    if quantity.nanos < 0 or name not in _CONTAINER_RESOURCES:
        errors.extend(validate_amount(name, text, path))


def _check_hugepages(name: str, quantity: Quantity, path: str, options: Options, errors: Errors) -> None:
    if not is_hugepages(name) or options.any_hugepages_amount or is_whole_hugepages(name, quantity):
        return
    errors.append(invalid(path, str(quantity), f"{quantity} is not positive integer multiple of {name}"))


def _check_against_limit(name: str, request: Quantity, limit: Quantity | None, path: str, errors: Errors) -> None:
    if limit is None:
        if not may_overcommit(name):
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    elif request.nanos != limit.nanos and not may_overcommit(name):
        errors.append(invalid(f"{path}.requests", str(request), f"must be equal to {name} limit of {limit}"))
    elif request.nanos > limit.nanos:
        text = f"must be less than or equal to {name} limit of {limit}"
        errors.append(invalid(f"{path}.requests", str(request), text))


def _check_claims(claims: Sequence[Object], claim_names: frozenset[str] | set[str], path: str, errors: Errors) -> None:
    """A claim is used whole or by single requests, not both, and must be one of the pod's."""
    seen: dict[str, None] = {}
    for index, claim in enumerate(claims):
        name, request = claim.get("name", ""), claim.get("request", "")
        where = f"{path}[{index}]"
        if not name:
            errors.append(required(where))
            continue
        if name in seen:
            errors.append(duplicate(where, name))
        else:
            key = name
            if request:
                check_format(request, f"{where}.request", is_dns1123_label, errors)
                key = f"{name}/{request}"
            if key in seen:
                errors.append(duplicate(where, key))
            elif not request:
                parts = [other for other in seen if other.startswith(f"{name}/")]
                errors.extend(duplicate(where, name) for _ in parts)
            seen[key] = None
        if name not in claim_names:
            known = f": {', '.join(sorted(claim_names))}" if claim_names else " which is empty"
            text = f"must be one of the names in pod.spec.resourceClaims{known}"
            errors.append(FieldError(NOT_FOUND, where, name, text))


def check_pod_resources(spec: Object, claim_names: set[str], path: str, options: Options, errors: Errors) -> None:
    """The requests and limits of a pod as a whole against its containers'."""
    resources = spec["resources"]
    if (spec.get("os") or {}).get("name") == "windows":
        errors.append(forbidden(path, "may not be set for a windows pod"))
        return
    if "claims" in resources:
        errors.append(forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    check_requirements(resources, claim_names, path, options, errors, check_name=_check_pod_resource_name)
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, amount in aggregate_requests(spec).items():
        if name in requests and amount > Quantity.parse(requests[name]):
            text = f"must be greater than or equal to aggregate container requests of {amount}"
            errors.append(invalid(f"{path}.requests[{name}]", requests[name], text))
    for name, amount in aggregate_limits(spec).items():
        if is_hugepages(name) and name in limits and amount > Quantity.parse(limits[name]):
            text = f"must be greater than or equal to aggregate container limits of {amount}"
            errors.append(invalid(f"{path}.limits[{name}]", limits[name], text))
    for index, container in enumerate(spec.get("containers") or ()):
        for name, text in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and Quantity.parse(text) > Quantity.parse(limits[name]):
                where = f"{path}.containers[{index}][{name}].limits"
                errors.append(invalid(where, text, f"must be less than or equal to pod limits of {limits[name]}"))


_CLAIM_FIELDS = (
    ("Name", "name", ""),
    ("ResourceClaimName", "resourceClaimName", None),
    ("ResourceClaimTemplateName", "resourceClaimTemplateName", None),
)


def check_pod_claims(claims: Sequence[Object], meta: Object | None, path: str, errors: Errors) -> set[str]:
    """The pod's own list of claims; the names in it."""
    names = {claim["name"] for claim in claims if claim.get("name")}
    is_mirror = meta is not None and "kubernetes.io/config.mirror" in (meta.get("annotations") or ())
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        here = f"{path}[{index}]"
        if is_mirror:
            errors.append(forbidden(WHOLE, "static pods do not support resource claims"))
            continue
        name = claim.get("name", "")
        if not name:
            errors.append(required(f"{here}.name"))
        elif name in seen:
            errors.append(duplicate(f"{here}.name", name))
        else:
            check_format(name, f"{here}.name", is_dns1123_label, errors)
            seen.add(name)
        given = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if field in claim]
        if len(given) > 1:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(here, go_struct(claim, _CLAIM_FIELDS), text))
        if not given:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(here, go_struct(claim, _CLAIM_FIELDS), text))
        for field in given:
            check_format(claim[field], f"{here}.{field}", is_dns1123_subdomain, errors)
    return names


