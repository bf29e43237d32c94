"""The runtime protocol over CRI v1 gRPC, as containerd speaks it on a Unix socket.

This module translates between the agent's plain values and CRI messages; it decides nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from nodeagent.runtime import protocol, snapshots
from nodeagent.runtime.cri_messages import messages
from nodeagent.runtime.protocol import (
    Container,
    ContainerConfig,
    Credentials,
    ExecResult,
    FileSystem,
    Handler,
    Image,
    Missing,
    Namespaces,
    Profile,
    Readiness,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxConfig,
    State,
    Timeout,
    Usage,
)

CALL_TIMEOUT_S = 120.0
"""As long as a kubelet waits for its runtime. Pulls take what they take, stops their grace period besides."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_SIGNAL_NAMES = """
RUNTIME_DEFAULT SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE
SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1
SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ
"""
SIGNALS = tuple(_SIGNAL_NAMES.split())
_PROFILES = {"RuntimeDefault": 0, "Unconfined": 1, "Localhost": 2}
_PROTOCOLS = {"TCP": 0, "UDP": 1, "SCTP": 2}
POD_UID = "io.kubernetes.pod.uid"
OWNER = "wherry.dev/node"
"""The label that tells the containers of one node from those of others who use the same containerd."""


class CriRuntime:
    """A container runtime behind a CRI socket. Of all that it has, only what carries the label of `owner` is seen."""

    def __init__(self, socket: str, owner: str) -> None:
        import grpc

        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ]
        self._channel = grpc.aio.insecure_channel(f"unix://{socket}", options=options)
        self._owner = owner
        self._methods: dict[str, Any] = {}
        self._messages = messages()
        self._handlers: Mapping[str, Handler] = {}

    @property
    def name(self) -> str:
        return "containerd"

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Namespaces of users are left out: the agent maps no users, whatever the runtime can."""
        return self._handlers

    @property
    def tells_all(self) -> bool:
        """Its stream of events breaks off at times, and with it what happens meanwhile."""
        return False

    async def close(self) -> None:
        await self._channel.close()

    async def version(self) -> str:
        return str((await self._call("Version")).runtime_version)

    async def readiness(self) -> Readiness:
        answer = await self._call("Status")
        told = [Handler(item.name, item.features.recursive_read_only_mounts) for item in answer.runtime_handlers]
        self._handlers = {handler.name: handler for handler in told}
        said = {condition.type: condition for condition in answer.status.conditions}
        runtime, network = said.get("RuntimeReady"), said.get("NetworkReady")
        return Readiness(
            runtime=runtime is not None and runtime.status,
            network=network is not None and network.status,
            runtime_message=runtime.message if runtime is not None else "",
            network_message=network.message if network is not None else "",
            handlers=told,
            strict_groups=answer.features.supplemental_groups_policy if answer.HasField("features") else None,
        )

    async def settings(self) -> Mapping[str, Any]:
        """How containerd's CRI is configured, as far as it tells."""
        answer = await self._call("Status", verbose=True)
        found: Mapping[str, Any] = json.loads(answer.info.get("config") or "{}")
        return found

    # -- sandboxes ---------------------------------------------------------------------------------------------

    async def sandboxes(self, uid: str = "") -> Sequence[Sandbox]:
        answer = await self._call("ListPodSandbox", filter={"label_selector": self._selector(uid)})
        return [_sandbox(item) for item in answer.items if POD_UID in item.labels]

    async def has_foreign_sandboxes(self) -> bool:
        """Whether somebody who does not know the label of owners keeps pods there."""
        answer = await self._call("ListPodSandbox")
        return any(OWNER not in item.labels for item in answer.items)

    def _selector(self, uid: str) -> dict[str, str]:
        return {OWNER: self._owner, **({POD_UID: uid} if uid else {})}

    def _owned(self, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "labels": {**config["labels"], OWNER: self._owner}}

    async def sandbox(self, id: str) -> Sandbox:
        answer = await self._call("PodSandboxStatus", pod_sandbox_id=id)
        return _sandbox(answer.status)

    async def run_sandbox(self, config: SandboxConfig) -> str:
        answer = await self._call(
            "RunPodSandbox",
            timeout_s=2 * CALL_TIMEOUT_S,
            config=self._owned(_sandbox_config(config)),
            runtime_handler=config.handler,
        )
        return str(answer.pod_sandbox_id)

    async def stop_sandbox(self, id: str) -> None:
        await self._call_gone("StopPodSandbox", pod_sandbox_id=id)

    async def remove_sandbox(self, id: str) -> None:
        await self._call_gone("RemovePodSandbox", pod_sandbox_id=id)

    # -- containers --------------------------------------------------------------------------------------------

    async def containers(self, uid: str = "") -> Sequence[Container]:
        answer = await self._call("ListContainers", filter={"label_selector": self._selector(uid)})
        return [_container(item, item.pod_sandbox_id) for item in answer.containers if POD_UID in item.labels]

    async def container(self, id: str) -> Container:
        return _container((await self._call("ContainerStatus", container_id=id)).status, "")

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        answer = await self._call(
            "CreateContainer",
            pod_sandbox_id=sandbox_id,
            config=self._owned(_container_config(config)),
            sandbox_config=self._owned(_sandbox_config(sandbox)),
        )
        return str(answer.container_id)

    async def start_container(self, id: str) -> None:
        await self._call("StartContainer", container_id=id)

    async def stop_container(self, id: str, grace_s: int) -> None:
        await self._call_gone("StopContainer", timeout_s=CALL_TIMEOUT_S + grace_s, container_id=id, timeout=grace_s)

    async def remove_container(self, id: str) -> None:
        await self._call_gone("RemoveContainer", container_id=id)

    async def update_container(self, id: str, resources: Resources) -> None:
        await self._call("UpdateContainerResources", container_id=id, linux=_resources(resources))

    async def reopen_log(self, id: str) -> None:
        await self._call("ReopenContainerLog", container_id=id)

    async def exec(self, id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        limit = timeout_s + CALL_TIMEOUT_S if timeout_s else None
        answer = await self._call("ExecSync", timeout_s=limit, container_id=id, cmd=command, timeout=timeout_s)
        return ExecResult(answer.exit_code, answer.stdout, answer.stderr)

    async def exec_url(self, id: str, command: Sequence[str], *, streams: Mapping[str, bool]) -> str:
        return str((await self._call("Exec", container_id=id, cmd=command, **streams)).url)

    async def attach_url(self, id: str, *, streams: Mapping[str, bool]) -> str:
        return str((await self._call("Attach", container_id=id, **streams)).url)

    async def forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return str((await self._call("PortForward", pod_sandbox_id=sandbox_id, port=ports)).url)

    async def usage(self) -> Sequence[Usage]:
        answer = await self._call("ListContainerStats", filter={"label_selector": self._selector("")})
        return [_usage(stats) for stats in answer.stats if POD_UID in stats.attributes.labels]

    # -- images ------------------------------------------------------------------------------------------------

    async def images(self) -> Sequence[Image]:
        return [_image(image) for image in (await self._image_call("ListImages")).images]

    async def image(self, reference: str) -> Image | None:
        answer = await self._image_call("ImageStatus", image={"image": reference})
        return _image(answer.image) if answer.HasField("image") else None

    async def pull(self, reference: str, credentials: Credentials | None, sandbox: SandboxConfig | None) -> str:
        request: dict[str, Any] = {"image": {"image": reference}}
        if credentials is not None:
            request["auth"] = {name: getattr(credentials, name) for name in credentials.__slots__}
        if sandbox is not None:
            request["sandbox_config"] = _sandbox_config(sandbox)
        return str((await self._image_call("PullImage", timeout_s=None, **request)).image_ref)

    async def remove_image(self, reference: str) -> None:
        await self._image_call("RemoveImage", image={"image": reference})

    async def view_image(self, id: str, key: str) -> Sequence[FileSystem]:
        answer = await self._image_call("ImageStatus", image={"image": id}, verbose=True)
        layers = json.loads(answer.info.get("info") or "{}").get("chainID")
        if not layers:
            raise RuntimeFailure(f"the runtime does not tell the layers of image {id}")
        return await snapshots.view(self._channel, await self._snapshotter(), layers, key)

    async def drop_view(self, key: str) -> None:
        await snapshots.drop(self._channel, await self._snapshotter(), key)

    async def _snapshotter(self) -> str:
        settings = await self.settings()
        return str((settings.get("containerd") or {}).get("snapshotter") or snapshots.DEFAULT_SNAPSHOTTER)

    # -- news --------------------------------------------------------------------------------------------------

    async def news(self) -> AsyncIterator[None]:
        """containerd's own event stream (CRI has none before containerd 1.7); every event counts the same here."""
        call = self._channel.unary_stream("/containerd.services.events.v1.Events/Subscribe")
        while True:
            try:
                async for _ in call(b""):
                    yield None
            except asyncio.CancelledError:
                raise
            except Exception as error:  # grpc's errors have no common base that survives its reconnections
                if not _is_rpc_error(error):
                    raise
            await asyncio.sleep(1)

    # -- calls -------------------------------------------------------------------------------------------------

    async def _call(self, method: str, *, timeout_s: float | None = CALL_TIMEOUT_S, **request: Any) -> Any:
        return await self._send("RuntimeService", method, timeout_s, request)

    async def _image_call(self, method: str, *, timeout_s: float | None = CALL_TIMEOUT_S, **request: Any) -> Any:
        return await self._send("ImageService", method, timeout_s, request)

    async def _call_gone(self, method: str, **request: Any) -> None:
        """A call for which it is as well when what it names does not exist any more."""
        try:
            await self._call(method, **request)
        except Missing:
            return

    async def _send(self, service: str, method: str, timeout_s: float | None, request: Mapping[str, Any]) -> Any:
        import grpc

        call = self._methods.get(method)
        if call is None:
            call = self._methods[method] = self._channel.unary_unary(
                f"/runtime.v1.{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=self._messages[f"{method}Response"].FromString,
            )
        try:
            message = self._messages[f"{method}Request"](**request)
        except UnicodeEncodeError as error:
            failure = RuntimeFailure("grpc: error while marshaling: string field contains invalid UTF-8")
            failure.code = "Internal"
            raise failure from error
        try:
            return await call(message, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error


def _is_rpc_error(error: Exception) -> bool:
    import grpc

    return isinstance(error, grpc.RpcError)


def _failure(error: Any) -> RuntimeFailure:
    import grpc

    text = error.details() or str(error.code())
    kinds = {grpc.StatusCode.NOT_FOUND: Missing, grpc.StatusCode.DEADLINE_EXCEEDED: Timeout}
    failure = kinds.get(error.code(), RuntimeFailure)(text)
    failure.code = protocol.code_name(error)
    return failure


# -- to CRI ----------------------------------------------------------------------------------------------------


def _sandbox_config(config: SandboxConfig) -> dict[str, Any]:
    security = config.security
    context: dict[str, Any] = {
        "namespace_options": _namespaces(security.namespaces),
        "supplemental_groups": security.supplemental_groups,
        "privileged": security.privileged,
    }
    if security.run_as_user is not None:
        context["run_as_user"] = {"value": security.run_as_user}
    if security.run_as_group is not None:
        context["run_as_group"] = {"value": security.run_as_group}
    if security.seccomp is not None:
        context["seccomp"] = _profile(security.seccomp)
    if security.selinux:
        context["selinux_options"] = dict(security.selinux)
    found: dict[str, Any] = {
        "metadata": {
            "name": config.name,
            "uid": config.uid,
            "namespace": config.namespace,
            "attempt": config.attempt,
        },
        "hostname": config.hostname,
        "log_directory": config.log_directory,
        "port_mappings": [
            {
                "protocol": _PROTOCOLS.get(port.protocol, 0),
                "container_port": port.container_port,
                "host_port": port.host_port,
                "host_ip": port.host_ip,
            }
            for port in config.ports
        ],
        "labels": config.labels,
        "annotations": config.annotations,
        "linux": {
            "cgroup_parent": config.cgroup_parent,
            "security_context": context,
            "sysctls": config.sysctls,
        },
    }
    if config.dns is not None:
        dns = config.dns
        found["dns_config"] = {"servers": dns.servers, "searches": dns.searches, "options": dns.options}
    return found


def _container_config(config: ContainerConfig) -> dict[str, Any]:
    return {
        "metadata": {"name": config.name, "attempt": config.attempt},
        "image": {"image": config.image, "user_specified_image": config.user_image},
        "command": config.command,
        "args": config.args,
        "working_dir": config.working_dir,
        "envs": [{"key": key, "value": value} for key, value in config.env],
        "mounts": [_mount(mount) for mount in config.mounts],
        "devices": [
            {"container_path": d.container_path, "host_path": d.host_path, "permissions": d.permissions}
            for d in config.devices
        ],
        "labels": config.labels,
        "annotations": config.annotations,
        "log_path": config.log_path,
        "stdin": config.stdin,
        "stdin_once": config.stdin_once,
        "tty": config.tty,
        "linux": {"resources": _resources(config.resources), "security_context": _security(config)},
        "stop_signal": SIGNALS.index(config.stop_signal) if config.stop_signal in SIGNALS else 0,
    }


def _security(config: ContainerConfig) -> dict[str, Any]:
    security = config.security
    found: dict[str, Any] = {
        "capabilities": {
            "add_capabilities": security.add_capabilities,
            "drop_capabilities": security.drop_capabilities,
        },
        "privileged": security.privileged,
        "namespace_options": _namespaces(security.namespaces),
        "run_as_username": security.run_as_username,
        "readonly_rootfs": security.readonly_root,
        "supplemental_groups": security.supplemental_groups,
        "supplemental_groups_policy": int(security.strict_groups),
        "no_new_privs": security.no_new_privileges,
        "masked_paths": security.masked_paths,
        "readonly_paths": security.readonly_paths,
    }
    if security.run_as_user is not None:
        found["run_as_user"] = {"value": security.run_as_user}
    if security.run_as_group is not None:
        found["run_as_group"] = {"value": security.run_as_group}
    if security.seccomp is not None:
        found["seccomp"] = _profile(security.seccomp)
    if security.apparmor is not None:
        found["apparmor"] = _profile(security.apparmor)
    if security.selinux:
        found["selinux_options"] = dict(security.selinux)
    return found


def _mount(mount: protocol.Mount) -> dict[str, Any]:
    found: dict[str, Any] = {
        "container_path": mount.container_path,
        "host_path": mount.host_path,
        "readonly": mount.readonly,
        "propagation": mount.propagation.value,
        "recursive_read_only": mount.recursive_readonly,
    }
    return found


def _namespaces(namespaces: Namespaces) -> dict[str, Any]:
    return {
        "network": namespaces.network.value,
        "pid": namespaces.pid.value,
        "ipc": namespaces.ipc.value,
        "target_id": namespaces.target_id,
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {"profile_type": _PROFILES[profile.kind], "localhost_ref": profile.localhost_ref}


def _resources(resources: Resources) -> dict[str, Any]:
    return {
        "cpu_period": resources.cpu_period,
        "cpu_quota": resources.cpu_quota,
        "cpu_shares": resources.cpu_shares,
        "memory_limit_in_bytes": resources.memory_limit_bytes,
        "oom_score_adj": resources.oom_score_adj,
        "unified": resources.unified,
    }


# -- from CRI --------------------------------------------------------------------------------------------------


def _sandbox(item: Any) -> Sandbox:
    network = getattr(item, "network", None)
    ips: list[str] = []
    host_network = False
    if network is not None:
        ips = [ip for ip in (network.ip, *(extra.ip for extra in network.additional_ips)) if ip]
        host_network = item.linux.namespaces.options.network == protocol.NamespaceMode.NODE.value
    return Sandbox(
        id=item.id,
        name=item.metadata.name,
        namespace=item.metadata.namespace,
        uid=item.metadata.uid,
        attempt=item.metadata.attempt,
        is_ready=item.state == 0,
        created_ns=item.created_at,
        labels=dict(item.labels),
        ips=ips,
        host_network=host_network,
        handler=item.runtime_handler,
    )


def _container(item: Any, sandbox_id: str) -> Container:
    """From the short form of a list or the full form of a status, which differ in what they hold."""
    common: dict[str, Any] = {
        "id": item.id,
        "sandbox_id": sandbox_id,
        "name": item.metadata.name,
        "attempt": item.metadata.attempt,
        "state": State(item.state),
        "image": item.image.image,
        "image_id": item.image_ref,
        "created_ns": item.created_at,
        "labels": dict(item.labels),
        "annotations": dict(item.annotations),
    }
    if sandbox_id:
        return Container(**common)
    path = item.annotations.get("io.kubernetes.container.terminationMessagePath", "")
    logs = [mount.host_path for mount in item.mounts if mount.container_path == path]
    linux = item.resources.linux if item.HasField("resources") else None
    user = item.user.linux if item.HasField("user") and item.user.HasField("linux") else None
    return Container(
        **common,
        started_ns=item.started_at,
        finished_ns=item.finished_at,
        exit_code=item.exit_code,
        reason=item.reason,
        message=item.message,
        log_path=item.log_path,
        termination_log=logs[0] if path and logs else "",
        resources=_known_resources(linux) if linux is not None else None,
        user=_user(user) if user is not None else None,
    )


def _known_resources(linux: Any) -> Resources:
    return Resources(
        cpu_period=linux.cpu_period,
        cpu_quota=linux.cpu_quota,
        cpu_shares=linux.cpu_shares,
        memory_limit_bytes=linux.memory_limit_in_bytes,
    )


def _user(linux: Any) -> dict[str, object]:
    return {"uid": linux.uid, "gid": linux.gid, "supplementalGroups": list(linux.supplemental_groups)}


def _image(item: Any) -> Image:
    return Image(
        id=item.id,
        tags=list(item.repo_tags),
        digests=list(item.repo_digests),
        size=item.size,
        uid=item.uid.value if item.HasField("uid") else None,
        username=item.username,
        pinned=item.pinned,
    )


def _usage(stats: Any) -> Usage:
    attributes = stats.attributes
    container = Container(
        id=attributes.id,
        sandbox_id="",
        name=attributes.metadata.name,
        attempt=attributes.metadata.attempt,
        state=State.RUNNING,
        image="",
        image_id="",
        created_ns=0,
        labels=dict(attributes.labels),
        annotations=dict(attributes.annotations),
    )
    cpu, memory, layer = stats.cpu, stats.memory, stats.writable_layer
    return Usage(
        container=container,
        timestamp_ns=cpu.timestamp,
        cpu_core_ns=_value(cpu, "usage_core_nano_seconds"),
        cpu_nano_cores=_value(cpu, "usage_nano_cores"),
        memory_working_set=_value(memory, "working_set_bytes"),
        memory_usage=_value(memory, "usage_bytes"),
        memory_rss=_value(memory, "rss_bytes"),
        page_faults=_value(memory, "page_faults"),
        major_page_faults=_value(memory, "major_page_faults"),
        root_used_bytes=_value(layer, "used_bytes"),
        root_inodes_used=_value(layer, "inodes_used"),
    )


def _value(message: Any, field: str) -> int | None:
    return int(getattr(message, field).value) if message.HasField(field) else None
