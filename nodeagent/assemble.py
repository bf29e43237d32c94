"""Puts one node together: its runtime, its agent, its own API, and what they need of the process around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from controllers.runtime.client import Client
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Informer
from controllers.runtime.kinds import NODES, PODS
from controllers.runtime.store import Store
from nodeagent.agent import NodeAgent, NodeParts
from nodeagent.care import NodeCare
from nodeagent.door import Door
from nodeagent.host import AgentHost
from nodeagent.mirrors import Mirrors
from nodeagent.network import cni
from nodeagent.network.dns import parse_resolv_conf
from nodeagent.network.routes import overlap, read_routes
from nodeagent.node.cgroups import Cgroups
from nodeagent.node.keeper import NodeKeeper
from nodeagent.node.log_rotation import LogRotation
from nodeagent.node.machine import Machine, has_apparmor
from nodeagent.node.status import NodeState, allocatable_of, capacity_of
from nodeagent.node.tiers import Tiers
from nodeagent.objects import WatchedObjects
from nodeagent.options import AgentOptions
from nodeagent.pods.apply import Tools
from nodeagent.pods.config import NodeSettings
from nodeagent.pods.credentials import NodeCredentials
from nodeagent.pods.environment import NodeFacts
from nodeagent.pods.fleet import Fleet
from nodeagent.pods.images import Images
from nodeagent.pods.publish import Publisher
from nodeagent.pods.restart import Backoff
from nodeagent.pods.spec import View
from nodeagent.pods.stop import Stopper
from nodeagent.pods.tell import COMPONENT, PodEvents
from nodeagent.removal import remove_node, rest_node
from nodeagent.runtime import containerd
from nodeagent.runtime.protocol import Readiness, RuntimeFailure
from nodeagent.runtime.simulated import SimulatedRuntime
from nodeagent.runtimes import NodeRuntime, addresses, bridge, cgroup_root, containerd_paths, start_containerd
from nodeagent.shutdown import NodeShutdown
from nodeagent.sources import ApiSources
from nodeagent.volumes.claims import Claims
from nodeagent.volumes.csi.api import CsiApi
from nodeagent.volumes.csi.attachment import Attachments
from nodeagent.volumes.csi.node_info import NodeInfo
from nodeagent.volumes.csi.registration import Drivers
from nodeagent.volumes.csi.volumes import CsiVolumes
from nodeagent.volumes.disks import Disks
from nodeagent.volumes.image import ImageVolumes
from nodeagent.volumes.persistent import PersistentVolumes
from nodeagent.volumes.setup import Owned, Volumes
from nodeagent.volumes.simulated import SimulatedVolumes
from openapi.meta.times import now

log = logging.getLogger(__name__)

FLUSH_S = 3.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the nodes of a process share. `pods` and `nodes` only where they are many; `approver` only when brought up
    with one.
    """

    options: AgentOptions
    client: Client
    approver: Client | None
    machine: Machine
    services: Store
    objects: WatchedObjects
    pods: Fleet | None
    nodes: Fleet | None


class Node:
    """A node with all its parts; `run` it."""

    def __init__(self, name: str, around: Surroundings, opened: NodeRuntime) -> None:
        self.name = name
        self._around = around
        self._opened = opened
        self._runtime = opened.runtime
        self._network_problem = ""
        options, client, machine = around.options, around.client, around.machine
        self._port = options.port
        self._events = EventSink(client, now, host=name)
        fleet = around.pods
        pods = fleet.informer if fleet is not None else Informer(client, PODS, fields=f"spec.nodeName={name}")
        nodes = around.nodes
        node = nodes.of(name) if nodes is not None else Informer(client, NODES, fields=f"metadata.name={name}")
        self._publisher = Publisher(client, pods.store.get)
        # The kubelet names its node so, too: without a version, and with the name for a uid.
        named = {"kind": "Node", "apiVersion": "", "metadata": {"name": name, "uid": name}}
        self._tell = partial(self._events.recorder(COMPONENT).normal, named)
        # Of nodes by the thousand nobody wants to read that they have begun.
        tell = self._tell if nodes is None else None
        labels = options.labels
        self._keeper = NodeKeeper(client, name, machine, self._look, node, labels=labels, taints=(), tell=tell)
        self._door = Door(options, name, client, machine.addresses)
        self._settings = _settings(options, machine)
        facts = NodeFacts(name, machine.addresses, allocatable_of(machine))
        sources = ApiSources(client, around.services, around.objects, self._file_in)
        make_volumes = Volumes if options.runtime == "containerd" else SimulatedVolumes
        self._drivers = Drivers(
            options.root / "plugins_registry", NodeInfo(client, name), lambda: self._agent.wake_all()
        )
        self._csi = self._csi_volumes(sources) if options.runtime == "containerd" else None
        disks = Disks(options.root)
        persistent = PersistentVolumes(lambda: self._keeper.node, disks, self._csi)
        self._image_volumes = ImageVolumes(options.root, self._runtime)
        owned = Owned(self._image_volumes, self._csi, disks)
        self._volumes = make_volumes(options.root, sources, Claims(sources), persistent, facts, owned)
        tools = self._tools(sources, facts)
        own_pods = fleet.of(name) if fleet is not None else pods
        self._shutdown = self._make_shutdown()
        refusal = self._shutdown.refusal
        self._agent = NodeAgent(
            NodeParts(name, tools, self._volumes, sources, self._publisher, self._keeper, own_pods, refusal)
        )
        self._mirrors = Mirrors(
            client,
            name,
            options.root / "manifests",
            node=lambda: self._keeper.node,
            current=lambda: [pod for pod in pods.store.all() if pod["spec"].get("nodeName") == name],
            add=self._agent.add_static,
            remove=self._agent.remove_static,
        )
        self._tiers = Tiers(
            Cgroups(),
            cgroup_root(options),
            lambda: [worker.allocated_pod for worker in self._agent.workers if not worker.is_finished],
            capacity_of(machine),
        )
        self._logs = LogRotation(opened.runtime, lambda: self._agent.workers, options.log_limits)
        self._care = NodeCare(tools, self._volumes, lambda: self._agent.workers, self._keeper.wake, options.eviction)

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until cancelled; what has happened until then is still written."""
        options, approver = self._around.options, self._around.approver
        host = AgentHost(self.name, options, self._runtime, self._agent, self._volumes, self._settings)
        self._port = await self._door.open(host, options.port if options.count == 1 else 0)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._events.run(), name="events")
                if approver is not None:
                    group.create_task(self._door.keep_certificate(approver), name="certificate")
                if options.runtime == "containerd" and options.socket is None:
                    start = partial(start_containerd, options)
                    keeping = containerd.keep_running(containerd_paths(options).socket, start)
                    group.create_task(keeping, name="containerd")

                def started() -> None:
                    group.create_task(self._shutdown.run(), name="shutdown")
                    if options.runtime == "containerd":
                        group.create_task(self._care.run(), name="care")
                        group.create_task(self._mirrors.run(), name="static pods")
                        group.create_task(self._drivers.run(), name="CSI drivers")
                        group.create_task(self._logs.run(), name="log rotation")
                        group.create_task(self._tiers.run(), name="cgroups of classes")
                    on_ready()

                await self._agent.run(started)
        finally:
            await self._door.close()
            await self._write_the_rest()
            if options.ephemeral:
                await remove_node(options, self._opened)
            elif options.stops_containers:
                await rest_node(options, self._opened)
            await self._runtime.close()

    async def _write_the_rest(self) -> None:
        """The writers themselves are stopped already, so they are started once more."""
        writers = [asyncio.create_task(self._events.run()), asyncio.create_task(self._publisher.run())]
        await asyncio.gather(self._events.flush(FLUSH_S), self._publisher.flush(FLUSH_S))
        for writer in writers:
            writer.cancel()

    def _make_shutdown(self) -> NodeShutdown:
        periods = self._around.options.shutdown
        return NodeShutdown(periods, lambda: self._agent.workers, self._keeper.wake, self._tell)

    def _csi_volumes(self, sources: ApiSources) -> CsiVolumes:
        api = CsiApi(self._around.client, self.name)
        attachments = Attachments(api, lambda: self._keeper.node, self._keeper.wake)
        told = PodEvents(self._events.recorder(COMPONENT))
        folder = self._around.options.root
        return CsiVolumes(folder, self._drivers, api, attachments, sources.token_status, told.pod)

    def _tools(self, sources: ApiSources, facts: NodeFacts) -> Tools:
        told = PodEvents(self._events.recorder(COMPONENT))
        options = self._around.options
        own = NodeCredentials(options.root, Path.home()) if options.runtime == "containerd" else None
        return Tools(
            runtime=self._runtime,
            events=told,
            images=Images(self._runtime, sources, own),
            image_volumes=self._image_volumes,
            stopper=Stopper(self._runtime, told),
            backoff=Backoff(),
            sources=sources,
            surroundings=sources,
            settings=self._settings,
            node=facts,
            cgroups=Cgroups() if self._around.options.runtime == "containerd" else None,
        )

    def _file_in(self, pod: View, volume: str, path: str) -> Path | None:
        return self._volumes.file_in(pod, volume, path)

    async def _look(self) -> NodeState:
        """The present state of the node; new addresses for pods are passed on to the runtime."""
        self._configure_network()
        runtime, port = self._runtime, self._port
        try:
            readiness = await runtime.readiness()
            if self._network_problem:
                readiness = replace(readiness, network=False, network_message=self._network_problem)
            version = f"{runtime.name}://{await runtime.version()}"
            used = self._csi.in_use() if self._csi is not None else ()
            images = await runtime.images()
            return NodeState(readiness, version, images, self._care.pressures, port, used, self._shutdown.problem)
        except RuntimeFailure as failure:
            readiness, version = Readiness(False, False, str(failure)), f"{runtime.name}://unknown"
            return NodeState(readiness, version, port=port, shutdown=self._shutdown.problem)

    def _configure_network(self) -> None:
        options = self._around.options
        own = [options.pod_cidr] if options.pod_cidr else []
        given = list((self._keeper.node.get("spec") or {}).get("podCIDRs") or own)
        if not given:
            return
        if isinstance(self._runtime, SimulatedRuntime):
            self._runtime.use_addresses(given[0])
        elif self._opened.cni_file is not None:
            self._network_problem = overlap(given, read_routes(), bridge(options))
            if not self._network_problem:
                cni.write_configuration(self._opened.cni_file, addresses(options), given, bridge(options))


def _settings(options: AgentOptions, machine: Machine) -> NodeSettings:
    try:
        resolv_conf = Path("/etc/resolv.conf").read_text()
    except OSError:
        resolv_conf = ""
    return NodeSettings(
        root=options.root,
        logs=options.root / "logs",
        cgroup_root=cgroup_root(options),
        cluster_domain=options.cluster_domain,
        cluster_dns=options.cluster_dns,
        node_dns=parse_resolv_conf(resolv_conf),
        memory_bytes=machine.memory_bytes,
        has_apparmor=options.runtime != "containerd" or has_apparmor(),
        has_files=options.runtime == "containerd",
    )
