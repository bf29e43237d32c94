"""The components of a cluster: one row each, in the order in which they start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.errors import CommandError
from cluster.home import Home
from cluster.node import NAME, give_certificates, node_folder
from cluster.options import ClusterOptions, apiserver_arguments


@dataclass(frozen=True, slots=True)
class Component:
    """A process of its own, started as `wherry <command>` and ready once it says so on its `--ready-fd`.

    `identity` names the client certificate of its kubeconfig (a key of `cluster.pki.CLIENTS`); empty for the API
    server, which the others need and which therefore begins before them. `prepare` is done once in the supervisor, when
    the cluster's certificates are there. `stop_s` is how long its end may take.
    """

    name: str
    command: Callable[[ClusterOptions, Home], list[str]]
    identity: str = ""
    prepare: Callable[[ClusterOptions, Home], None] = lambda options, home: None
    stop_s: float = 15.0


def _controllers(options: ClusterOptions, home: Home) -> list[str]:
    pki = home.pki
    return [
        *("controllers", "--kubeconfig", str(home.component_kubeconfig("controllers"))),
        *_candidate("controllers", options),
        *("--root-ca-file", str(pki / "ca.crt")),
        *("--cluster-signing-cert-file", str(pki / "ca.crt"), "--cluster-signing-key-file", str(pki / "ca.key")),
        *("--service-account-private-key-file", str(pki / "sa.key")),
        *("--use-service-account-credentials", "true"),
        *("--service-cluster-ip-range", options.service_range),
        # Nodes that come from elsewhere bring their own ranges of addresses.
        *("--allocate-node-cidrs", "true" if options.nodes else "false", "--cluster-cidr", options.cluster_cidr),
    ]


def _scheduler(options: ClusterOptions, home: Home) -> list[str]:
    """Without health, whose port would be one for all clusters of a machine."""
    given = ("--config", str(options.scheduler_config)) if options.scheduler_config else ()
    kubeconfig = str(home.component_kubeconfig("scheduler"))
    candidate = _candidate("scheduler", options)
    return ["scheduler", "--kubeconfig", kubeconfig, *candidate, "--health-port", "-1", *given]


def _nodeagent(options: ClusterOptions, home: Home) -> list[str]:
    """Simulated nodes share a process and the administrator's rights; a real one has its own certificates."""
    is_real, name = options.runtime == "containerd", _node_name(options)
    period, critical = options.shutdown_periods
    return [
        *("nodeagent", "--kubeconfig", str(home.component_kubeconfig("nodeagent"))),
        *("--node-name", name, "--root-dir", str(node_folder(home, name)), "--runtime", options.runtime),
        # Any free port: a machine may have several clusters.
        *("--count", str(options.nodes), "--port", "0"),
        *(("--bootstrap",) if is_real else ("--address", "127.0.0.1")),
        *(("--containerd", str(options.containerd)) if is_real and options.containerd is not None else ()),
        *("--shutdown-grace-period", period, "--shutdown-grace-period-critical-pods", critical),
        "--ephemeral" if home.ephemeral else "--stop-containers",
        "--provision",
    ]


def _give_node_certificates(options: ClusterOptions, home: Home) -> None:
    name = _node_name(options)
    give_certificates(home, node_folder(home, name), name)


def _node_name(options: ClusterOptions) -> str:
    return "node" if options.nodes > 1 else NAME


def _candidate(name: str, options: ClusterOptions) -> Sequence[str]:
    """As whom it stands for leader. Over etcd others may stand too; else it is the only one there is, and a name that
    stays lets it go on at once where one that was killed has left off.
    """
    return () if options.etcd_servers else ("--leader-elect-identity", f"wherry_{name}")


COMPONENTS: tuple[Component, ...] = (
    Component("apiserver", lambda options, home: apiserver_arguments(options, home.path)),
    Component("controllers", _controllers, identity="controller-manager"),
    Component("scheduler", _scheduler, identity="scheduler"),
    # It may have many containers to end.
    Component("nodeagent", _nodeagent, identity="admin", prepare=_give_node_certificates, stop_s=60.0),
)


def choose(names: str) -> Sequence[Component]:
    """The components of a comma-separated list, in starting order; all of them for an empty one."""
    if not names:
        return COMPONENTS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [component.name for component in COMPONENTS]
    for name in wanted:
        if name not in known:
            raise CommandError(f"--components {name}: no such component (there are: {', '.join(known)})")
    if "apiserver" not in wanted:
        raise CommandError("--components: the others need apiserver")
    return [component for component in COMPONENTS if component.name in wanted]
