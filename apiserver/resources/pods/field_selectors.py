"""The downward API: which fields of a pod and which resources of a container may be named.

Follows: pkg/apis/core/validation/validation.go validateObjectFieldSelector, validateContainerResourceFieldSelector,
pkg/apis/core/pods/helpers.go ConvertDownwardAPIFieldLabel
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.resources.pods.options import Errors, check_format
from openapi.meta.field import invalid, not_supported, required
from openapi.meta.names import is_qualified_name
from openapi.meta.quantity import Quantity

Object = Mapping[str, Any]

_KNOWN_FIELDS = frozenset((
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs", "spec.terminationGracePeriodSeconds",
))  # fmt: skip
_RESOURCES = frozenset((
    "limits.cpu", "limits.memory", "limits.ephemeral-storage", "requests.cpu", "requests.memory",
    "requests.ephemeral-storage",
))  # fmt: skip
_HUGEPAGES = ("requests.hugepages-", "limits.hugepages-")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SIZES_TEXT = f"only divisor's values {', '.join(_SIZES)} are supported with the"


def _split(path: str) -> tuple[str, str, bool]:
    """`metadata.labels['x']` in its two parts; the flag says whether there was a subscript."""
    if not path.endswith("']"):
        return path, "", False
    head, opening, subscript = path[:-2].partition("['")
    if not opening or not head:
        return path, "", False
    return head, subscript, True


def check_field_selector(selector: Object, allowed: frozenset[str], path: str, errors: Errors) -> None:
    """A field of the pod that `allowed` holds, or one label or annotation of it."""
    version, field = selector.get("apiVersion", ""), selector.get("fieldPath", "")
    if not version:
        errors.append(required(f"{path}.apiVersion"))
        return
    if not field:
        errors.append(required(f"{path}.fieldPath"))
        return
    head, subscript, subscripted = _split(field)
    problem = _conversion_problem(version, field, head, subscripted)
    if problem:
        errors.append(invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {problem}"))
    elif subscripted:
        name = subscript.lower() if head == "metadata.annotations" else subscript
        check_format(name, path, is_qualified_name, errors)
    else:
        # An old alias, kept for pods of the first release.
        field = "spec.nodeName" if field == "spec.host" else field
        if field not in allowed:
            errors.append(not_supported(f"{path}.fieldPath", field, allowed))


def _conversion_problem(version: str, field: str, head: str, subscripted: bool) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if subscripted:
        known = head in ("metadata.annotations", "metadata.labels")
        return "" if known else f"field label does not support subscript: {field}"
    return "" if field in _KNOWN_FIELDS or field == "spec.host" else f"field label not supported: {field}"


def check_resource_field_selector(selector: Object, path: str, errors: Errors, *, in_volume: bool) -> None:
    """A container's request or limit, in a unit that suits it."""
    name = selector.get("resource", "")
    if in_volume and not selector.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not name:
        errors.append(required(f"{path}.resource"))
    elif name not in _RESOURCES and not name.startswith(_HUGEPAGES):
        errors.append(not_supported(f"{path}.resource", name, _RESOURCES))
    divisor = Quantity.parse(selector.get("divisor", "0"))
    if divisor.is_zero:
        return
    problem = _divisor_problem(name, str(divisor))
    if problem:
        errors.append(invalid(f"{path}.divisor", name, problem))


def _divisor_problem(name: str, divisor: str) -> str:
    if name.endswith(".cpu") and name in _RESOURCES:
        fine = divisor in ("1m", "1")
        return "" if fine else "only divisor's values 1m and 1 are supported with the cpu resource"
    if divisor in _SIZES:
        return ""
    if name in ("limits.memory", "requests.memory"):
        return f"{_SIZES_TEXT} memory resource"
    if name in _RESOURCES:
        return f"{_SIZES_TEXT} local ephemeral storage resource"
    return f"{_SIZES_TEXT} hugepages resource" if name.startswith(_HUGEPAGES) else ""
