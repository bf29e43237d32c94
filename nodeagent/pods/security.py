"""As whom and with which powers a container runs: the pod's and the container's security contexts, put together. Pure.

Follows: pkg/securitycontext/util.go, pkg/kubelet/kuberuntime/{security_context.go,helpers.go}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeagent.pods import spec
from nodeagent.pods.environment import ConfigProblem
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import ContainerSecurity, Image, NamespaceMode, Namespaces, Profile, SandboxSecurity

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)


def effective(pod: View, container: View) -> Mapping[str, Any]:
    """The container's security context with the pod's values where it has none of its own."""
    shared = ("runAsUser", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile", "appArmorProfile")
    above = pod["spec"].get("securityContext") or {}
    found = {name: above[name] for name in shared if above.get(name) is not None}
    own = container.get("securityContext") or {}
    return found | {name: value for name, value in own.items() if value is not None}


def check_non_root(pod: View, container: View, image: Image) -> None:
    """Raises ConfigProblem where a container would run as root although it must not."""
    context = effective(pod, container)
    if not context.get("runAsNonRoot"):
        return
    where = f'(pod: "{spec.full_name(pod)}", container: {container["name"]})'
    user = context.get("runAsUser")
    if user is not None:
        if user == 0:
            raise ConfigProblem(f"container's runAsUser breaks non-root policy {where}")
        return
    if image.uid == 0 or (image.uid is None and not image.username):
        raise ConfigProblem(f"container has runAsNonRoot and image will run as root {where}")
    if image.uid is None and image.username:
        raise ConfigProblem(
            f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
            f"cannot verify user is non-root {where}"
        )


def container_security(pod: View, container: View, image: Image, target_id: str = "") -> ContainerSecurity:
    """What the runtime is told. `target_id`: the container whose processes an ephemeral one is to see."""
    context = effective(pod, container)
    pod_context = pod["spec"].get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    user = context.get("runAsUser")
    username = ""
    if user is None:
        user, username = image.uid, image.username if image.uid is None else ""
        if user is None and not username:
            user = 0  # What an image does not say is root, and is told so: a group goes with no unnamed user.
    unmasked = context.get("procMount") == "Unmasked"
    privileged = bool(context.get("privileged"))
    groups = list(pod_context.get("supplementalGroups") or ())
    if pod_context.get("fsGroup") is not None:
        groups.append(pod_context["fsGroup"])
    return ContainerSecurity(
        namespaces=namespaces(pod, target_id),
        privileged=privileged,
        add_capabilities=list(capabilities.get("add") or ()),
        drop_capabilities=list(capabilities.get("drop") or ()),
        run_as_user=user,
        run_as_username=username,
        run_as_group=context.get("runAsGroup"),
        readonly_root=bool(context.get("readOnlyRootFilesystem")),
        supplemental_groups=groups,
        strict_groups=pod_context.get("supplementalGroupsPolicy") == "Strict",
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        masked_paths=() if unmasked or privileged else MASKED_PATHS,
        readonly_paths=() if unmasked or privileged else READONLY_PATHS,
        seccomp=seccomp_profile(context),
        apparmor=_profile(context.get("appArmorProfile")),
        selinux=context.get("seLinuxOptions"),
    )


def wants_apparmor(pod: View) -> bool:
    """Whether any container is to be confined by AppArmor."""
    profiles = (effective(pod, container).get("appArmorProfile") for container in spec.all_containers(pod))
    return any(profile and profile["type"] != "Unconfined" for profile in profiles)


def seccomp_profile(context: Mapping[str, Any], folder: str = "/var/lib/kubelet/seccomp") -> Profile:
    given = context.get("seccompProfile")
    if not given:
        return Profile("Unconfined")
    if given["type"] == "Localhost":
        return Profile("Localhost", f"{folder}/{given.get('localhostProfile', '')}")
    return Profile(given["type"])


def _profile(given: View | None) -> Profile | None:
    return Profile(given["type"], given.get("localhostProfile") or "") if given else None


def namespaces(pod: View, target_id: str = "") -> Namespaces:
    """Which namespaces the containers of a pod share, and with whom."""
    node, shared = NamespaceMode.NODE, NamespaceMode.POD
    own = pod["spec"]
    pid = node if own.get("hostPID") else shared if own.get("shareProcessNamespace") else NamespaceMode.CONTAINER
    if target_id and pid is NamespaceMode.CONTAINER:
        pid = NamespaceMode.TARGET
    return Namespaces(
        network=node if own.get("hostNetwork") else shared,
        pid=pid,
        ipc=node if own.get("hostIPC") else shared,
        target_id=target_id if pid is NamespaceMode.TARGET else "",
    )


def sandbox_security(pod: View) -> SandboxSecurity:
    context = pod["spec"].get("securityContext") or {}
    groups = list(context.get("supplementalGroups") or ())
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    privileged = any(
        (container.get("securityContext") or {}).get("privileged") for container in spec.all_containers(pod)
    )
    user = context.get("runAsUser")
    return SandboxSecurity(
        namespaces=namespaces(pod),
        run_as_user=user,
        run_as_group=context.get("runAsGroup") if user is not None else None,
        supplemental_groups=groups,
        privileged=privileged,
        seccomp=Profile("RuntimeDefault"),
        selinux=context.get("seLinuxOptions"),
    )


def forbidden_sysctl(pod: View, allowed: tuple[str, ...]) -> str:
    """The message about the first kernel setting that the node does not allow; '' when all are fine."""
    settings = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    for setting in settings:
        name = setting["name"].replace("/", ".")
        if name in SAFE_SYSCTLS or any(_matches(name, pattern) for pattern in allowed):
            for prefix, field, noun in (("net.", "hostNetwork", "Net"), ("kernel.shm", "hostIPC", "IPC")):
                if name.startswith(prefix) and pod["spec"].get(field):
                    return f'forbidden sysctl: "{name}" not allowed with host {noun} enabled'
            continue
        return f'forbidden sysctl: "{name}" not allowlisted'
    return ""


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
