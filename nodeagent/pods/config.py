"""What the runtime is told to make: the sandbox of a pod and each container, from the spec and facts about the node.

Follows: pkg/kubelet/kuberuntime/{kuberuntime_sandbox.go,kuberuntime_container.go,labels.go}
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from nodeagent.network import dns, hosts
from nodeagent.pods import resources, security, spec
from nodeagent.pods.environment import ConfigProblem, expand, unknown_names
from nodeagent.pods.plan import hash_of
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import (
    ContainerConfig,
    ContainerSecurity,
    Device,
    Dns,
    Image,
    Mount,
    PortMapping,
    Propagation,
    SandboxConfig,
)
from nodeagent.runtime.simulated import RESTART_POLICY, SORT
from nodeagent.volumes.sub_path import SUB_PATHS, Escape, bind
from nodeagent.volumes.volume import Volume

log = logging.getLogger(__name__)

_PROPAGATION = {
    "None": Propagation.PRIVATE,
    "HostToContainer": Propagation.HOST_TO_CONTAINER,
    "Bidirectional": Propagation.BIDIRECTIONAL,
}
DEFAULT_TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What is the same for all pods of a node. Folders: `root` for pods, `logs` for their output."""

    root: Path
    logs: Path
    cluster_domain: str
    cluster_dns: Sequence[str]
    node_dns: Dns
    memory_bytes: int
    cgroup_root: str = "kubepods"
    has_apparmor: bool = True
    has_files: bool = True
    """False where containers are only simulated and need no files on the node."""


def labels_of(pod: View) -> dict[str, str]:
    metadata = pod["metadata"]
    return {
        "io.kubernetes.pod.name": metadata["name"],
        "io.kubernetes.pod.namespace": metadata["namespace"],
        "io.kubernetes.pod.uid": metadata["uid"],
    }


def log_folder(settings: NodeSettings, pod: View) -> Path:
    metadata = pod["metadata"]
    return settings.logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"


def cgroup_parent(settings: NodeSettings, pod: View) -> str:
    """The pod's own cgroup, below that of its quality of service."""
    quality = spec.qos_class(pod)
    between = "" if quality == "Guaranteed" else f"/{quality.lower()}"
    return f"/{settings.cgroup_root}{between}/pod{spec.uid_of(pod)}"


def dns_of(pod: View, settings: NodeSettings) -> tuple[Dns, Sequence[str]]:
    """How the pod finds names, and what is to be told of that."""
    return dns.pod_dns(
        pod, settings.node_dns, cluster_servers=settings.cluster_dns, cluster_domain=settings.cluster_domain
    )


def sandbox_config(pod: View, attempt: int, settings: NodeSettings, handler: str = "") -> SandboxConfig:
    """Raises hosts.NameTooLong."""
    metadata = pod["metadata"]
    is_host = spec.is_host_network(pod)
    return SandboxConfig(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        attempt=attempt,
        hostname="" if is_host else hosts.kernel_hostname(pod, settings.cluster_domain),
        log_directory=str(log_folder(settings, pod)),
        dns=dns_of(pod, settings)[0],
        ports=[] if is_host else _ports(pod),
        labels={**(metadata.get("labels") or {}), **labels_of(pod)},
        annotations=dict(metadata.get("annotations") or {}),
        cgroup_parent=cgroup_parent(settings, pod),
        sysctls={
            item["name"].replace("/", "."): item["value"]
            for item in (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
        },
        security=security.sandbox_security(pod),
        handler=handler,
    )


def _ports(pod: View) -> list[PortMapping]:
    return [
        PortMapping(
            protocol=port.get("protocol") or "TCP",
            container_port=port["containerPort"],
            host_port=port["hostPort"],
            host_ip=port.get("hostIP") or "",
        )
        for container in (*spec.containers(pod), *spec.init_containers(pod))
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What a container is made from besides the pod. `target_id`: whose processes an ephemeral one is to see."""

    attempt: int
    image: Image
    environment: Mapping[str, str]
    volumes: Mapping[str, Volume]
    ips: Sequence[str]
    target_id: str = ""
    can_recursive_readonly: bool = False


def container_config(pod: View, container: View, facts: ContainerFacts, settings: NodeSettings) -> ContainerConfig:
    """Makes the files that the container needs on the node. Raises ConfigProblem."""
    env = facts.environment
    name = container["name"]
    log_path = f"{name}/{facts.attempt}.log"
    mounts: list[Mount] = []
    devices: list[Device] = []
    if settings.has_files:
        (log_folder(settings, pod) / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        mounts, devices = _mounts(container, facts, settings.root / "pods" / spec.uid_of(pod))
        mounts += _managed_files(pod, container, facts, settings)
    return ContainerConfig(
        name=name,
        attempt=facts.attempt,
        image=facts.image.id,
        user_image=container.get("image", ""),
        command=[expand(word, env) for word in container.get("command") or ()],
        args=[expand(word, env) for word in container.get("args") or ()],
        working_dir=container.get("workingDir") or "",
        env=list(env.items()),
        mounts=mounts,
        devices=devices,
        labels={**labels_of(pod), "io.kubernetes.container.name": name},
        annotations=_annotations(pod, container, facts.attempt),
        log_path=log_path,
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        resources=resources.container_resources(pod, container, settings.memory_bytes),
        security=_with_groups(security.container_security(pod, container, facts.image, facts.target_id), facts.volumes),
        stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
    )


def _with_groups(context: ContainerSecurity, volumes: Mapping[str, Volume]) -> ContainerSecurity:
    """With the groups that volumes of the pod are for."""
    given = list(context.supplemental_groups)
    wanted = {volume.group for volume in volumes.values() if volume.group is not None}
    return replace(context, supplemental_groups=given + sorted(wanted.difference(given)))


def _annotations(pod: View, container: View, attempt: int) -> dict[str, str]:
    """What an agent that knows only the container needs to stop it well and to report on it."""
    found = {
        "io.kubernetes.container.hash": hash_of(container),
        "io.kubernetes.container.restartCount": str(attempt),
        "io.kubernetes.container.terminationMessagePath": container.get("terminationMessagePath")
        or DEFAULT_TERMINATION_LOG,
        "io.kubernetes.container.terminationMessagePolicy": container.get("terminationMessagePolicy") or "File",
        "io.kubernetes.pod.terminationGracePeriod": str(pod["spec"].get("terminationGracePeriodSeconds", 30)),
    }
    sort = spec.sort_of(pod, container["name"])
    policy = container.get("restartPolicy") or (spec.restart_policy(pod) if sort == "regular" else "Never")
    found |= {RESTART_POLICY: policy, SORT: sort}
    hook = (container.get("lifecycle") or {}).get("preStop")
    if hook:
        found["io.kubernetes.container.preStopHandler"] = orjson.dumps(hook).decode()
    if container.get("ports"):
        found["io.kubernetes.container.ports"] = orjson.dumps(container["ports"]).decode()
    return found


def _mounts(container: View, facts: ContainerFacts, folder: Path) -> tuple[list[Mount], list[Device]]:
    """`folder`: the pod's."""
    devices = []
    for device in container.get("volumeDevices") or ():
        volume = facts.volumes[device["name"]]
        devices.append(Device(device["devicePath"], str(volume.path), "r" if volume.readonly else "mrw"))
    found = []
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        volume = facts.volumes[mount["name"]]
        readonly = bool(mount.get("readOnly")) or volume.readonly
        path = _absolute(mount["mountPath"])
        sub_path = _sub_path(mount, facts.environment)
        target = folder / SUB_PATHS / volume.name / container["name"] / str(index)
        found.append(
            Mount(
                path,
                _part_of(container, mount, volume, sub_path, target),
                readonly,
                _PROPAGATION[mount.get("mountPropagation") or "None"],
                recursive_readonly=_is_recursive(mount, facts.can_recursive_readonly),
            )
        )
    return found, devices


def _is_recursive(mount: View, is_supported: bool) -> bool:
    """Whether what is mounted below is to be read only too. Raises ConfigProblem where it must but cannot."""
    wanted = mount.get("recursiveReadOnly") or "Disabled"
    if wanted == "Enabled" and not is_supported:
        what = f'volume "{mount["name"]}" requested recursive read-only mode, but it is not supported by the runtime'
        raise ConfigProblem(f"failed to resolve recursive read-only mode: {what}")
    return wanted != "Disabled" and is_supported


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _sub_path(mount: View, environment: Mapping[str, str]) -> str:
    """Raises ConfigProblem."""
    expression = mount.get("subPathExpr")
    if not expression:
        return str(mount.get("subPath") or "")
    given = {name: value for name, value in environment.items() if value}
    unknown = sorted(set(unknown_names(expression, given)))
    if unknown:
        raise ConfigProblem(f"missing value for {', '.join(unknown)}")
    return expand(expression, environment)


def _part_of(container: View, mount: View, volume: Volume, sub_path: str, target: Path) -> str:
    """The path of the part of the volume that is to be mounted: `target`. Raises ConfigProblem."""
    if not sub_path:
        return str(volume.path)
    if sub_path.startswith("/"):
        raise ConfigProblem(f"error SubPath `{sub_path}` must not be an absolute path")
    if ".." in sub_path.split("/"):
        raise ConfigProblem(f"unable to provision SubPath `{sub_path}`: must not contain '..'")
    what = "create subPath directory" if _is_missing(volume.path / sub_path) else "prepare subPath"
    try:
        bind(volume.path, sub_path, target)
    except (Escape, OSError) as error:
        # What exactly is wrong would tell things about the node.
        log.warning("part of a volume not mounted: %s", error, extra={"volume": volume.name})
        where = f'volumeMount "{mount["name"]}" of container "{container["name"]}"'
        raise ConfigProblem(f"failed to {what} for {where}") from error
    return str(target)


def _is_missing(path: Path) -> bool:
    """Whether there is nothing, which is not known of what cannot be looked at: below a file for one."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _managed_files(pod: View, container: View, facts: ContainerFacts, settings: NodeSettings) -> list[Mount]:
    """The hosts file that the pod's containers share, and the file for the container's last words."""
    mounts = []
    own = {mount["mountPath"] for mount in container.get("volumeMounts") or ()}
    folder = settings.root / "pods" / spec.uid_of(pod)
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if "/etc/hosts" not in own:
        path = folder / "etc-hosts"
        node_hosts = _read("/etc/hosts") if spec.is_host_network(pod) else ""
        path.write_text(hosts.hosts_file(pod, facts.ips, node_hosts, settings.cluster_domain))
        path.chmod(0o644)
        mounts.append(Mount("/etc/hosts", str(path)))
    log_path = container.get("terminationMessagePath") or DEFAULT_TERMINATION_LOG
    words = folder / "containers" / container["name"] / uuid.uuid4().hex[:8]
    words.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    words.touch()
    # Whoever the container runs as must be able to write it, whatever this process' umask.
    os.chmod(words, 0o666)
    mounts.append(Mount(log_path, str(words)))
    return mounts


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
