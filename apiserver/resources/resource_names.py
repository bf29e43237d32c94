"""The names of countable resources (cpu, pods, requests.storage) and what amounts they may have.

Follows: pkg/apis/core/helper/helpers.go, pkg/apis/core/validation/validation.go ValidateResourceQuantityValue
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from openapi.meta import names
from openapi.meta.field import FieldError, invalid
from openapi.meta.quantity import Quantity

NOT_INTEGER = "must be an integer"
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
NOT_QUOTA = "must be a standard resource for quota"

_COMPUTE = frozenset(("cpu", "memory", "ephemeral-storage"))
_COUNTED = frozenset(
    (
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    )
)
_PARTS = frozenset(f"{part}.{name}" for part in ("requests", "limits") for name in _COMPUTE)
_QUOTA = _COMPUTE | _COUNTED | _PARTS | {"requests.storage"}
_STANDARD = _QUOTA | {"storage"}


def is_hugepages(name: str) -> bool:
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    """Defined by the platform: without a prefix, or with kubernetes.io's."""
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=512)
def is_extended(name: str) -> bool:
    """Defined by somebody else: `example.com/gpu`."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.is_qualified_name("requests." + name)


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_hugepages(name)


def is_standard_quota(name: str) -> bool:
    return name in _QUOTA or name.startswith(("hugepages-", "requests.hugepages-"))


def is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith(("hugepages-", "requests.hugepages-"))


def validate_resource_name(name: str, path: str) -> Iterator[FieldError]:
    problems = names.is_qualified_name(name)
    for text in problems:
        yield invalid(path, name, text)
    if not problems and "/" not in name and not is_standard(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def validate_container_resource_name(name: str, path: str) -> Iterator[FieldError]:
    yield from validate_resource_name(name, path)
    if "/" not in name:
        if name not in _COMPUTE and not is_hugepages(name):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def validate_quota_resource_name(name: str, path: str) -> Iterator[FieldError]:
    yield from validate_resource_name(name, path)
    if "/" not in name and not is_standard_quota(name):
        yield invalid(path, name, NOT_QUOTA)


def validate_amount(name: str, text: str, path: str) -> Iterator[FieldError]:
    """An amount of resource `name`: not negative, and whole where things are counted."""
    amount = Quantity.parse(text)
    if amount.sign < 0:
        yield invalid(path, str(amount), NEGATIVE)
    if (name in _COUNTED or is_extended(name)) and amount.milli % 1000:
        yield invalid(path, str(amount), NOT_INTEGER)


def validate_positive(text: str, path: str) -> Iterator[FieldError]:
    amount = Quantity.parse(text)
    if amount.sign <= 0:
        yield invalid(path, str(amount), NOT_POSITIVE)


def validate_basic(text: str, path: str) -> Iterator[FieldError]:
    amount = Quantity.parse(text)
    if amount.value < 0:
        yield invalid(path, amount.value, "must be a valid resource quantity")


def validate_amounts(amounts: Mapping[str, str] | None, path: str) -> Iterator[FieldError]:
    """A node's capacity: `path` is followed by the name as a field."""
    for name in sorted(amounts or ()):
        assert amounts is not None
        yield from validate_amount(name, amounts[name], f"{path}.{name}")
