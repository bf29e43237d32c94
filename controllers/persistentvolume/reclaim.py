"""What becomes of a released volume: who deletes or scrubs it, and the pod that scrubs.

Follows: pkg/controller/volume/persistentvolume/pv_controller.go, pkg/volume/{plugins.go,hostpath,util/recyclerclient}
"""

from __future__ import annotations

import re
from typing import Any

from controllers.persistentvolume.classes import CSI_NAMES, HOST_PATH, KNOWN_PLUGINS
from controllers.persistentvolume.matching import capacity_of
from controllers.runtime.objects import Object, View, annotations_of, name_of

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
RECYCLER_NAMESPACE, RECYCLER_PREFIX = "default", "recycler-for-"
_RECYCLER_IMAGE = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.4"
_SCRUB = 'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'
_GIB = 1024**3
_DELETABLE = re.compile(r"/tmp/.+")


def is_external(volume: View) -> bool:
    """Whether somebody else is in charge of deleting the volume."""
    annotations = annotations_of(volume)
    provisioner = annotations.get(PROVISIONED_BY, "")
    if annotations.get(MIGRATED_TO) or provisioner in CSI_NAMES:
        return True
    return bool(provisioner) and not provisioner.startswith("kubernetes.io/")


def deletion_refusal(volume: View) -> str:
    """Why nobody can delete the volume; '' if its directory on this host may go."""
    provisioner = annotations_of(volume).get(PROVISIONED_BY, "")
    if provisioner and provisioner not in KNOWN_PLUGINS:
        return f"no volume plugin matched name: {provisioner}"
    if provisioner and provisioner != HOST_PATH:
        return "no deletable volume plugin matched"
    path = (volume["spec"].get("hostPath") or {}).get("path")
    if path is None:
        known = any(field in volume["spec"] for field in ("nfs", "local"))
        reason = "no deletable volume plugin matched" if known else "no volume plugin matched"
        return f'error getting deleter volume plugin for volume "{name_of(volume)}": {reason}'
    if not _DELETABLE.match(path):
        return f"host_path deleter only supports /tmp/.+ but received provided {path}"
    return ""


def recycler_pod(volume: View) -> Object | None:
    """The pod that empties the volume; None where volumes of that sort cannot be scrubbed."""
    spec = volume["spec"]
    if "hostPath" in spec:
        source, shortest_s = {"hostPath": {"path": spec["hostPath"]["path"]}}, 60
    elif "nfs" in spec:
        source = {"nfs": {"server": spec["nfs"]["server"], "path": spec["nfs"]["path"]}}
        shortest_s = 300
    else:
        return None
    container: dict[str, Any] = {
        "name": "pv-recycler",
        "image": _RECYCLER_IMAGE,
        "command": ["/bin/sh"],
        "args": ["-c", _SCRUB],
        "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": RECYCLER_PREFIX + name_of(volume), "namespace": RECYCLER_NAMESPACE},
        "spec": {
            "activeDeadlineSeconds": max(shortest_s, 30 * (capacity_of(volume).value // _GIB)),
            "restartPolicy": "Never",
            "volumes": [{"name": "vol", **source}],
            "containers": [container],
        },
    }
