"""What the agent asks of a container runtime: sandboxes, containers, images, streams and news, in plain values.

Two runtimes fulfil this protocol: `cri` (containerd, over CRI v1) and `simulated`. Everything that a restarted agent
must find again travels in labels and annotations, which a runtime keeps and hands back unchanged.
Follows: staging/src/k8s.io/cri-api/pkg/apis/services.go
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class RuntimeFailure(Exception):
    """The runtime refused or could not do it; the text is what the runtime said, `code` gRPC's name for its sort."""

    code = "Unknown"

    @property
    def as_rpc_error(self) -> str:
        """As Go's gRPC writes such an error."""
        return f"rpc error: code = {self.code} desc = {self}"


def code_name(error: Any) -> str:
    """The code of an error of gRPC, as Go writes it."""
    return "".join(word.capitalize() for word in error.code().name.split("_"))


class Missing(RuntimeFailure):
    """There is no such sandbox, container or image."""


class Timeout(RuntimeFailure):
    """A command in a container did not end in the time it had."""


class State(Enum):
    """Where a container is in its life."""

    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class NamespaceMode(Enum):
    """Whose namespace a container lives in."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class Propagation(Enum):
    """How mounts under a mount spread between node and container."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


@dataclass(frozen=True, slots=True)
class Namespaces:
    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.CONTAINER
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A seccomp or AppArmor profile; `kind` is RuntimeDefault, Unconfined or Localhost."""

    kind: str
    localhost_ref: str = ""


@dataclass(frozen=True, slots=True)
class Dns:
    servers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PortMapping:
    protocol: str
    container_port: int
    host_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits as cgroups know them; 0 and empty mean not set."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit_bytes: int = 0
    oom_score_adj: int = 0
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxSecurity:
    namespaces: Namespaces = Namespaces()
    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: Sequence[int] = ()
    privileged: bool = False
    seccomp: Profile | None = None
    selinux: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """All that a sandbox is made from."""

    name: str
    namespace: str
    uid: str
    attempt: int
    hostname: str
    log_directory: str
    dns: Dns | None
    ports: Sequence[PortMapping]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    cgroup_parent: str
    sysctls: Mapping[str, str]
    security: SandboxSecurity
    handler: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the node in a container."""

    container_path: str
    host_path: str
    readonly: bool = False
    propagation: Propagation = Propagation.PRIVATE
    recursive_readonly: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    container_path: str
    host_path: str
    permissions: str = "mrw"


@dataclass(frozen=True, slots=True)
class ContainerSecurity:
    namespaces: Namespaces = Namespaces()
    privileged: bool = False
    add_capabilities: Sequence[str] = ()
    drop_capabilities: Sequence[str] = ()
    run_as_user: int | None = None
    run_as_username: str = ""
    run_as_group: int | None = None
    readonly_root: bool = False
    supplemental_groups: Sequence[int] = ()
    strict_groups: bool = False
    no_new_privileges: bool = False
    masked_paths: Sequence[str] = ()
    readonly_paths: Sequence[str] = ()
    seccomp: Profile | None = None
    apparmor: Profile | None = None
    selinux: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """All that a container is made from. `log_path` is relative to the sandbox's log directory."""

    name: str
    attempt: int
    image: str
    user_image: str
    command: Sequence[str]
    args: Sequence[str]
    working_dir: str
    env: Sequence[tuple[str, str]]
    mounts: Sequence[Mount]
    devices: Sequence[Device]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    log_path: str
    stdin: bool
    stdin_once: bool
    tty: bool
    resources: Resources
    security: ContainerSecurity
    stop_signal: str = ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as it is. `ips` is empty in the node's network."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    is_ready: bool
    created_ns: int
    labels: Mapping[str, str] = field(default_factory=dict)
    ips: Sequence[str] = ()
    host_network: bool = False
    handler: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as it is; times are nanoseconds since 1970, 0 where the moment has not come."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: State
    image: str
    image_id: str
    created_ns: int
    started_ns: int = 0
    finished_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    termination_log: str = ""
    resources: Resources | None = None
    user: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image on the node. `uid` and `username` say as whom it runs where the pod does not."""

    id: str
    tags: Sequence[str]
    digests: Sequence[str]
    size: int
    uid: int | None = None
    username: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What to give to mount(2)."""

    type: str
    source: str
    options: Sequence[str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in to a registry."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def output(self) -> str:
        return (self.stdout + self.stderr).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses now; None where the runtime cannot tell."""

    container: Container
    timestamp_ns: int
    cpu_core_ns: int | None
    cpu_nano_cores: int | None
    memory_working_set: int | None
    memory_usage: int | None
    memory_rss: int | None
    page_faults: int | None
    major_page_faults: int | None
    root_used_bytes: int | None
    root_inodes_used: int | None


@dataclass(frozen=True, slots=True)
class Handler:
    """A way of the runtime to run pods: the name by which RuntimeClasses know it, and what pods may have in it."""

    name: str
    recursive_readonly: bool = False
    user_namespaces: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether containers can run, and whether their network can; the messages say why not.

    `handlers` are those that the runtime tells of. `strict_groups`: whether it can keep a container to the groups that
    its pod names; None where it does not say.
    """

    runtime: bool
    network: bool
    runtime_message: str = ""
    network_message: str = ""
    handlers: Sequence[Handler] = ()
    strict_groups: bool | None = None


class Runtime(Protocol):
    """Every method may raise RuntimeFailure. Stopping and removing what is already gone is no failure."""

    @property
    def tells_all(self) -> bool:
        """Whether `news` tells of every change, so that nobody need look when there are none."""

    @property
    def name(self) -> str:
        """As in container ids: `containerd`."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By name, as it has told of them when it was last asked how it is."""

    async def version(self) -> str: ...

    async def readiness(self) -> Readiness: ...

    async def sandboxes(self, uid: str = "") -> Sequence[Sandbox]:
        """All of them, or those of one pod; without addresses."""

    async def sandbox(self, id: str) -> Sandbox: ...

    async def run_sandbox(self, config: SandboxConfig) -> str: ...

    async def stop_sandbox(self, id: str) -> None: ...

    async def remove_sandbox(self, id: str) -> None: ...

    async def containers(self, uid: str = "") -> Sequence[Container]:
        """All of them, or those of one pod; only id, sandbox, name, attempt, state, image, labels and annotations."""

    async def container(self, id: str) -> Container: ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str: ...

    async def start_container(self, id: str) -> None: ...

    async def stop_container(self, id: str, grace_s: int) -> None: ...

    async def remove_container(self, id: str) -> None: ...

    async def update_container(self, id: str, resources: Resources) -> None: ...

    async def reopen_log(self, id: str) -> None:
        """Go on writing the container's log to a new file: the old one has been renamed."""

    async def exec(self, id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        """Run a command to its end. Raises Timeout when `timeout_s` (0: no limit) was not enough."""

    async def exec_url(self, id: str, command: Sequence[str], *, streams: Mapping[str, bool]) -> str: ...

    async def attach_url(self, id: str, *, streams: Mapping[str, bool]) -> str: ...

    async def forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def images(self) -> Sequence[Image]: ...

    async def image(self, reference: str) -> Image | None: ...

    async def pull(self, reference: str, credentials: Credentials | None, sandbox: SandboxConfig | None) -> str:
        """Fetch an image; the answer is its id."""

    async def remove_image(self, reference: str) -> None: ...

    async def view_image(self, id: str, key: str) -> Sequence[FileSystem]:
        """How to mount the files of an image. The view `key` keeps them until it is dropped."""

    async def drop_view(self, key: str) -> None: ...

    async def usage(self) -> Sequence[Usage]: ...

    def news(self) -> AsyncIterator[None]:
        """One item whenever something has happened to some container; it may miss things, so also look by yourself."""

    async def close(self) -> None: ...
