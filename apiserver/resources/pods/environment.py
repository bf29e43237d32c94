"""The environment of containers: variables, where they come from, and whole objects taken in as variables.

Follows: pkg/apis/core/validation/validation.go ValidateEnv, ValidateEnvFrom, validateFileKeyRefVolumes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.pods.field_selectors import check_field_selector, check_resource_field_selector
from apiserver.resources.pods.options import Errors, check_format, containers_with_paths
from apiserver.resources.pods.paths import check_no_backsteps
from openapi.meta.field import invalid, not_found, required
from openapi.meta.names import (
    is_config_map_key,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_relaxed_env_var_name,
    name_is_dns_subdomain,
)

Object = Mapping[str, Any]

_FIELDS = frozenset((
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
))  # fmt: skip
_NO_SOURCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)
_TWO_SOURCES = "may not have more than one field specified at a time"


def check_environment(variables: Sequence[Object], path: str, errors: Errors) -> None:
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif not name.isidentifier() or not name.isascii():
            check_format(name, f"{path}[{index}].name", is_relaxed_env_var_name, errors)
        if "valueFrom" in variable:
            _check_value_from(variable, f"{path}[{index}].valueFrom", errors)


def _check_value_from(variable: Object, path: str, errors: Errors) -> None:
    source = variable["valueFrom"]
    count = 0
    if "fieldRef" in source:
        count += 1
        check_field_selector(source["fieldRef"], _FIELDS, f"{path}.fieldRef", errors)
    if "resourceFieldRef" in source:
        count += 1
        check_resource_field_selector(source["resourceFieldRef"], f"{path}.resourceFieldRef", errors, in_volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            count += 1
            _check_key_ref(source[kind], f"{path}.{kind}", errors)
    if "fileKeyRef" in source:
        count += 1
        _check_file_key(source["fileKeyRef"], f"{path}.fileKeyRef", errors)
    if not count:
        errors.append(invalid(path, "", _NO_SOURCE))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid(path, "", _TWO_SOURCES))


def _check_key_ref(reference: Object, path: str, errors: Errors) -> None:
    check_format(reference.get("name", ""), f"{path}.name", is_dns1123_subdomain, errors)
    if not reference.get("key"):
        errors.append(required(f"{path}.key"))
    else:
        check_format(reference["key"], f"{path}.key", is_config_map_key, errors)


def _check_file_key(reference: Object, path: str, errors: Errors) -> None:
    if not reference.get("key"):
        errors.append(required(f"{path}.key"))
    else:
        check_format(reference["key"], f"{path}.key", is_relaxed_env_var_name, errors)
    if not reference.get("volumeName"):
        errors.append(required(f"{path}.volumeName"))
    else:
        check_format(reference["volumeName"], f"{path}.volumeName", is_dns1123_label, errors)
    if not reference.get("path"):
        errors.append(required(f"{path}.path"))
    else:
        check_no_backsteps(reference["path"], f"{path}.path", errors)


def check_environment_from(sources: Sequence[Object], path: str, errors: Errors) -> None:
    for index, source in enumerate(sources):
        prefix = source.get("prefix")
        if prefix:
            check_format(prefix, f"{path}[{index}].prefix", is_relaxed_env_var_name, errors)
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in kinds:
            name = source[kind].get("name", "")
            if not name:
                errors.append(required(f"{path}[{index}].{kind}.name"))
            for problem in name_is_dns_subdomain(name, True) if name else ():
                errors.append(invalid(f"{path}[{index}].{kind}.name", name, problem))
        if not kinds:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(kinds) > 1:
            errors.append(invalid(path, "", _TWO_SOURCES))


def check_environment_files(spec: Object, path: str, errors: Errors) -> None:
    """Variables read from files need an emptyDir volume that holds them."""
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    for container, here in containers_with_paths(spec, path):
        for index, variable in enumerate(container.get("env") or ()):
            reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if reference is None:
                continue
            name = reference.get("volumeName", "")
            where = f"{here}.env[{index}].valueFrom.fileKeyRef.volumeName"
            if name not in volumes:
                errors.append(not_found(where, name))
            elif "emptyDir" not in volumes[name]:
                errors.append(invalid(where, name, "referenced volume must be of type emptyDir"))
