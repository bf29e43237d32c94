"""Security contexts of pods and containers on Linux: ids, profiles, capabilities, sysctls.

Follows: pkg/apis/core/validation/validation.go ValidateSecurityContext, validatePodSpecSecurityContext
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.go_values import go_struct
from apiserver.resources.pods.options import Errors, Options, containers_with_paths, sysctl_namespace
from apiserver.resources.pods.paths import check_descending_path
from apiserver.resources.pods.windows import check_windows_options
from openapi.meta.field import (
    Verbatim,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    not_supported_listed,
    required,
    too_long,
)
from openapi.meta.names import range_text, size

Object = Mapping[str, Any]

_MAX_ID = 2**31 - 1
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_MAX_APPARMOR_PATH = 4095  # the longest path Linux takes, less the ending zero
_SYSCTL_TEXT = (
    "must have at most 253 characters and match regex "
    r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
_is_sysctl = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?").fullmatch

_CONTEXT_FIELDS = (
    ("Capabilities", "capabilities", None),
    ("Privileged", "privileged", None),
    ("SELinuxOptions", "seLinuxOptions", None),
    ("WindowsOptions", "windowsOptions", None),
    ("RunAsUser", "runAsUser", None),
    ("RunAsGroup", "runAsGroup", None),
    ("RunAsNonRoot", "runAsNonRoot", None),
    ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem", None),
    ("AllowPrivilegeEscalation", "allowPrivilegeEscalation", None),
    ("ProcMount", "procMount", None),
    ("SeccompProfile", "seccompProfile", None),
    ("AppArmorProfile", "appArmorProfile", None),
)
_NESTED_FIELDS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "capabilities": (("Add", "add", None), ("Drop", "drop", None)),
    "seLinuxOptions": (("User", "user", ""), ("Role", "role", ""), ("Type", "type", ""), ("Level", "level", "")),
    "windowsOptions": (
        ("GMSACredentialSpecName", "gmsaCredentialSpecName", None),
        ("GMSACredentialSpec", "gmsaCredentialSpec", None),
        ("RunAsUserName", "runAsUserName", None),
        ("HostProcess", "hostProcess", None),
    ),
    "seccompProfile": (("Type", "type", ""), ("LocalhostProfile", "localhostProfile", None)),
    "appArmorProfile": (("Type", "type", ""), ("LocalhostProfile", "localhostProfile", None)),
}


def _shown(context: Object) -> Verbatim:
    """A container's security context as messages show it."""
    plain = dict(context)
    for name, fields in _NESTED_FIELDS.items():
        if name in plain:
            plain[name] = {go_name: plain[name].get(field, absent) for go_name, field, absent in fields}
    return go_struct(plain, _CONTEXT_FIELDS)


def _check_id(value: int | None, path: str, errors: Errors) -> None:
    if value is not None and not 0 <= value <= _MAX_ID:
        errors.append(invalid(path, value, range_text(0, _MAX_ID)))


def check_container_context(
    context: Object, path: str, options: Options, errors: Errors, *, host_users: bool
) -> None:
    _check_id(context.get("runAsUser"), f"{path}.runAsUser", errors)
    _check_id(context.get("runAsGroup"), f"{path}.runAsGroup", errors)
    proc_mount = context.get("procMount")
    if proc_mount is not None:
        if proc_mount not in ("Default", "Unmasked"):
            errors.append(not_supported(f"{path}.procMount", proc_mount, ("Default", "Unmasked")))
        if host_users and proc_mount == "Unmasked":
            text = "`hostUsers` must be false to use `Unmasked`"
            errors.append(invalid(f"{path}.procMount", proc_mount, text))
    if "seccompProfile" in context:
        _check_seccomp(context["seccompProfile"], f"{path}.seccompProfile", errors)
    if context.get("allowPrivilegeEscalation") is False:
        _check_no_escalation(context, path, options, errors)
    if "windowsOptions" in context:
        check_windows_options(context["windowsOptions"], f"{path}.windowsOptions", errors)
    if "appArmorProfile" in context:
        _check_apparmor(context["appArmorProfile"], f"{path}.appArmorProfile", errors)


def _check_no_escalation(context: Object, path: str, options: Options, errors: Errors) -> None:
    if context.get("privileged"):
        text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        errors.append(invalid(path, _shown(context), text))
    if options.sysadmin_without_escalation:
        return
    for capability in (context.get("capabilities") or {}).get("add") or ():
        if capability == "CAP_SYS_ADMIN":
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid(path, _shown(context), text))


def _check_seccomp(profile: Object, path: str, errors: Errors) -> None:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILE_TYPES:
        errors.append(not_supported_listed(f"{path}.type", kind, _PROFILE_TYPES))
    where = f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None:
            errors.append(required(where, "must be set when seccomp type is Localhost"))
        else:
            check_descending_path(local, where, errors)
    elif local is not None:
        shown = go_struct(profile, _NESTED_FIELDS["seccompProfile"])
        errors.append(invalid(where, shown, "can only be set when seccomp type is Localhost"))


def _check_apparmor(profile: Object, path: str, errors: Errors) -> None:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    where = f"{path}.localhostProfile"
    missing = "must be set when AppArmor type is Localhost"
    if kind == "Localhost":
        if local is None:
            errors.append(required(where, missing))
            return
        if local.strip() != local:
            errors.append(invalid(where, local, "must not be padded with whitespace"))
        elif not local:
            errors.append(required(where, missing))
        if size(local) > _MAX_APPARMOR_PATH:
            errors.append(too_long(where, _MAX_APPARMOR_PATH))
    elif kind in _PROFILE_TYPES:
        if local is not None:
            errors.append(invalid(where, local, "can only be set when AppArmor type is Localhost"))
    elif not kind:
        errors.append(required(f"{path}.type", "type is required when appArmorProfile is set"))
    else:
        errors.append(not_supported_listed(f"{path}.type", kind, _PROFILE_TYPES))


def check_pod_context(spec: Object, path: str, options: Options, errors: Errors) -> None:
    """The pod's security context, which templates have too. `path` is the spec's."""
    context = spec["securityContext"]
    path = f"{path}.securityContext"
    _check_id(context.get("fsGroup"), f"{path}.fsGroup", errors)
    _check_id(context.get("runAsUser"), f"{path}.runAsUser", errors)
    _check_id(context.get("runAsGroup"), f"{path}.runAsGroup", errors)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        _check_id(group, f"{path}.supplementalGroups[{index}]", errors)
    check_shared_process_namespace(spec, path, errors)
    if context.get("sysctls"):
        _check_sysctls(context["sysctls"], spec, f"{path}.sysctls", options, errors)
    _check_choice(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path, errors)
    if "seccompProfile" in context:
        _check_seccomp(context["seccompProfile"], f"{path}.seccompProfile", errors)
    if "windowsOptions" in context:
        check_windows_options(context["windowsOptions"], f"{path}.windowsOptions", errors)
    if "appArmorProfile" in context:
        _check_apparmor(context["appArmorProfile"], f"{path}.appArmorProfile", errors)
    _check_choice(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path, errors)
    if options.any_selinux_policy:
        _check_choice(context, "seLinuxChangePolicy", ("MountOption", "Recursive"), path, errors)
    else:
        _check_choice(context, "seLinuxChangePolicy", ("Recursive",), path, errors)


def check_shared_process_namespace(spec: Object, path: str, errors: Errors) -> None:
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.shareProcessNamespace", True, text))


def _check_choice(struct: Object, field: str, choices: Sequence[str], path: str, errors: Errors) -> None:
    value = struct.get(field)
    if value is not None and value not in choices:
        errors.append(not_supported(f"{path}.{field}", value, choices))


def _check_sysctls(sysctls: Sequence[Object], spec: Object, path: str, options: Options, errors: Errors) -> None:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, where = sysctl.get("name", ""), f"{path}[{index}].name"
        if not name:
            errors.append(required(where))
        elif size(name) > 253 or not _is_sysctl(name):
            errors.append(invalid(where, name, _SYSCTL_TEXT))
        elif name in seen:
            errors.append(duplicate(where, name))
        if not options.host_sysctls:
            namespace = sysctl_namespace(name)
            if spec.get("hostNetwork") and namespace == "net":
                errors.append(invalid(where, name, "may not be specified when 'hostNetwork' is true"))
            elif spec.get("hostIPC") and namespace == "ipc":
                errors.append(invalid(where, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)


def check_host_users(spec: Object, path: str, options: Options, errors: Errors) -> None:
    """A pod with a user namespace of its own shares no other namespace with the host."""
    if spec.get("hostUsers") is not False:
        return
    text = "when `hostUsers` is false"
    if spec.get("hostNetwork"):
        errors.append(forbidden(f"{path}.hostNetwork", text))
    if spec.get("hostPID"):
        errors.append(forbidden(f"{path}.HostPID", text))
    if spec.get("hostIPC"):
        errors.append(forbidden(f"{path}.HostIPC", text))
    if options.devices_without_host_users:
        return
    for container, here in containers_with_paths(spec, path):
        if container.get("volumeDevices"):
            errors.append(forbidden(f"{here}.volumeDevices", text))
