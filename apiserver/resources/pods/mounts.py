"""Where containers mount volumes and find block devices.

Follows: pkg/apis/core/validation/validation.go ValidateVolumeMounts, ValidateVolumeDevices
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.pods.options import Errors
from apiserver.resources.pods.paths import check_descending_path, has_backsteps
from openapi.meta.field import forbidden, invalid, not_found, not_supported, required

Object = Mapping[str, Any]

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def check_mounts(container: Object, volumes: Mapping[str, Object], path: str, errors: Errors) -> None:
    """`volumes` are the pod's sound volumes by name."""
    devices = {d.get("name", ""): d.get("devicePath", "") for d in container.get("volumeDevices") or ()}
    seen: set[str] = set()
    for index, mount in enumerate(container["volumeMounts"]):
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        if name not in volumes:
            errors.append(not_found(f"{path}[{index}].name", name))
        if not where:
            errors.append(required(f"{path}[{index}].mountPath"))
        if where in seen:
            errors.append(invalid(f"{path}[{index}].mountPath", where, "must be unique"))
        seen.add(where)
        if devices:
            if name in devices:
                errors.append(invalid(f"{path}[{index}].name", name, "must not already exist in volumeDevices"))
            if where in devices.values():
                text = "must not already exist as a path in volumeDevices"
                errors.append(invalid(f"{path}[{index}].mountPath", where, text))
        if len(mount) > 2:
            _check_details(mount, container, path, index, errors)


def _check_details(mount: Object, container: Object, path: str, index: int, errors: Errors) -> None:
    """The optional fields. Most of their errors name no index; so do the API's."""
    sub_path, expression = mount.get("subPath"), mount.get("subPathExpr")
    if sub_path:
        check_descending_path(sub_path, f"{path}.subPath", errors)
    if expression:
        if sub_path:
            text = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{path}[{index}].subPathExpr", expression, text))
        check_descending_path(expression, f"{path}.subPathExpr", errors)
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        _check_propagation(propagation, container, f"{path}.mountPropagation", errors)
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        _check_recursive(recursive, mount, f"{path}.recursiveReadOnly", errors)


def _check_propagation(propagation: str, container: Object, path: str, errors: Errors) -> None:
    if propagation not in _PROPAGATIONS:
        errors.append(not_supported(path, propagation, _PROPAGATIONS))
    privileged = (container.get("securityContext") or {}).get("privileged")
    if propagation == "Bidirectional" and not privileged:
        text = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(path, text))


def _check_recursive(recursive: str, mount: Object, path: str, errors: Errors) -> None:
    if recursive == "Disabled":
        return
    if recursive not in _RECURSIVE:
        errors.append(not_supported(path, recursive, _RECURSIVE))
        return
    if not mount.get("readOnly"):
        errors.append(forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation", "None") != "None":
        errors.append(forbidden(path, "may only be specified when mountPropagation is None or not specified"))


def check_devices(container: Object, volumes: Mapping[str, Object], path: str, errors: Errors) -> None:
    devices: Sequence[Object] = container["volumeDevices"]
    mounts = {m.get("name", ""): m.get("mountPath", "") for m in container.get("volumeMounts") or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(devices):
        name, where = device.get("name", ""), device.get("devicePath", "")
        here = f"{path}[{index}]"
        if not name:
            errors.append(required(f"{here}.name"))
        if name in names:
            errors.append(invalid(f"{here}.name", name, "must be unique"))
        if name not in volumes:
            errors.append(not_found(f"{here}.name", name))
        elif "persistentVolumeClaim" not in volumes[name] and "ephemeral" not in volumes[name]:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{here}.name", name, text))
        if not where:
            errors.append(required(f"{here}.devicePath"))
        if where in paths:
            errors.append(invalid(f"{here}.devicePath", where, "must be unique"))
        if where and has_backsteps(where):
            errors.append(invalid(f"{here}.devicePath", where, "can not contain backsteps ('..')"))
        else:
            paths.add(where)
        if name in mounts:
            errors.append(invalid(f"{here}.name", name, "must not already exist in volumeMounts"))
        if where in mounts.values():
            errors.append(invalid(f"{here}.devicePath", where, "must not already exist as a path in volumeMounts"))
        if name:
            names.add(name)
