"""Defaults of storage classes and CSI drivers.

Follows: pkg/apis/storage/v1/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

STORAGE = "io.k8s.api.storage.v1."


def _lifecycle_modes(spec: Object) -> None:
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


DEFAULTS: Defaults = {
    STORAGE + "CSIDriverSpec": (
        {
            "attachRequired": True,
            "podInfoOnMount": False,
            "storageCapacity": False,
            "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "requiresRepublish": False,
            "seLinuxMount": False,
        },
        _lifecycle_modes,
    ),
    STORAGE + "StorageClass": ({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},),
}
