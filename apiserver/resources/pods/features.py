"""Fields of features that are off: removed from what is written, unless the stored object already has them.

Follows: pkg/api/pod/util.go dropDisabledFields; the features are those off by default in v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.resources.pods.options import all_containers

Object = dict[str, Any]

_OFF_PROJECTIONS = ("clusterTrustBundle", "podCertificate")


def drop_disabled_fields(spec: Object, old_spec: Mapping[str, Any] | None) -> None:
    if "schedulingGroup" in spec and not (old_spec and "schedulingGroup" in old_spec):
        del spec["schedulingGroup"]
    for volume in spec.get("volumes") or ():
        if "projected" in volume:
            _drop_projections(volume["projected"], old_spec)
    for container in all_containers(spec):
        if "lifecycle" in container and "stopSignal" in container["lifecycle"]:
            _drop_stop_signal(container, old_spec)


def _drop_projections(projected: Mapping[str, Any], old_spec: Mapping[str, Any] | None) -> None:
    for source in projected.get("sources") or ():
        for field in _OFF_PROJECTIONS:
            if field in source and not _has_projection(old_spec, field):
                del source[field]


def _has_projection(spec: Mapping[str, Any] | None, field: str) -> bool:
    return any(
        field in source
        for volume in (spec or {}).get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    )


def _drop_stop_signal(container: Mapping[str, Any], old_spec: Mapping[str, Any] | None) -> None:
    if old_spec is None or not any("stopSignal" in (c.get("lifecycle") or ()) for c in all_containers(old_spec)):
        del container["lifecycle"]["stopSignal"]


def drop_disabled_status_fields(status: Object, old_status: Mapping[str, Any] | None) -> None:
    field = "nodeAllocatableResourceClaimStatuses"
    if field in status and field not in (old_status or ()):
        del status[field]
    if not any("volumeStatus" in mount for mount in _mounts(old_status or {})):
        for mount in _mounts(status):
            mount.pop("volumeStatus", None)


def _mounts(status: Mapping[str, Any]) -> Iterator[Object]:
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(field) or ():
            yield from container.get("volumeMounts") or ()
