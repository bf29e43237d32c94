"""Lets a driver make a mounted volume as large as its PersistentVolume has become.

Follows: pkg/volume/csi/expander.go, pkg/volume/util/operationexecutor/node_expander.go
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodeagent.pods.spec import View
from nodeagent.volumes.csi.driver import Driver
from nodeagent.volumes.csi.messages import EXPAND, STAGE_UNSTAGE
from nodeagent.volumes.csi.spec import CsiVolume
from openapi.meta.quantity import Quantity

_CONDITIONS = ("Resizing", "FileSystemResizePending")


def is_due(claim: View, volume: View) -> bool:
    """Whether the volume is larger than its claim says that it is."""
    has = ((claim.get("status") or {}).get("capacity") or {}).get("storage") or "0"
    given = (volume["spec"].get("capacity") or {}).get("storage") or "0"
    return Quantity.parse(given).value > Quantity.parse(has).value


async def expand(
    driver: Driver,
    volume: CsiVolume,
    persistent: View,
    pod: View,
    path: Path,
    *,
    staging: Path,
    secrets: dict[str, str],
) -> bool:
    """False where the driver has nothing to do on nodes. Raises DriverFailure."""
    can = await driver.capabilities()
    if EXPAND not in can:
        return False
    size = Quantity.parse(persistent["spec"]["capacity"]["storage"]).value
    await driver.call(
        "NodeExpandVolume",
        volume_id=volume.handle,
        volume_path=str(path),
        capacity_range={"required_bytes": size},
        staging_target_path=str(staging) if STAGE_UNSTAGE in can else "",
        volume_capability=volume.capability(pod, can),
        secrets=secrets,
    )
    return True


def status_after(claim: View, volume: View) -> dict[str, Any]:
    """The change of the claim's status that tells of the new size."""
    status = claim.get("status") or {}
    kept = [item for item in status.get("conditions") or () if item["type"] not in _CONDITIONS]
    changed: dict[str, Any] = {"capacity": dict(volume["spec"]["capacity"]), "conditions": kept or None}
    if (status.get("allocatedResourceStatuses") or {}).get("storage"):
        changed["allocatedResourceStatuses"] = {"storage": None}
    return changed
