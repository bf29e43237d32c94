"""Annotations of pods that once carried features, and must still agree with the fields that replaced them.

Follows: pkg/apis/core/validation/validation.go ValidatePodSpecificAnnotations, validateSeccompAnnotationsAndFields,
validateAppArmorAnnotationsAndFieldsMatchOnCreate
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from apiserver.resources.pods.options import (
    DELETION_COST,
    Errors,
    Options,
    all_containers,
    containers_with_paths,
    deletion_cost_error,
)
from apiserver.resources.pods.paths import check_descending_path
from apiserver.resources.pods.scheduling import check_tolerations
from openapi.meta.field import forbidden, invalid, quote
from openapi.schema.gojson import syntax_error

Object = Mapping[str, Any]
Annotations = Mapping[str, str]

MIRROR = "kubernetes.io/config.mirror"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
APPARMOR_LOCAL = "localhost/"
APPARMOR_DEFAULT = "runtime/default"
APPARMOR_UNCONFINED = "unconfined"
_SECCOMP_DEFAULTS = ("runtime/default", "docker/default")


def check_annotations(annotations: Annotations, spec: Object, path: str, options: Options, errors: Errors) -> None:
    """`path` is the annotations' own."""
    if MIRROR in annotations and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"{path}[{MIRROR}]", annotations[MIRROR], text))
    if annotations.get(TOLERATIONS):
        _check_tolerations(annotations[TOLERATIONS], path, errors)
    if not options.any_deletion_cost and deletion_cost_error(annotations):
        errors.append(invalid(f"{path}[{DELETION_COST}]", annotations[DELETION_COST], "must be a 32bit integer"))
    if SECCOMP_POD in annotations:
        _check_seccomp(annotations[SECCOMP_POD], f"{path}.{SECCOMP_POD}", errors)
    for key, value in annotations.items():
        if key.startswith(SECCOMP_CONTAINER):
            _check_seccomp(value, f"{path}.{key}", errors)
    for key, value in annotations.items():
        if key.startswith(APPARMOR):
            _check_apparmor(key, value, spec, path, errors)


def _check_tolerations(text: str, path: str, errors: Errors) -> None:
    try:
        tolerations = orjson.loads(text)
    except orjson.JSONDecodeError:
        errors.append(invalid(path, TOLERATIONS, syntax_error(text.encode())))
        return
    if isinstance(tolerations, list):
        check_tolerations(tolerations, f"{path}.{TOLERATIONS}", errors)


def _check_seccomp(profile: str, path: str, errors: Errors) -> None:
    if profile in _SECCOMP_DEFAULTS or profile == "unconfined":
        return
    if profile.startswith("localhost/"):
        check_descending_path(profile.removeprefix("localhost/"), path, errors)
    else:
        errors.append(invalid(path, profile, "must be a valid seccomp profile"))


def _check_apparmor(key: str, profile: str, spec: Object, path: str, errors: Errors) -> None:
    name = key.removeprefix(APPARMOR)
    if all(container.get("name", "") != name for container in all_containers(spec)):
        errors.append(invalid(f"{path}[{key}]", name, "container not found"))
    known = profile in ("", APPARMOR_DEFAULT, APPARMOR_UNCONFINED)
    if not known and not profile.startswith(APPARMOR_LOCAL):
        errors.append(invalid(f"{path}[{key}]", profile, f"invalid AppArmor profile name: {quote(profile)}"))


def check_annotation_changes(
    annotations: Annotations, old: Annotations, spec: Object, path: str, options: Options, errors: Errors
) -> None:
    """What an update may not do to them, and that they are still sound."""
    for key, value in old.items():
        if annotations.get(key) == value:
            continue
        if key.startswith(APPARMOR):
            errors.append(forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in annotations:
        if key in old:
            continue
        if key.startswith(APPARMOR):
            errors.append(forbidden(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden(f"{path}[{key}]", "may not add mirror pod annotation"))
    if annotations:
        check_annotations(annotations, spec, path, options, errors)


def check_seccomp_agreement(annotations: Annotations, spec: Object, path: str, errors: Errors) -> None:
    """Where both the annotation and the field are set. `path` is the spec's."""
    field = (spec.get("securityContext") or {}).get("seccompProfile")
    if field is not None and SECCOMP_POD in annotations:
        _compare_seccomp(annotations[SECCOMP_POD], field, f"{path}.securityContext.seccompProfile", errors)
    for container, here in containers_with_paths(spec, path):
        field = (container.get("securityContext") or {}).get("seccompProfile")
        value = annotations.get(SECCOMP_CONTAINER + container.get("name", ""))
        if field is not None and value is not None:
            _compare_seccomp(value, field, f"{here}.securityContext.seccompProfile", errors)


def _compare_seccomp(annotation: str, field: Object, path: str, errors: Errors) -> None:
    kind, local = field.get("type"), field.get("localhostProfile")
    agrees = {
        "Unconfined": annotation == "unconfined",
        "RuntimeDefault": annotation in _SECCOMP_DEFAULTS,
        "Localhost": annotation.startswith("localhost/"),
    }.get(kind or "", True)
    if not agrees:
        errors.append(forbidden(f"{path}.type", "seccomp type in annotation and field must match"))
    elif kind == "Localhost" and annotation.removeprefix("localhost/") != local:
        text = "seccomp profile in annotation and field must match"
        errors.append(forbidden(f"{path}.localhostProfile", text))


def check_apparmor_agreement(annotations: Annotations, spec: Object, path: str, errors: Errors) -> None:
    """On create. `path` is the spec's."""
    if (spec.get("os") or {}).get("name") == "windows":
        return
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container, here in containers_with_paths(spec, path):
        profile = (container.get("securityContext") or {}).get("appArmorProfile", pod_profile)
        annotation = annotations.get(APPARMOR + container.get("name", ""))
        if profile is None or annotation is None:
            continue
        where = f"{here}.securityContext.appArmorProfile"
        kind, local = profile.get("type"), profile.get("localhostProfile")
        agrees = {
            "Unconfined": annotation == APPARMOR_UNCONFINED,
            "RuntimeDefault": annotation == APPARMOR_DEFAULT,
            "Localhost": annotation.startswith(APPARMOR_LOCAL),
        }.get(kind or "", True)
        if not agrees:
            errors.append(forbidden(f"{where}.type", "apparmor type in annotation and field must match"))
        elif kind == "Localhost" and annotation.removeprefix(APPARMOR_LOCAL) != local:
            text = "apparmor profile in annotation and field must match"
            errors.append(forbidden(f"{where}.localhostProfile", text))
