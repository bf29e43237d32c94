"""ComponentStatuses: how the control plane's parts were when last asked. Computed, deprecated, never stored.

Follows: pkg/registry/core/componentstatus/rest.go, pkg/printers/internalversion/printers.go printComponentStatus
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.resources.core import columns
from apiserver.resources.strategy import Object, Strategy


def component_status(name: str, *, healthy: bool, message: str = "", error: str = "") -> Object:
    """The object of one component; `error` is why it could not be asked."""
    condition: Object = {"type": "Healthy", "status": "True" if healthy else "False"}
    if message:
        condition["message"] = message
    if error:
        condition["error"] = error
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "conditions": [condition],
    }


class ComponentStatuses(Strategy):
    columns = columns.COMPONENT_STATUS

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        status, message, error = "Unknown", "", ""
        for condition in obj.get("conditions") or ():
            if condition.get("type") == "Healthy":
                status = "Healthy" if condition.get("status") == "True" else "Unhealthy"
                message, error = condition.get("message", ""), condition.get("error", "")
                break
        return [obj["metadata"].get("name", ""), status, message, error]
