"""The Pod Security Standards: what the levels baseline and restricted forbid, by policy version.

A check tells of a violation by its reason and details, or says nothing. Baseline checks come first, then restricted
ones, each sorted by their ids; a restricted check may take the place of a baseline one.
Follows: staging/src/k8s.io/pod-security-admission/policy/{checks,registry,check_*}.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from openapi.meta.field import quote

Object = dict[str, Any]

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LATEST_MINOR = 36


class Subject(NamedTuple):
    """A pod or a template of pods. `containers` are all of them: init ones first, ephemeral ones last."""

    annotations: Mapping[str, str]
    spec: Mapping[str, Any]
    containers: tuple[Mapping[str, Any], ...]


class Violation(NamedTuple):
    reason: str
    detail: str


Check = Callable[[Subject], Violation | None]


def subject_of(pod: Mapping[str, Any]) -> Subject:
    """What checks look at in `{metadata, spec}`."""
    spec = pod.get("spec") or {}
    containers = tuple(
        container
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(field) or ()
    )
    return Subject((pod.get("metadata") or {}).get("annotations") or {}, spec, containers)


def violations(level: str, minor: int, subject: Subject) -> list[Violation]:
    """All that the pod does against a level as version 1.`minor` defines it."""
    found = (check(subject) for check in _checks(level, min(minor, LATEST_MINOR)))
    return [violation for violation in found if violation is not None]


@lru_cache(maxsize=128)
def _checks(level: str, minor: int) -> tuple[Check, ...]:
    if level == PRIVILEGED:
        return ()
    baseline, restricted = _at(_BASELINE, minor), _at(_RESTRICTED, minor)
    if level == BASELINE:
        return tuple(baseline[name] for name in sorted(baseline))
    replaced = {_REPLACES[name] for name in restricted if name in _REPLACES}
    kept = [baseline[name] for name in sorted(baseline) if name not in replaced]
    return (*kept, *(restricted[name] for name in sorted(restricted)))


def _at(table: Mapping[str, Mapping[int, Check]], minor: int) -> dict[str, Check]:
    """The newest form of each check that is not newer than the version."""
    found: dict[str, Check] = {}
    for name, forms in table.items():
        since = [first for first in forms if first <= minor]
        if since:
            found[name] = forms[max(since)]
    return found


# -- words -----------------------------------------------------------------------------------------------------


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _some(word: str, names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{_plural(word, names)} {_quoted(names)}"


def _plural(word: str, items: Iterable[str]) -> str:
    return word if len(list(items)) == 1 else word + "s"


def _uses(names: list[str]) -> str:
    return "uses" if len(names) == 1 else "use"


def _setters(pod: bool, containers: list[str]) -> str:
    """Who did it: `pod and container "c"`; '' for nobody."""
    return " and ".join(["pod"] * pod + ([_some("container", containers)] if containers else []))


def _context(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = holder.get("securityContext") or {}
    return found


def _name(container: Mapping[str, Any]) -> str:
    return str(container.get("name", ""))


def _named(subject: Subject, holds: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    """The containers whose security context is such."""
    return [_name(c) for c in subject.containers if holds(_context(c))]


def _is_windows(subject: Subject) -> bool:
    return (subject.spec.get("os") or {}).get("name") == "windows"


def _not_on_windows(check: Check) -> Check:
    return lambda subject: None if _is_windows(subject) else check(subject)


def _not_in_user_namespace(check: Check) -> Check:
    return lambda subject: None if subject.spec.get("hostUsers") is False else check(subject)


# -- baseline --------------------------------------------------------------------------------------------------

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_APPARMOR_TYPES = ("RuntimeDefault", "Localhost")


def _app_armor(subject: Subject) -> Violation | None:
    types: set[str] = set()

    def is_bad(context: Mapping[str, Any]) -> bool:
        profile = context.get("appArmorProfile")
        if profile is None or profile.get("type", "") in _APPARMOR_TYPES:
            return False
        types.add(profile.get("type", ""))
        return True

    setters = _setters(is_bad(_context(subject.spec)), _named(subject, is_bad))
    annotations = sorted(
        f"{key}={quote(value)}"
        for key, value in subject.annotations.items()
        if key.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    values = [*sorted(types), *annotations]
    if not values:
        return None
    if annotations:
        setters = f"{setters} and " * bool(setters) + _plural("annotation", annotations)
    reason = _plural("forbidden AppArmor profile", values)
    return Violation(reason, f"{setters} must not set AppArmor profile type to {_quoted(values)}")


_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)  # fmt: skip


def _added(subject: Subject, allowed: frozenset[str]) -> tuple[list[str], list[str]]:
    """The containers that add other capabilities than the allowed, and these."""
    names, values = [], set()
    for container in subject.containers:
        extra = set((_context(container).get("capabilities") or {}).get("add") or ()) - allowed
        if extra:
            names.append(_name(container))
            values |= extra
    return names, sorted(values)


def _not_to_add(names: list[str], values: list[str]) -> str:
    return f"{_some('container', names)} must not include {_quoted(values)} in securityContext.capabilities.add"


def _capabilities_baseline(subject: Subject) -> Violation | None:
    names, values = _added(subject, _CAPABILITIES)
    return Violation("non-default capabilities", _not_to_add(names, values)) if names else None


def _host_namespaces(subject: Subject) -> Violation | None:
    used = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if subject.spec.get(field)]
    return Violation("host namespaces", ", ".join(used)) if used else None


def _host_paths(subject: Subject) -> Violation | None:
    names = [_name(v) for v in subject.spec.get("volumes") or () if v.get("hostPath") is not None]
    return Violation("hostPath volumes", _some("volume", names)) if names else None


def _host_ports(subject: Subject) -> Violation | None:
    names, ports = [], set()
    for container in subject.containers:
        taken = {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}
        if taken:
            names.append(_name(container))
            ports |= taken
    if not names:
        return None
    shown = f"{_plural('hostPort', ports)} {', '.join(sorted(ports))}"
    return Violation("hostPort", f"{_some('container', names)} {_uses(names)} {shown}")


def _probe_hosts(subject: Subject) -> Violation | None:
    names, hosts = set(), set()
    for container in subject.containers:
        lifecycle = container.get("lifecycle") or {}
        handlers = [container.get(f) for f in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        for handler in handlers:
            for action in ("httpGet", "tcpSocket"):
                host = ((handler or {}).get(action) or {}).get("host")
                if host:
                    names.add(_name(container))
                    hosts.add(host)
    if not names:
        return None
    who = sorted(names)
    reason = "probe or lifecycle host"
    return Violation(
        reason, f"{_some('container', who)} {_uses(who)} {_plural(reason, hosts)} {_quoted(sorted(hosts))}"
    )


def _privileged(subject: Subject) -> Violation | None:
    names = _named(subject, lambda context: bool(context.get("privileged")))
    if not names:
        return None
    return Violation("privileged", f"{_some('container', names)} must not set securityContext.privileged=true")


def _proc_mount(subject: Subject) -> Violation | None:
    values: set[str] = set()

    def is_bad(context: Mapping[str, Any]) -> bool:
        value = context.get("procMount")
        if value is None or value == "Default":
            return False
        values.add(value)
        return True

    names = _named(subject, is_bad)
    if not names:
        return None
    shown = _quoted(sorted(values))
    return Violation("procMount", f"{_some('container', names)} must not set securityContext.procMount to {shown}")


_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t")


def _selinux(allowed: tuple[str, ...]) -> Check:
    def check(subject: Subject) -> Violation | None:
        types: set[str] = set()
        fields: set[str] = set()

        def is_bad(context: Mapping[str, Any]) -> bool:
            options = context.get("seLinuxOptions")
            if options is None:
                return False
            kind = options.get("type", "")
            given = {field for field in ("user", "role") if options.get(field)}
            if kind not in allowed:
                types.add(kind)
            fields.update(given)
            return bool(given) or kind not in allowed

        setters = _setters(is_bad(_context(subject.spec)), _named(subject, is_bad))
        if not setters:
            return None
        data = [f"{_plural('type', types)} {_quoted(sorted(types))}"] if types else []
        data += [f"{field} may not be set" for field in ("user", "role") if field in fields]
        detail = f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
        return Violation("seLinuxOptions", detail)

    return check


_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP_TYPES = ("Localhost", "RuntimeDefault")


def _seccomp_annotations(subject: Subject) -> Violation | None:
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + _name(c) for c in subject.containers)]
    bad = {
        f"{key}={quote(value)}"
        for key in keys
        if (value := subject.annotations.get(key)) is not None
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    }
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {_plural('annotation', bad)} {', '.join(sorted(bad))}")


def _bad_seccomp(subject: Subject) -> str:
    """Who chose which profile that is not allowed; '' for nobody."""
    values: set[str] = set()

    def is_bad(context: Mapping[str, Any]) -> bool:
        profile = context.get("seccompProfile")
        if profile is None or profile.get("type", "") in _SECCOMP_TYPES:
            return False
        values.add(profile.get("type", ""))
        return True

    setters = _setters(is_bad(_context(subject.spec)), _named(subject, is_bad))
    if not setters:
        return ""
    return f"{setters} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"


def _seccomp_baseline(subject: Subject) -> Violation | None:
    detail = _bad_seccomp(subject)
    return Violation("seccompProfile", detail) if detail else None


_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    )
)
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _sysctls(allowed: frozenset[str]) -> Check:
    def check(subject: Subject) -> Violation | None:
        given = (_name(sysctl) for sysctl in _context(subject.spec).get("sysctls") or ())
        bad = [name for name in given if name not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


def _host_process(subject: Subject) -> Violation | None:
    def is_bad(context: Mapping[str, Any]) -> bool:
        return bool((context.get("windowsOptions") or {}).get("hostProcess"))

    setters = _setters(is_bad(_context(subject.spec)), _named(subject, is_bad))
    if not setters:
        return None
    return Violation("hostProcess", f"{setters} must not set securityContext.windowsOptions.hostProcess=true")


# -- restricted ------------------------------------------------------------------------------------------------


def _privilege_escalation(subject: Subject) -> Violation | None:
    names = _named(subject, lambda context: context.get("allowPrivilegeEscalation") is not False)
    if not names:
        return None
    detail = f"{_some('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def _capabilities_restricted(subject: Subject) -> Violation | None:
    keeping = _named(subject, lambda context: "ALL" not in ((context.get("capabilities") or {}).get("drop") or ()))
    adding, values = _added(subject, frozenset(("NET_BIND_SERVICE",)))
    details = []
    if keeping:
        details.append(f'{_some("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        details.append(_not_to_add(adding, values))
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


_ALLOWED_VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)  # fmt: skip
_KNOWN_VOLUMES = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd",
    "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk",
    "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
)  # fmt: skip


def _volumes(subject: Subject) -> Violation | None:
    names, types = [], set()
    for volume in subject.spec.get("volumes") or ():
        if any(volume.get(kind) is not None for kind in _ALLOWED_VOLUMES):
            continue
        names.append(_name(volume))
        types.add(next((kind for kind in _KNOWN_VOLUMES if volume.get(kind) is not None), "unknown"))
    if not names:
        return None
    shown = f"{_plural('restricted volume type', types)} {_quoted(sorted(types))}"
    return Violation("restricted volume types", f"{_some('volume', names)} {_uses(names)} {shown}")


def _non_root(subject: Subject) -> Violation | None:
    pod, reason = _context(subject.spec).get("runAsNonRoot"), "runAsNonRoot != true"
    setters = _setters(pod is False, _named(subject, lambda context: context.get("runAsNonRoot") is False))
    if setters:
        return Violation(reason, f"{setters} must not set securityContext.runAsNonRoot=false")
    silent = [] if pod else _named(subject, lambda context: context.get("runAsNonRoot") is None)
    if not silent:
        return None
    return Violation(reason, f"pod or {_some('container', silent)} must set securityContext.runAsNonRoot=true")


def _root_user(subject: Subject) -> Violation | None:
    def is_root(context: Mapping[str, Any]) -> bool:
        return context.get("runAsUser") == 0

    setters = _setters(is_root(_context(subject.spec)), _named(subject, is_root))
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _seccomp_restricted(subject: Subject) -> Violation | None:
    detail = _bad_seccomp(subject)
    if not detail and _context(subject.spec).get("seccompProfile") is None:
        silent = _named(subject, lambda context: context.get("seccompProfile") is None)
        if silent:
            types = '"RuntimeDefault" or "Localhost"'
            who = f"pod or {_some('container', silent)}"
            detail = f"{who} must set securityContext.seccompProfile.type to {types}"
    return Violation("seccompProfile", detail) if detail else None


# By id: the forms of a check by the minor version that brought them.

_BASELINE: Mapping[str, Mapping[int, Check]] = {
    "appArmorProfile": {0: _app_armor},
    "capabilities_baseline": {0: _capabilities_baseline},
    "hostNamespaces": {0: _host_namespaces},
    "hostPathVolumes": {0: _host_paths},
    "hostPorts": {0: _host_ports},
    "hostProbesAndHostLifecycle": {34: _probe_hosts},
    "privileged": {0: _privileged},
    "procMount": {0: _proc_mount, 35: _not_in_user_namespace(_proc_mount)},
    "seLinuxOptions": {0: _selinux(_SELINUX), 31: _selinux((*_SELINUX, "container_engine_t"))},
    "seccompProfile_baseline": {0: _seccomp_annotations, 19: _seccomp_baseline},
    "sysctls": {0: _sysctls(_SYSCTLS), 27: _sysctls(_SYSCTLS_27), 29: _sysctls(_SYSCTLS_29), 32: _sysctls(_SYSCTLS_32)},
    "windowsHostProcess": {0: _host_process},
}
_RESTRICTED: Mapping[str, Mapping[int, Check]] = {
    "allowPrivilegeEscalation": {8: _privilege_escalation, 25: _not_on_windows(_privilege_escalation)},
    "capabilities_restricted": {22: _capabilities_restricted, 25: _not_on_windows(_capabilities_restricted)},
    "procMount_restricted": {35: _proc_mount},
    "restrictedVolumes": {0: _volumes},
    "runAsNonRoot": {0: _non_root, 35: _not_in_user_namespace(_non_root)},
    "runAsUser": {23: _root_user, 35: _not_in_user_namespace(_root_user)},
    "seccompProfile_restricted": {19: _seccomp_restricted, 25: _not_on_windows(_seccomp_restricted)},
}
_REPLACES = {
    "capabilities_restricted": "capabilities_baseline",
    "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}
