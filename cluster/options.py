"""The options of a cluster: how the command line is read, and how it is handed on to the processes started from it."""

from __future__ import annotations

import argparse
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import CommandError

DEFAULT_PORT = 6443
DEFAULT_SERVICE_RANGE = "10.96.0.0/16"
DEFAULT_ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What `wherry up` and `wherry apiserver` are told. `etcd_servers` is empty for the embedded store."""

    data_dir: Path
    port: int
    bind_address: str
    service_range: str
    ephemeral: bool
    kubeconfig: Path | None
    etcd_servers: tuple[str, ...]
    etcd_cafile: Path | None
    etcd_certfile: Path | None
    etcd_keyfile: Path | None
    token_auth_file: Path | None
    nodes: int = 1
    scheduler_config: Path | None = None
    runtime: str = ""
    """Empty where it is still to be chosen."""
    containerd: Path | None = None
    cluster_cidr: str = ""
    shutdown_periods: tuple[str, str] = ("0s", "0s")
    """How long nodes hold a shutdown of the machine back for their pods, and the part of it for critical ones."""
    audit_policy_file: Path | None = None
    audit_log_path: str = ""

    @property
    def reachable_address(self) -> str:
        """The address for clients on this machine: an unspecified one to bind is not one to call."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind_address, self.bind_address)

    @property
    def service_ip(self) -> str:
        """The first address of the range, which is that of the service `kubernetes`."""
        return str(ipaddress.ip_network(self.service_range)[1])

    def server(self, port: int) -> str:
        host = self.reachable_address
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def default_data_dir() -> Path:
    return Path(os.environ.get("WHERRY_DATA_DIR") or Path.home() / ".wherry")


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        default=default_data_dir(),
        help="where the cluster keeps its data, certificates and kubeconfig (default: $WHERRY_DATA_DIR or ~/.wherry)",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Which cluster: the one of a data directory, or, for an ephemeral one, that of a kubeconfig."""
    add_data_dir(parser)
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="the running cluster that wrote this file")


def choice(arguments: argparse.Namespace) -> tuple[Path, Path | None]:
    """Data directory and kubeconfig of `add_choice`."""
    kubeconfig = arguments.kubeconfig.expanduser().absolute() if arguments.kubeconfig else None
    return arguments.data_dir.expanduser().absolute(), kubeconfig


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """The options that `up` and `apiserver` share."""
    add_data_dir(parser)
    add = parser.add_argument
    add("--port", type=int, metavar="N", default=DEFAULT_PORT, help="port of the API, 0 for any free (default: 6443)")
    add("--bind-address", metavar="IP", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--store", choices=("sqlite", "etcd"), help="where objects are kept (default: sqlite, in the data directory)")
    add("--etcd-servers", metavar="URLS", default="", help=f"comma-separated (default: {DEFAULT_ETCD})")
    add("--etcd-cafile", type=Path, metavar="FILE", help="CA that signed etcd's certificates")
    add("--etcd-certfile", type=Path, metavar="FILE", help="client certificate for etcd")
    add("--etcd-keyfile", type=Path, metavar="FILE", help="key of the client certificate for etcd")
    add("--ephemeral", action="store_true", help="keep everything in memory; nothing stays on disk but the kubeconfig")
    add("--kubeconfig", type=Path, metavar="FILE", help="where to write the kubeconfig (default: in the data dir)")
    add(
        "--service-cluster-ip-range",
        metavar="CIDR",
        default=DEFAULT_SERVICE_RANGE,
        help=f"addresses for services (default: {DEFAULT_SERVICE_RANGE})",
    )
    add("--token-auth-file", type=Path, metavar="FILE", help="static tokens: lines of token,user,uid[,groups]")
    add("--audit-policy-file", type=Path, metavar="FILE", help="what the audit log tells of which requests")
    add("--audit-log-path", metavar="FILE", default="", help="where the audit log goes; - for the standard output")


def add_node_options(parser: argparse.ArgumentParser) -> None:
    """The options of the nodes that come with a cluster."""
    add = parser.add_argument
    add("--nodes", type=int, metavar="N", default=1, help="how many nodes, 0 for none (default: 1)")
    add(
        "--runtime",
        choices=("simulated", "containerd"),
        default="",
        help="pods without containers, or with real ones (default: real ones where this machine can run them)",
    )
    add(
        "--containerd",
        type=Path,
        metavar="PATH",
        help="socket of a running containerd, or the program to start (default: one that runs, or the installed one)",
    )
    add(
        "--cluster-cidr",
        metavar="CIDR",
        default="",
        help="addresses for pods (default: 10.244.0.0/16; where that is taken, the next one that is free)",
    )
    for name, what in (("period", "hold a shutdown back for pods to end"), ("period-critical-pods", "the last of it")):
        add(f"--shutdown-grace-{name}", metavar="DURATION", default="0s", help=f"nodes: {what} (default: 0s)")
    add("--scheduler-config", type=Path, metavar="FILE", help="how to schedule: a KubeSchedulerConfiguration")


def cluster_options(arguments: argparse.Namespace) -> ClusterOptions:
    """The options that were given. Raises CommandError where they contradict each other or make no sense."""
    options = ClusterOptions(
        data_dir=arguments.data_dir.expanduser().absolute(),
        port=arguments.port,
        bind_address=arguments.bind_address,
        service_range=arguments.service_cluster_ip_range,
        ephemeral=arguments.ephemeral,
        kubeconfig=_absolute(arguments.kubeconfig),
        etcd_servers=_etcd_servers(arguments.store, arguments.etcd_servers),
        etcd_cafile=arguments.etcd_cafile,
        etcd_certfile=arguments.etcd_certfile,
        etcd_keyfile=arguments.etcd_keyfile,
        token_auth_file=arguments.token_auth_file,
        nodes=getattr(arguments, "nodes", 0),
        runtime=getattr(arguments, "runtime", "simulated"),
        scheduler_config=_absolute(getattr(arguments, "scheduler_config", None)),
        containerd=_absolute(getattr(arguments, "containerd", None)),
        cluster_cidr=getattr(arguments, "cluster_cidr", ""),
        shutdown_periods=_shutdown_periods(arguments),
        audit_policy_file=_absolute(arguments.audit_policy_file),
        audit_log_path=_log_path(arguments.audit_log_path),
    )
    _check(options)
    return options


def _shutdown_periods(arguments: argparse.Namespace) -> tuple[str, str]:
    given = getattr(arguments, "shutdown_grace_period", "0s")
    critical = getattr(arguments, "shutdown_grace_period_critical_pods", "0s")
    if (given, critical) != ("0s", "0s"):
        from nodeagent.node.shutdown import make_periods
        from openapi.meta.cron import parse_duration

        try:
            make_periods(parse_duration(given), parse_duration(critical))
        except ValueError as error:
            raise CommandError(str(error)) from None
    return given, critical


def _absolute(path: Path | None) -> Path | None:
    return path.expanduser().absolute() if path is not None else None


def _log_path(given: str) -> str:
    return str(Path(given).expanduser().absolute()) if given not in ("", "-") else given


def apiserver_arguments(options: ClusterOptions, home: Path) -> list[str]:
    """The command line of an API server that lives in `home`."""
    given = ["apiserver", "--data-dir", str(home), "--port", str(options.port), "--bind-address", options.bind_address]
    given += ["--service-cluster-ip-range", options.service_range]
    given += ["--ephemeral"] if options.ephemeral else []
    given += ["--store", "etcd", "--etcd-servers", ",".join(options.etcd_servers)] if options.etcd_servers else []
    files = {
        "--etcd-cafile": options.etcd_cafile,
        "--etcd-certfile": options.etcd_certfile,
        "--etcd-keyfile": options.etcd_keyfile,
        "--token-auth-file": options.token_auth_file,
        "--audit-policy-file": options.audit_policy_file,
        "--audit-log-path": options.audit_log_path or None,
        "--kubeconfig": options.kubeconfig,
    }
    return given + [word for name, file in files.items() if file is not None for word in (name, str(file))]


def _etcd_servers(store: str | None, servers: str) -> tuple[str, ...]:
    if store == "sqlite" and servers:
        raise CommandError("--etcd-servers goes with --store etcd, not with sqlite")
    if store != "etcd" and not servers:
        return ()
    return tuple(server.strip() for server in (servers or DEFAULT_ETCD).split(",") if server.strip())


def _check(options: ClusterOptions) -> None:
    if options.nodes < 0:
        raise CommandError(f"--nodes {options.nodes}: there cannot be less than none")
    if options.runtime == "containerd" and options.nodes > 1:
        raise CommandError("--runtime containerd: a machine has room for one node with real containers")
    if options.runtime == "simulated" and options.containerd is not None:
        raise CommandError("--containerd goes with --runtime containerd, not with simulated")
    if not 0 <= options.port <= 65535:
        raise CommandError(f"--port {options.port}: ports go from 0 to 65535")
    try:
        ipaddress.ip_address(options.bind_address)
    except ValueError:
        raise CommandError(f"--bind-address {options.bind_address}: not an IP address") from None
    network = _network("--service-cluster-ip-range", options.service_range)
    if options.cluster_cidr:
        pods = _network("--cluster-cidr", options.cluster_cidr)
        if pods.version == network.version and pods.overlaps(network):
            raise CommandError(f"--cluster-cidr {options.cluster_cidr}: services have {options.service_range}")
        if pods.version == 4 and pods.prefixlen > 24:
            raise CommandError(f"--cluster-cidr {options.cluster_cidr}: too small, a node takes a /24 of it")
    if network.num_addresses < 4:
        raise CommandError(f"--service-cluster-ip-range {options.service_range}: too small to hold services")
    if options.ephemeral and options.etcd_servers:
        raise CommandError("--ephemeral keeps objects in memory, so it does not go with --store etcd")
    if bool(options.etcd_certfile) != bool(options.etcd_keyfile):
        raise CommandError("--etcd-certfile and --etcd-keyfile go together")
    if options.audit_log_path and options.audit_policy_file is None:
        raise CommandError("--audit-log-path goes with --audit-policy-file, which says what is logged")
    files = (
        options.etcd_cafile,
        options.etcd_certfile,
        options.etcd_keyfile,
        options.token_auth_file,
        options.audit_policy_file,
    )
    for file in files:
        if file is not None and not os.access(file, os.R_OK):
            raise CommandError(f"{file}: {'no permission to read it' if file.exists() else 'no such file'}")


def _network(option: str, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise CommandError(f"{option} {text}: {error}") from None
