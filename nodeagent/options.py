"""What a node agent is told on its command line."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nodeagent.node.eviction import HARD, Threshold, parse_thresholds
from nodeagent.node.old_logs import LogLimits
from nodeagent.node.shutdown import ShutdownPeriods, make_periods
from openapi.meta.cron import parse_duration
from openapi.meta.quantity import Quantity

CLUSTER_DNS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

RuntimeName = Literal["containerd", "simulated"]


class WrongOption(Exception):
    """What was asked for makes no sense."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """`containerd` is the socket of a running one, or the program to start; without it the installed one is started.

    An `ephemeral` node takes everything of its own with it when it ends; one that `stops_containers` leaves what is
    kept on disk, and nothing that runs. Otherwise containers go on, for the next agent to take over.
    With `bootstrap` the kubeconfig is only good for asking for a certificate in the node's own name.
    With `provision` volumes are made of the node's folders, in the name of the kubeconfig's user.
    """

    kubeconfig: Path
    name: str
    root: Path
    bootstrap: bool = False
    ephemeral: bool = False
    stops_containers: bool = False
    provision: bool = False
    address: str = "0.0.0.0"
    runtime: RuntimeName = "containerd"
    containerd: Path | None = None
    pod_cidr: str = ""
    node_ip: str = ""
    port: int = 10250
    cluster_dns: tuple[str, ...] = (CLUSTER_DNS,)
    cluster_domain: str = CLUSTER_DOMAIN
    labels: dict[str, str] = field(default_factory=dict)
    count: int = 1
    log_limits: LogLimits = field(default_factory=LogLimits)
    eviction: tuple[Threshold, ...] = HARD
    shutdown: ShutdownPeriods = field(default_factory=ShutdownPeriods)
    reserved: dict[str, str] = field(default_factory=dict)
    """For the system and the node's own processes together, by resource."""

    @property
    def socket(self) -> Path | None:
        """The socket of a containerd that somebody else runs."""
        return self.containerd if self.containerd is not None and not self.containerd.is_file() else None

    @property
    def program(self) -> Path | None:
        """The containerd to start, where it is not the installed one."""
        return self.containerd if self.containerd is not None and self.containerd.is_file() else None

    @property
    def short_name(self) -> str:
        """Tells the nodes of a machine apart where names must be short: by the folder that only one can have."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def names(self) -> list[str]:
        """The nodes of this process: one, or many with numbers."""
        if self.count == 1:
            return [self.name]
        return [f"{self.name}-{number}" for number in range(self.count)]


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--kubeconfig", type=Path, required=True, metavar="FILE", help="how to reach and be known to the API server")
    add("--bootstrap", action="store_true", help="ask for an own certificate with what --kubeconfig has")
    add("--ephemeral", action="store_true", help="end all containers and remove everything when told to stop")
    add("--stop-containers", action="store_true", help="end containers, and a containerd of its own, when told to stop")
    add("--provision", action="store_true", help="make volumes for claims, with the rights that --kubeconfig gives")
    add("--node-name", default="", metavar="NAME", help="name of the node (default: the machine's host name)")
    add("--root-dir", type=Path, required=True, metavar="DIR", help="where the node keeps volumes, logs and images")
    add("--runtime", choices=("containerd", "simulated"), default="containerd", help="what runs the pods")
    add("--containerd", type=Path, metavar="PATH", help="socket of a running containerd, or the program to start")
    add("--pod-cidr", default="", metavar="CIDR", help="addresses for pods where the cluster gives the node none")
    add("--node-ip", default="", metavar="IP", help="address of the node (default: that of the way out)")
    add("--address", default="0.0.0.0", metavar="IP", help="where the node's own API listens (default: everywhere)")
    add("--port", type=int, default=10250, metavar="N", help="port of the node's own API (default: 10250)")
    add("--cluster-dns", default=CLUSTER_DNS, metavar="IPS", help=f"name servers for pods (default: {CLUSTER_DNS})")
    add("--cluster-domain", default=CLUSTER_DOMAIN, metavar="NAME", help="domain of services (default: cluster.local)")
    add("--node-labels", default="", metavar="K=V,…", help="labels of the node")
    add("--container-log-max-size", default="10Mi", metavar="SIZE", help="put a larger log aside (default: 10Mi)")
    add("--container-log-max-files", type=int, default=5, metavar="N", help="files kept of a log (default: 5)")
    add("--eviction-hard", type=parse_thresholds, default=HARD, metavar="SIGNAL<N,…", help="the least to stay free")
    for name in ("--kube-reserved", "--system-reserved"):
        add(name, type=_amounts, default={}, metavar="RESOURCE=N,…", help="cpu, memory, ephemeral-storage not for pods")
    for name, what in (("period", "hold a shutdown back for pods to end"), ("period-critical-pods", "the last of it")):
        add(f"--shutdown-grace-{name}", type=_seconds, default=0.0, metavar="DURATION", help=f"{what} (default: 0s)")
    add("--count", type=int, default=1, metavar="N", help="simulated nodes in this process, named NAME-0 and so on")


def _amounts(text: str) -> dict[str, Quantity]:
    """Raises ValueError."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return {name: Quantity.parse(amount) for name, _, amount in pairs}


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def options_of(arguments: argparse.Namespace) -> AgentOptions:
    """The options that were given. Raises WrongOption for those that do not go together."""
    import socket

    pairs = [pair.partition("=") for pair in arguments.node_labels.split(",") if pair]
    kube, system = arguments.kube_reserved, arguments.system_reserved
    zero = Quantity.parse("0")
    reserved = {name: str(kube.get(name, zero) + system.get(name, zero)) for name in {*kube, *system}}
    try:
        shutdown = make_periods(arguments.shutdown_grace_period, arguments.shutdown_grace_period_critical_pods)
    except ValueError as error:
        raise WrongOption(str(error)) from None
    return AgentOptions(
        kubeconfig=arguments.kubeconfig.expanduser().absolute(),
        name=arguments.node_name or socket.gethostname().lower(),
        bootstrap=arguments.bootstrap,
        ephemeral=arguments.ephemeral,
        stops_containers=arguments.stop_containers,
        provision=arguments.provision,
        root=arguments.root_dir.expanduser().absolute(),
        runtime=arguments.runtime,
        containerd=arguments.containerd,
        pod_cidr=arguments.pod_cidr,
        node_ip=arguments.node_ip,
        address=arguments.address,
        port=arguments.port,
        cluster_dns=tuple(server for server in arguments.cluster_dns.split(",") if server),
        cluster_domain=arguments.cluster_domain,
        labels={key: value for key, _, value in pairs},
        count=arguments.count,
        eviction=arguments.eviction_hard,
        reserved=reserved,
        shutdown=shutdown,
        log_limits=LogLimits(
            Quantity.parse(arguments.container_log_max_size).value, arguments.container_log_max_files
        ),
    )
