"""A runtime without containers: pods walk through their life on the clock, thousands of them in one process.

A container whose policy is to be restarted always runs until it is stopped; any other ends well after a second.
Annotations of the pod steer that, for all of its regular containers, or with `.<container>` appended for any one:

- `simulated.wherry.dev/run-seconds`: how long a container runs before it ends by itself
- `simulated.wherry.dev/exit-code`: with which code it then ends
- `simulated.wherry.dev/ready-after-seconds`: from when on its probes succeed
- `simulated.wherry.dev/stop-seconds`: how long it takes to stop when told to
- `simulated.wherry.dev/start-error`: why it cannot be started
- `simulated.wherry.dev/pull-error`: why its image cannot be pulled
- `simulated.wherry.dev/termination-message`: its last words
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from nodeagent.runtime.protocol import (
    Container,
    ContainerConfig,
    Credentials,
    ExecResult,
    FileSystem,
    Handler,
    Image,
    Missing,
    NamespaceMode,
    Readiness,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxConfig,
    State,
    Usage,
)

PREFIX = "simulated.wherry.dev/"
RESTART_POLICY = "io.kubernetes.container.restartPolicy"
"""Annotation by which the agent tells the policy that holds for a container."""

SORT = "wherry.dev/container-sort"
"""Annotation by which the agent tells `init`, `regular` and `ephemeral` containers apart."""

SHORT_LIFE_S = 1.0
SIGTERM_CODE = 143
IMAGE_BYTES = 50_000_000
MEMORY_BYTES = 20 * 1024 * 1024
HANDLERS = {"": Handler("", recursive_readonly=True, user_namespaces=True)}


@dataclass(slots=True)
class _Simulated:
    """A container: what is known of it, and the timer that ends it."""

    container: Container
    config: ContainerConfig
    pod: Mapping[str, str]
    timer: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def setting(self, name: str) -> str | None:
        """What the pod's annotations say, of this container first."""
        key = PREFIX + name
        general = self.pod.get(key) if self.config.annotations.get(SORT, "regular") == "regular" else None
        return self.pod.get(f"{key}.{self.config.name}", general)

    def seconds(self, name: str) -> float | None:
        text = self.setting(name)
        return float(text) if text is not None else None


class SimulatedRuntime:
    """The runtime of one simulated node; `pod_cidr` is where its pods get their addresses."""

    def __init__(self, pod_cidr: str = "") -> None:
        self._sandboxes: dict[str, Sandbox] = {}
        self._annotations: dict[str, Mapping[str, str]] = {}
        self._containers: dict[str, _Simulated] = {}
        self._images: dict[str, Image] = {}
        self._addresses: Iterator[str] = iter(())
        self._freed: list[str] = []
        self._cidr = ""
        self._news = asyncio.Event()
        if pod_cidr:
            self.use_addresses(pod_cidr)

    @property
    def name(self) -> str:
        return "simulated"

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return HANDLERS

    @property
    def tells_all(self) -> bool:
        return True

    def use_addresses(self, pod_cidr: str) -> None:
        """From now on pods get addresses from there."""
        if pod_cidr != self._cidr:
            self._cidr = pod_cidr
            hosts = ipaddress.ip_network(pod_cidr).hosts()
            next(hosts, None)
            self._addresses, self._freed = map(str, hosts), []

    async def close(self) -> None:
        for item in self._containers.values():
            if item.timer is not None:
                item.timer.cancel()

    async def version(self) -> str:
        return "1.0.0"

    async def readiness(self) -> Readiness:
        message = "" if self._cidr else "the node has no addresses for pods yet"
        return Readiness(
            runtime=True,
            network=bool(self._cidr),
            network_message=message,
            handlers=[*HANDLERS.values()],
            strict_groups=True,
        )

    # -- sandboxes ---------------------------------------------------------------------------------------------

    async def sandboxes(self, uid: str = "") -> Sequence[Sandbox]:
        return [sandbox for sandbox in self._sandboxes.values() if uid in ("", sandbox.uid)]

    async def sandbox(self, id: str) -> Sandbox:
        return self._find_sandbox(id)

    async def run_sandbox(self, config: SandboxConfig) -> str:
        is_host = config.security.namespaces.network is NamespaceMode.NODE
        sandbox = Sandbox(
            id=_new_id(),
            name=config.name,
            namespace=config.namespace,
            uid=config.uid,
            attempt=config.attempt,
            is_ready=True,
            created_ns=time.time_ns(),
            labels=config.labels,
            ips=() if is_host else (self._address(),),
            host_network=is_host,
            handler=config.handler,
        )
        self._sandboxes[sandbox.id] = sandbox
        self._annotations[sandbox.id] = config.annotations
        return sandbox.id

    async def stop_sandbox(self, id: str) -> None:
        sandbox = self._sandboxes.get(id)
        if sandbox is None or not sandbox.is_ready:
            return
        for item in self._of_sandbox(id):
            self._end(item, 137, "Error")
        self._freed.extend(sandbox.ips)
        self._sandboxes[id] = replace(sandbox, is_ready=False, ips=())

    async def remove_sandbox(self, id: str) -> None:
        await self.stop_sandbox(id)
        for item in self._of_sandbox(id):
            del self._containers[item.container.id]
        self._sandboxes.pop(id, None)
        self._annotations.pop(id, None)

    # -- containers --------------------------------------------------------------------------------------------

    async def containers(self, uid: str = "") -> Sequence[Container]:
        items = self._containers.values()
        return [i.container for i in items if uid in ("", i.container.labels.get("io.kubernetes.pod.uid"))]

    async def container(self, id: str) -> Container:
        return self._find(id).container

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        self._find_sandbox(sandbox_id)
        container = Container(
            id=_new_id(),
            sandbox_id=sandbox_id,
            name=config.name,
            attempt=config.attempt,
            state=State.CREATED,
            image=config.user_image,
            image_id=config.image,
            created_ns=time.time_ns(),
            labels=config.labels,
            annotations=config.annotations,
            log_path=config.log_path,
        )
        self._containers[container.id] = _Simulated(container, config, self._annotations[sandbox_id])
        return container.id

    async def start_container(self, id: str) -> None:
        item = self._find(id)
        refusal = item.setting("start-error")
        if refusal:
            self._end(item, 128, "StartError", refusal)
            raise RuntimeFailure(refusal)
        item.container = replace(item.container, state=State.RUNNING, started_ns=time.time_ns())
        life_s = item.seconds("run-seconds")
        if life_s is None and item.config.annotations.get(RESTART_POLICY, "Always") != "Always":
            life_s = SHORT_LIFE_S
        if life_s is not None:
            code = int(item.setting("exit-code") or 0)
            item.timer = asyncio.get_running_loop().call_later(life_s, self._end, item, code)
        self._news.set()

    async def stop_container(self, id: str, grace_s: int) -> None:
        item = self._containers.get(id)
        if item is None or item.container.state is not State.RUNNING:
            return
        needed_s = item.seconds("stop-seconds") or 0.0
        try:
            async with asyncio.timeout(min(needed_s, grace_s)):
                await item.ended.wait()
        except TimeoutError:
            self._end(item, SIGTERM_CODE if needed_s < grace_s or not needed_s else 137)

    async def remove_container(self, id: str) -> None:
        item = self._containers.pop(id, None)
        if item is not None and item.timer is not None:
            item.timer.cancel()

    async def update_container(self, id: str, resources: Resources) -> None:
        item = self._find(id)
        item.container = replace(item.container, resources=resources)

    async def reopen_log(self, id: str) -> None:
        """Nothing is written to files."""

    async def exec(self, id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        """Commands do nothing; they succeed as probes do."""
        return ExecResult(0 if self.probe_succeeds(id) else 1, b"", b"")

    def probe_succeeds(self, id: str) -> bool:
        """Whether a probe of the container would find it well now."""
        item = self._find(id)
        if item.container.state is not State.RUNNING:
            return False
        return time.time() >= item.container.started_ns / 10**9 + (item.seconds("ready-after-seconds") or 0.0)

    async def exec_url(self, id: str, command: Sequence[str], *, streams: Mapping[str, bool]) -> str:
        raise RuntimeFailure("simulated containers have no processes to run a command beside")

    async def attach_url(self, id: str, *, streams: Mapping[str, bool]) -> str:
        raise RuntimeFailure("simulated containers have no streams to attach to")

    async def forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        raise RuntimeFailure("simulated pods have no ports to forward to")

    def log(self, id: str) -> bytes:
        """What the container has printed, in the format of log files: that it has begun, and how it has ended."""
        container = self._find(id).container
        lines = []
        if container.started_ns:
            lines.append(_log_line(container.started_ns, f"simulated container {container.name} started"))
        if container.state is State.EXITED:
            lines.append(_log_line(container.finished_ns, f"ended with exit code {container.exit_code}"))
        return b"".join(lines)

    async def view_image(self, id: str, key: str) -> Sequence[FileSystem]:
        return ()

    async def drop_view(self, key: str) -> None:
        """There is none."""

    async def usage(self) -> Sequence[Usage]:
        moment = time.time_ns()
        return [_usage(item.container, moment) for item in self._containers.values()
                if item.container.state is State.RUNNING]  # fmt: skip

    # -- images ------------------------------------------------------------------------------------------------

    async def images(self) -> Sequence[Image]:
        return list(self._images.values())

    async def image(self, reference: str) -> Image | None:
        return self._images.get(reference)

    async def pull(self, reference: str, credentials: Credentials | None, sandbox: SandboxConfig | None) -> str:
        refusal = (sandbox.annotations if sandbox is not None else {}).get(PREFIX + "pull-error")
        if refusal:
            raise RuntimeFailure(refusal)
        image_id = f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
        self._images[reference] = Image(image_id, [reference], [], IMAGE_BYTES)
        return image_id

    async def remove_image(self, reference: str) -> None:
        for name, image in list(self._images.items()):
            if reference in (name, image.id):
                del self._images[name]

    # -- news --------------------------------------------------------------------------------------------------

    async def news(self) -> AsyncIterator[None]:
        while True:
            await self._news.wait()
            self._news.clear()
            yield None

    def _end(self, item: _Simulated, code: int, reason: str = "", message: str = "") -> None:
        if item.timer is not None:
            item.timer.cancel()
        if item.container.state is State.EXITED:
            return
        item.container = replace(
            item.container,
            state=State.EXITED,
            finished_ns=time.time_ns(),
            exit_code=code,
            reason=reason or ("Error" if code else "Completed"),
            message=message or item.setting("termination-message") or "",
        )
        item.ended.set()
        self._news.set()

    def _find(self, id: str) -> _Simulated:
        item = self._containers.get(id)
        if item is None:
            raise Missing(f"no container {id}")
        return item

    def _find_sandbox(self, id: str) -> Sandbox:
        sandbox = self._sandboxes.get(id)
        if sandbox is None:
            raise Missing(f"no sandbox {id}")
        return sandbox

    def _of_sandbox(self, id: str) -> list[_Simulated]:
        return [item for item in self._containers.values() if item.container.sandbox_id == id]

    def _address(self) -> str:
        address = next(self._addresses, "") or (self._freed.pop(0) if self._freed else "")
        if not address:
            raise RuntimeFailure(f"no addresses available in range {self._cidr}")
        return address


def _new_id() -> str:
    return uuid.uuid4().hex + uuid.uuid4().hex


def _log_line(moment_ns: int, text: str) -> bytes:
    seconds, nanoseconds = divmod(moment_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z stdout F {text}\n".encode()


def _usage(container: Container, moment_ns: int) -> Usage:
    """A hundredth of a processor and a little memory, always."""
    return Usage(
        container=container,
        timestamp_ns=moment_ns,
        cpu_core_ns=(moment_ns - container.started_ns) // 100,
        cpu_nano_cores=10_000_000,
        memory_working_set=MEMORY_BYTES,
        memory_usage=MEMORY_BYTES,
        memory_rss=MEMORY_BYTES,
        page_faults=0,
        major_page_faults=0,
        root_used_bytes=0,
        root_inodes_used=0,
    )
