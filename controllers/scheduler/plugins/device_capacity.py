"""Devices that several claims may share: how much of a capacity each takes, and what is left.

Amounts are billionths, as `Quantity` counts. Follows:
staging/src/k8s.io/dynamic-resource-allocation/structured/internal/incubating/consumable_capacity.go
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from openapi.meta.quantity import Quantity

View = Mapping[str, Any]
Shares = Counter[str]
"""What is taken of a device, by the capacity's name."""


def nanos(quantity: Any) -> int:
    return Quantity.parse(quantity).nanos


def wanted(request: View) -> Mapping[str, Any]:
    """The quantities that a request asks for by capacity."""
    return (request.get("capacity") or {}).get("requests") or {}


def is_shared(device: View) -> bool:
    return bool(device.get("allowMultipleAllocations"))


def share_of(device: View, request: View) -> dict[str, Quantity] | None:
    """What the request takes of each capacity of a shared device; None where it cannot have that."""
    capacities: Mapping[str, View] = device.get("capacity") or {}
    asked = wanted(request)
    if any(name not in capacities for name in asked):
        return None
    found: dict[str, Quantity] = {}
    for name, capacity in capacities.items():
        amount = _granted(capacity, asked.get(name))
        if amount is None:
            return None
        found[name] = amount
    return found


def is_large_enough(device: View, request: View) -> bool:
    """Whether a device that is not shared has the capacities that the request asks for."""
    capacities: Mapping[str, View] = device.get("capacity") or {}
    return all(
        name in capacities and nanos(capacities[name]["value"]) >= nanos(amount)
        for name, amount in wanted(request).items()
    )


def fits(device: View, share: Mapping[str, Quantity], taken: Shares) -> bool:
    """Whether the share is still left."""
    capacities: Mapping[str, View] = device.get("capacity") or {}
    return all(nanos(capacities[name]["value"]) - taken[name] >= amount.nanos for name, amount in share.items())


def _granted(capacity: View, asked: Any) -> Quantity | None:
    """What is taken for that wish: by the capacity's policy the next larger amount that there is."""
    policy = capacity.get("requestPolicy") or {}
    if asked is None:
        return Quantity.parse(policy.get("default") or capacity["value"])
    amount = Quantity.parse(asked)
    if policy.get("validValues"):
        larger = [value for value in map(Quantity.parse, policy["validValues"]) if value >= amount]
        return min(larger, default=None)
    if policy.get("validRange"):
        amount_or_none = _in_range(policy["validRange"], amount)
        if amount_or_none is None:
            return None
        amount = amount_or_none
    return amount if amount.nanos <= nanos(capacity["value"]) else None


def _in_range(limits: View, amount: Quantity) -> Quantity | None:
    """The amount, raised to the least one and to a whole number of steps above it; None beyond the greatest."""
    least = Quantity.parse(limits["min"]) if limits.get("min") else Quantity(0)
    if amount <= least:
        return least
    if limits.get("step"):
        step = nanos(limits["step"])
        steps = -(-(amount.nanos - least.nanos) // step)
        amount = Quantity(least.nanos + steps * step, least.format)
    if limits.get("max") and amount > Quantity.parse(limits["max"]):
        return None
    return amount
