"""What is particular to pods of one operating system, above all the Windows options of security contexts.

Follows: pkg/apis/core/validation/validation.go validateWindowsSecurityContextOptions, validateWindowsHostProcessPod,
validateOS, validateLinux, validateWindows
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apiserver.resources.pods.options import Errors, check_format, containers_with_paths
from openapi.meta.field import forbidden, invalid, not_supported, required
from openapi.meta.names import is_dns1123_subdomain, size

Object = Mapping[str, Any]

_MAX_SPEC_KIB = 64
_MAX_DOMAIN = 256
_MAX_USER = 104
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

_has_control = re.compile(r"[\x00-\x1f\x7f]").search
_is_netbios = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}').fullmatch
_is_dns = re.compile(rf"{_LABEL}(?:\.{_LABEL})*").fullmatch
_has_bad_character = re.compile(r'["/\\:;|=,+*?<>@\[\]]').search
_is_dots_and_spaces = re.compile(r"[. ]+").fullmatch


def check_windows_options(options: Object, path: str, errors: Errors) -> None:
    name = options.get("gmsaCredentialSpecName")
    if name is not None:
        check_format(name, f"{path}.gmsaCredentialSpecName", is_dns1123_subdomain, errors)
    spec = options.get("gmsaCredentialSpec")
    if spec is not None:
        if not spec:
            text = "gmsaCredentialSpec cannot be an empty string"
            errors.append(invalid(f"{path}.gmsaCredentialSpec", spec, text))
        elif size(spec) > _MAX_SPEC_KIB * 1024:
            text = f"gmsaCredentialSpec size must be under {_MAX_SPEC_KIB} KiB"
            errors.append(invalid(f"{path}.gmsaCredentialSpec", spec, text))
    user = options.get("runAsUserName")
    if user is not None:
        for problem in _user_problems(user):
            errors.append(invalid(f"{path}.runAsUserName", user, problem))


def _user_problems(name: str) -> list[str]:
    """What is wrong with a `DOMAIN\\user`, the domain being optional."""
    if not name:
        return ["runAsUserName cannot be an empty string"]
    if _has_control(name):
        return ["runAsUserName cannot contain control characters"]
    if name.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, backslash, user = name.rpartition("\\")
    problems = []
    if size(domain) >= _MAX_DOMAIN:
        problems.append(f"runAsUserName's Domain length must be under {_MAX_DOMAIN} characters")
    if backslash and not (_is_netbios(domain) or _is_dns(domain)):
        problems.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        problems.append("runAsUserName's User cannot be empty")
    elif size(user) > _MAX_USER:
        problems.append(f"runAsUserName's User length must not be longer than {_MAX_USER} characters")
    if _is_dots_and_spaces(user):
        problems.append("runAsUserName's User cannot contain only periods or spaces")
    if _has_bad_character(user):
        problems.append('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]')
    return problems


def _host_process(holder: Object) -> bool | None:
    value = ((holder.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    return value if value is None else bool(value)


def check_host_process(spec: Object, path: str, errors: Errors) -> None:
    """Either all containers are host processes, on the host's network, or none is."""
    pod_value = _host_process(spec)
    total = of_host = 0
    for container, here in containers_with_paths(spec, path):
        total += 1
        value = _host_process(container)
        if pod_value is not None and value is not None and pod_value != value:
            shown = "true" if pod_value else "false"
            text = f"pod hostProcess value must be identical if both are specified, was {shown}"
            errors.append(invalid(f"{here}.securityContext.windowsOptions.hostProcess", value, text))
        of_host += bool(pod_value if value is None else value)
    if not of_host:
        return
    if of_host != total:
        text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(invalid(path, "", text))
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid(f"{path}.hostNetwork", False, text))


# Where each field of a pod that Windows has no notion of stands, in the order in which they are reported.
_POD_FIELDS = (
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
)
_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)
_ONLY_IF_TRUE = frozenset(("hostPID", "hostIPC"))


def check_os(spec: Object, path: str, errors: Errors) -> None:
    name = spec["os"].get("name", "")
    if not name:
        errors.append(required(f"{path}.os.name"))
    elif name == "linux":
        _check_linux(spec, path, errors)
    elif name == "windows":
        _check_windows(spec, path, errors)
    else:
        errors.append(not_supported(f"{path}.os", name, ("linux", "windows")))


def _check_linux(spec: Object, path: str, errors: Errors) -> None:
    text = "windows options cannot be set for a linux pod"
    if "windowsOptions" in (spec.get("securityContext") or ()):
        errors.append(forbidden(f"{path}.securityContext.windowsOptions", text))
    for container, here in containers_with_paths(spec, path):
        if "windowsOptions" in (container.get("securityContext") or ()):
            errors.append(forbidden(f"{here}.securityContext.windowsOptions", text))


def _check_windows(spec: Object, path: str, errors: Errors) -> None:
    text = "cannot be set for a windows pod"
    context = spec.get("securityContext") or {}
    for field in _POD_FIELDS:
        holder, name = (context, field[16:]) if field.startswith("securityContext.") else (spec, field)
        if name in holder and (holder[name] or name not in _ONLY_IF_TRUE):
            errors.append(forbidden(f"{path}.{field}", text))
    for container, here in containers_with_paths(spec, path):
        context = container.get("securityContext") or {}
        for field in _CONTAINER_FIELDS:
            if field in context:
                errors.append(forbidden(f"{here}.securityContext.{field}", text))
