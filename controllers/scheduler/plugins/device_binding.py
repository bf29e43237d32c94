"""Devices that must first be made ready: conditions in a claim's status hold the pod back until all of them are true.

Follows: pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from controllers.scheduler.framework import SchedulingError
from openapi.meta.times import parse_time

View = Mapping[str, Any]


def results_of(claim: View) -> tuple[View, ...]:
    """The devices that the claim holds."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return tuple((allocation.get("devices") or {}).get("results") or ())


def has_conditions(claim: View) -> bool:
    return any(result.get("bindingConditions") for result in results_of(claim))


def is_ready(claim: View) -> bool:
    """Whether all conditions of all devices hold. Raises SchedulingError where one says that it failed."""
    if not (claim.get("status") or {}).get("allocation"):
        return False
    for result in results_of(claim):
        wanted = result.get("bindingConditions") or ()
        if not wanted:
            continue
        conditions = _conditions(claim, result)
        if conditions is None:
            return False
        for name in result.get("bindingFailureConditions") or ():
            failed = conditions.get(name)
            if failed is not None and failed.get("status") == "True":
                reason, message = failed.get("reason") or "", failed.get("message") or ""
                text = message.replace("\\", "\\\\").replace('"', '\\"')
                raise SchedulingError(
                    f'claim {claim["metadata"]["name"]} binding failed: reason={reason}, message="{text}"'
                )
        if not all((conditions.get(name) or {}).get("status") == "True" for name in wanted):
            return False
    return True


def has_failed(claim: View, timeout_s: float, now: datetime) -> bool:
    """Whether there is no use in waiting for the claim's devices any more."""
    try:
        return not is_ready(claim) and is_late(claim, timeout_s, now)
    except SchedulingError:
        return True


def is_late(claim: View, timeout_s: float, now: datetime) -> bool:
    """Whether the devices, if they must be waited for, were given too long ago."""
    since = ((claim.get("status") or {}).get("allocation") or {}).get("allocationTimestamp")
    if not since or not has_conditions(claim):
        return False
    given = parse_time(since)
    return given is not None and (now - given).total_seconds() > timeout_s


def all_ready(claims: Iterator[View | None], timeout_s: float, now: datetime) -> bool:
    """Whether all the claims are ready. Raises SchedulingError where one has failed, is late, or is gone."""
    for claim in claims:
        if claim is None:
            raise SchedulingError("claim not found")
        if not is_ready(claim):
            if is_late(claim, timeout_s, now):
                raise SchedulingError(f"claim {claim['metadata']['name']} binding timeout")
            return False
    return True


def _conditions(claim: View, result: View) -> Mapping[str, View] | None:
    """What is told about the device; None: nothing yet."""
    for entry in (claim.get("status") or {}).get("devices") or ():
        if all(entry.get(field) == result.get(field) for field in ("device", "driver", "pool")):
            return {condition["type"]: condition for condition in entry.get("conditions") or ()}
    return None
