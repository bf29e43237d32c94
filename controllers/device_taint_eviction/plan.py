"""When the taints of allocated devices drive a claim's pods away.

Follows: pkg/controller/devicetainteviction/device_taint_eviction.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from controllers.runtime.objects import View
from openapi.meta.times import parse_time

Device = tuple[str, str, str]
"""Driver, pool and name."""


def allocated_devices(claim: View) -> Iterator[View]:
    """The devices that the claim has got."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return iter((allocation.get("devices") or {}).get("results") or ())


def pools_of(claim: View) -> Iterator[str]:
    """`driver/pool` of the claim's devices."""
    return iter({f"{result['driver']}/{result['pool']}" for result in allocated_devices(claim)})


def pool_of(part: View) -> str:
    """`driver/pool` of a ResourceSlice."""
    return f"{part['spec']['driver']}/{part['spec']['pool']['name']}"


def taints_in(slices: Sequence[View], device: str) -> list[View]:
    """The evicting taints of a device in its pool's slices, of which those of the latest generation count."""
    latest = max((part["spec"]["pool"].get("generation", 0) for part in slices), default=0)
    return [
        taint
        for part in slices
        if part["spec"]["pool"].get("generation", 0) == latest
        for found in part["spec"].get("devices") or ()
        if found["name"] == device
        for taint in found.get("taints") or ()
        if taint.get("effect") == "NoExecute"
    ]


def eviction_time(claim: View, slices_of: Callable[[str], Sequence[View]], now: datetime) -> datetime | None:
    """When the claim's pods must go; None: they may stay. `slices_of` gives the slices of a `driver/pool`."""
    times = [
        time
        for result in allocated_devices(claim)
        for taint in taints_in(slices_of(f"{result['driver']}/{result['pool']}"), result["device"])
        if (time := _limit(taint, result.get("tolerations") or (), now)) is not None
    ]
    return min(times, default=None)


def _limit(taint: View, tolerations: Sequence[View], now: datetime) -> datetime | None:
    """Until when the taint is tolerated; None for ever."""
    since = parse_time(taint["timeAdded"]) if taint.get("timeAdded") else now
    limits = [found.get("tolerationSeconds") for found in tolerations if _tolerates(found, taint)]
    if None in limits:
        return None
    return since + timedelta(seconds=max(0, min((limit for limit in limits if limit is not None), default=0)))


def _tolerates(toleration: View, taint: View) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    return operator == "Exists" or (operator == "Equal" and toleration.get("value", "") == taint.get("value", ""))
