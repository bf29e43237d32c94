"""The node agent's process: one node with real containers, or any number of simulated ones."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from controllers.runtime.client import Client
from controllers.runtime.informer import Informer
from controllers.runtime.kinds import NODES, PODS, SERVICES
from controllers.runtime.objects import name_of
from controllers.runtime.transport import open_transport
from nodeagent.assemble import Node, Surroundings
from nodeagent.identity import ensure_kubeconfig
from nodeagent.node.eviction import MEMORY, NODEFS, Signal
from nodeagent.node.machine import Machine, Reserved, read_machine
from nodeagent.objects import WatchedObjects
from nodeagent.options import AgentOptions
from nodeagent.pods.fleet import Fleet, node_of_pod
from nodeagent.pods.tell import COMPONENT
from nodeagent.runtimes import open_runtime
from nodeagent.volumes import mounting, provisioner
from openapi.meta.quantity import Quantity

log = logging.getLogger(__name__)

Ready = Callable[[], None]

SIMULATED_CPUS = 32
SIMULATED_MEMORY_BYTES = 256 * 1024**3
SIMULATED_DISK_BYTES = 1024 * 1024**3


def run(options: AgentOptions, on_ready: Ready) -> None:
    """Run until SIGTERM or SIGINT; containers go on unless the options say otherwise.

    Raises RuntimeFailure when the runtime cannot be had.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_run(options, on_ready))


async def _run(options: AgentOptions, on_ready: Ready) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_serve(options, on_ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def _serve(options: AgentOptions, on_ready: Ready) -> None:
    """Identity, machine and runtime; then the nodes, until cancelled."""
    machine = await asyncio.to_thread(_machine, options)
    if options.runtime == "containerd":
        try:
            mounting.make_shared(options.root)
        except OSError as error:
            log.warning("mounts of containers are not seen by others: %s", error)
    first_runtime = await open_runtime(options)
    async with AsyncExitStack() as stack:
        kubeconfig, approver = options.kubeconfig, None
        if options.bootstrap:
            bootstrap = await open_transport(kubeconfig)
            stack.push_async_callback(bootstrap.close)
            approver = Client(bootstrap, COMPONENT)
            kubeconfig = await ensure_kubeconfig(kubeconfig, options.root / "pki", options.name)
        transport = await open_transport(kubeconfig)
        stack.push_async_callback(transport.close)
        client = Client(transport, COMPONENT)
        services = Informer(client, SERVICES)
        pods = nodes = None
        if options.count > 1:
            pods = Fleet(Informer(client, PODS), node_of_pod)
            nodes = Fleet(Informer(client, NODES), name_of)
        objects = WatchedObjects(client)
        around = Surroundings(options, client, approver, machine, services.store, objects, pods, nodes)
        async with asyncio.TaskGroup() as group:
            group.create_task(services.run(), name="services")
            group.create_task(objects.run(), name="config maps and secrets")
            await services.synced.wait()
            for fleet in (pods, nodes):
                if fleet is not None:
                    group.create_task(fleet.informer.run(), name=f"all {fleet.informer.resource.resource}")

            def started() -> None:
                if options.provision:
                    group.create_task(_provision(approver or client, options), name="provisioner")
                on_ready()

            waiting = Countdown(options.count, started)
            for position, name in enumerate(options.names):
                runtime = first_runtime if position == 0 else await open_runtime(options)
                group.create_task(Node(name, around, runtime).run(waiting.one_less), name=name)


async def _provision(client: Client, options: AgentOptions) -> None:
    is_real = options.runtime == "containerd"
    await provisioner.serve(client, options.names, options.root / "local-path", has_files=is_real)


class Countdown:
    """Calls `then` when it has been told so often that one is done."""

    def __init__(self, count: int, then: Ready) -> None:
        self._count = count
        self._then = then

    def one_less(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._then()


def _machine(options: AgentOptions) -> Machine:
    found = read_machine(options.root)
    if options.node_ip:
        found = replace(found, addresses=(options.node_ip,))
    if options.runtime == "simulated":
        found = replace(
            found,
            cpus=SIMULATED_CPUS,
            memory_bytes=SIMULATED_MEMORY_BYTES,
            disk_bytes=SIMULATED_DISK_BYTES,
            addresses=(options.node_ip or "127.0.0.1",),
        )
    return replace(found, reserved=_reserved(options, found))


def _reserved(options: AgentOptions, machine: Machine) -> Reserved:
    def amount(name: str) -> Quantity:
        return Quantity.parse(options.reserved.get(name, "0"))

    def free(signal: str, capacity: int) -> int:
        wanted = [threshold.least(Signal(0, capacity)) for threshold in options.eviction if threshold.signal == signal]
        return max(wanted, default=0)

    return Reserved(
        cpu_milli=amount("cpu").milli,
        memory_bytes=amount("memory").value,
        disk_bytes=amount("ephemeral-storage").value,
        free_memory_bytes=free(MEMORY, machine.memory_bytes),
        free_disk_bytes=free(NODEFS, machine.disk_bytes),
    )
