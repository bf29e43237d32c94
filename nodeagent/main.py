"""Puts a node agent together and runs it until a signal: the only place that knows all parts."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

from controllers.runtime.client import Client
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Informer
from controllers.runtime.kinds import PODS, SERVICES
from controllers.runtime.store import Store
from controllers.runtime.transport import open_transport
from nodeagent.agent import NodeAgent, NodeParts
from nodeagent.door import Door
from nodeagent.host import AgentHost
from nodeagent.identity import ensure_kubeconfig
from nodeagent.network import cni
from nodeagent.network.dns import parse_resolv_conf
from nodeagent.node.keeper import NodeKeeper
from nodeagent.node.machine import Machine, read_machine
from nodeagent.node.status import NodeState, allocatable_of
from nodeagent.options import AgentOptions
from nodeagent.pods.apply import Tools
from nodeagent.pods.config import NodeSettings
from nodeagent.pods.environment import NodeFacts
from nodeagent.pods.images import Images
from nodeagent.pods.publish import Publisher
from nodeagent.pods.restart import Backoff
from nodeagent.pods.stop import Stopper
from nodeagent.pods.tell import COMPONENT, PodEvents
from nodeagent.runtime import containerd
from nodeagent.runtime.cri import CriRuntime
from nodeagent.runtime.protocol import Readiness, Runtime, RuntimeFailure
from nodeagent.sources import ApiSources
from nodeagent.volumes.claims import Claims
from nodeagent.volumes.setup import Volumes
from openapi.meta.times import now

log = logging.getLogger(__name__)

FLUSH_S = 3.0
BRIDGE = "wherry0"

Ready = Callable[[], None]


def run(options: AgentOptions, on_ready: Ready) -> None:
    """Run until SIGTERM or SIGINT. Raises RuntimeFailure when the runtime cannot be had."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_run(options, on_ready))


async def _run(options: AgentOptions, on_ready: Ready) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.create_task(_start(options, on_ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting


async def _start(options: AgentOptions, on_ready: Ready) -> None:
    """Identity, machine and runtime; then the node, until cancelled."""
    machine = await asyncio.to_thread(read_machine, options.root)
    if options.node_ip:
        machine = replace(machine, addresses=(options.node_ip,))
    runtime = await _open_runtime(options)
    kubeconfig, approver = options.kubeconfig, None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runtime.close)
        if options.bootstrap:
            bootstrap = await open_transport(kubeconfig)
            stack.push_async_callback(bootstrap.close)
            approver = Client(bootstrap, COMPONENT)
            kubeconfig = await ensure_kubeconfig(kubeconfig, options.root / "pki", options.name)
        transport = await open_transport(kubeconfig)
        stack.push_async_callback(transport.close)
        await _serve(options, Client(transport, COMPONENT), approver, machine, runtime, on_ready)


async def _open_runtime(options: AgentOptions) -> Runtime:
    if options.containerd is not None:
        await containerd.ensure_pause_image(options.containerd)
        return CriRuntime(str(options.containerd))
    paths = containerd_paths(options)
    await containerd.ensure_running(paths, options.root / "containerd.log")
    return CriRuntime(str(paths.socket))


def containerd_paths(options: AgentOptions) -> containerd.ContainerdPaths:
    """A socket's path must be short, so what is not to outlive the machine's uptime is below /run."""
    return containerd.ContainerdPaths.below(options.root, Path("/run/wherry") / options.name)


async def _serve(
    options: AgentOptions,
    client: Client,
    approver: Client | None,
    machine: Machine,
    runtime: Runtime,
    on_ready: Ready,
) -> None:
    """The parts of a process, then those of its node."""
    events = EventSink(client, now, host=options.name)
    services = Informer(client, SERVICES)
    agent, publisher = _make_node(options, client, machine, runtime, events, services.store)
    door = Door(options, client, approver, machine.addresses)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(events.run(), name="events")
            group.create_task(services.run(), name="services")
            await services.synced.wait()
            group.create_task(door.serve(AgentHost(options, runtime, agent)), name="server")
            await agent.run(on_ready)
    finally:
        await _write_the_rest(events, publisher)


async def _write_the_rest(events: EventSink, publisher: Publisher) -> None:
    """What has happened but is not written yet; the writers themselves are stopped already."""
    writers = [asyncio.create_task(events.run()), asyncio.create_task(publisher.run())]
    await asyncio.gather(events.flush(FLUSH_S), publisher.flush(FLUSH_S))
    for writer in writers:
        writer.cancel()


def _make_node(
    options: AgentOptions, client: Client, machine: Machine, runtime: Runtime, events: EventSink, services: Store
) -> tuple[NodeAgent, Publisher]:
    facts = NodeFacts(options.name, machine.addresses, allocatable_of(machine))
    pods = Informer(client, PODS, fields=f"spec.nodeName={options.name}")
    volumes: Volumes
    sources = ApiSources(client, services, lambda pod, volume, path: volumes.read_file(pod, volume, path))
    volumes = Volumes(options.root, sources, Claims(sources), facts)
    told = PodEvents(events.recorder(COMPONENT))
    tools = Tools(
        runtime=runtime,
        events=told,
        images=Images(runtime, sources),
        stopper=Stopper(runtime, told),
        backoff=Backoff(),
        sources=sources,
        surroundings=sources,
        settings=_settings(options, machine),
        node=facts,
    )
    keeper: NodeKeeper

    async def look() -> NodeState:
        _configure_network(options, keeper)
        return await _node_state(runtime, options)

    keeper = NodeKeeper(client, options.name, machine, look, labels=options.labels, taints=())
    publisher = Publisher(client, pods.store.get)
    return NodeAgent(NodeParts(options.name, tools, volumes, sources, publisher, keeper, pods)), publisher


def _settings(options: AgentOptions, machine: Machine) -> NodeSettings:
    try:
        resolv_conf = Path("/etc/resolv.conf").read_text()
    except OSError:
        resolv_conf = ""
    return NodeSettings(
        root=options.root,
        logs=options.root / "logs",
        cluster_domain=options.cluster_domain,
        cluster_dns=options.cluster_dns,
        node_dns=parse_resolv_conf(resolv_conf),
        memory_bytes=machine.memory_bytes,
    )


def _configure_network(options: AgentOptions, keeper: NodeKeeper) -> None:
    """As soon as it is known which addresses are the node's, the runtime is told."""
    if options.containerd is not None:
        return
    given = (keeper.node.get("spec") or {}).get("podCIDRs") or ([options.pod_cidr] if options.pod_cidr else [])
    if given:
        paths = containerd_paths(options)
        cni.write_configuration(paths.cni_config, options.root / "cni-addresses", list(given), BRIDGE)


async def _node_state(runtime: Runtime, options: AgentOptions) -> NodeState:
    try:
        readiness = await runtime.readiness()
        version = f"{runtime.name}://{await runtime.version()}"
        return NodeState(readiness, version, await runtime.images(), port=options.port)
    except RuntimeFailure as failure:
        return NodeState(Readiness(False, False, str(failure)), f"{runtime.name}://unknown", port=options.port)
