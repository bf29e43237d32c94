"""Defaults of resource claims, their templates, and devices.

Follows: pkg/apis/resource/v1/defaults.go
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from openapi.kinds.row import Defaults
from openapi.meta.times import format_time

Object = dict[str, Any]

RESOURCE = "io.k8s.api.resource.v1."


def _count(request: Object) -> None:
    """One device, unless all of them are wanted."""
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1


def _operator(toleration: Object) -> None:
    if not toleration.get("operator"):
        toleration["operator"] = "Equal"


def _time_added(taint: Object) -> None:
    if taint.get("timeAdded") is None:
        taint["timeAdded"] = format_time(datetime.now(UTC))


DEFAULTS: Defaults = {
    RESOURCE + "DeviceSubRequest": (_count,),
    RESOURCE + "DeviceTaint": (_time_added,),
    RESOURCE + "DeviceToleration": (_operator,),
    RESOURCE + "ExactDeviceRequest": (_count,),
}
