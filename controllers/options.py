"""The options of the controllers' process, under the names of kube-controller-manager's flags."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

from controllers.runtime.leader import IDENTITY_HELP


class WrongOption(ValueError):
    """Options that make no sense, alone or together."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `wherry controllers` is told: the flags by their names, durations in seconds (`_s`). Files that are None
    leave out the controllers that need them; sizes of masks that are 0 are the usual ones.

    `controllers` are names of the table, `-name` to leave one out, `*` for all that are on by default.
    """

    kubeconfig: Path | None = None
    controllers: tuple[str, ...] = ("*",)
    leader_elect: bool = True
    leader_elect_lease_duration_s: float = 15.0
    leader_elect_renew_deadline_s: float = 10.0
    leader_elect_retry_period_s: float = 2.0
    leader_elect_identity: str = ""
    health_address: str = "127.0.0.1"
    health_port: int = -1
    root_ca_file: Path | None = None
    cluster_signing_cert_file: Path | None = None
    cluster_signing_key_file: Path | None = None
    service_account_private_key_file: Path | None = None
    use_service_account_credentials: bool = False
    cluster_cidr: str = ""
    service_cluster_ip_range: str = ""
    allocate_node_cidrs: bool = False
    node_cidr_mask_size: int = 0
    node_cidr_mask_size_ipv4: int = 0
    node_cidr_mask_size_ipv6: int = 0
    terminated_pod_gc_threshold: int = 12500
    node_monitor_grace_period_s: float = 50.0
    node_monitor_period_s: float = 5.0
    node_startup_grace_period_s: float = 60.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    unhealthy_zone_threshold: float = 0.55
    large_cluster_size_threshold: int = 50
    horizontal_pod_autoscaler_sync_period_s: float = 15.0
    verbosity: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; `options_of` reads them back."""
    default = Options()
    add = parser.add_argument
    add("--kubeconfig", type=Path, metavar="FILE", help="which server to talk to, and as whom")
    add("--controllers", metavar="NAMES", default="*", help="'*', names, and -names to leave out (default: *)")
    _flag(parser, "--leader-elect", default.leader_elect, "default: true")
    _duration(parser, "--leader-elect-lease-duration", default.leader_elect_lease_duration_s)
    _duration(parser, "--leader-elect-renew-deadline", default.leader_elect_renew_deadline_s)
    _duration(parser, "--leader-elect-retry-period", default.leader_elect_retry_period_s)
    add("--leader-elect-identity", metavar="NAME", default="", help=IDENTITY_HELP)
    add("--health-address", metavar="IP", default=default.health_address, help="where /healthz and /metrics listen")
    add("--health-port", type=int, metavar="N", default=default.health_port, help="-1: none, 0: any (default: -1)")
    add("--root-ca-file", type=Path, metavar="FILE", help="CA bundle to publish to every namespace")
    add("--cluster-signing-cert-file", type=Path, metavar="FILE", help="CA that signs certificate requests")
    add("--cluster-signing-key-file", type=Path, metavar="FILE", help="key of that CA")
    add("--service-account-private-key-file", type=Path, metavar="FILE", help="key that signs account tokens")
    text = "each controller acts as its own service account"
    _flag(parser, "--use-service-account-credentials", default.use_service_account_credentials, text)
    add("--cluster-cidr", metavar="CIDR", default="", help="addresses of pods")
    add("--service-cluster-ip-range", metavar="CIDR", default="", help="addresses of services")
    _flag(parser, "--allocate-node-cidrs", default.allocate_node_cidrs, "give nodes ranges of addresses for their pods")
    add("--node-cidr-mask-size", type=int, metavar="N", default=0, help="prefix of nodes' ranges, one family (24, 64)")
    add("--node-cidr-mask-size-ipv4", type=int, metavar="N", default=0, help="default: 24")
    add("--node-cidr-mask-size-ipv6", type=int, metavar="N", default=0, help="default: 64")
    add("--terminated-pod-gc-threshold", type=int, metavar="N", default=default.terminated_pod_gc_threshold)
    _duration(parser, "--node-monitor-grace-period", default.node_monitor_grace_period_s)
    _duration(parser, "--node-monitor-period", default.node_monitor_period_s)
    _duration(parser, "--node-startup-grace-period", default.node_startup_grace_period_s)
    _add_eviction_rates(parser)
    _duration(parser, "--horizontal-pod-autoscaler-sync-period", default.horizontal_pod_autoscaler_sync_period_s)
    add("-v", "--verbosity", type=int, metavar="N", default=0, help="0: warnings, 1: information, 2: everything")


def _add_eviction_rates(parser: argparse.ArgumentParser) -> None:
    default, add = Options(), parser.add_argument
    text = "nodes of a zone that may be tainted for eviction in a second (default: 0.1)"
    add("--node-eviction-rate", type=float, metavar="R", default=default.node_eviction_rate, help=text)
    text = "the same where a large zone is unhealthy (default: 0.01)"
    add(
        "--secondary-node-eviction-rate",
        type=float,
        metavar="R",
        default=default.secondary_node_eviction_rate,
        help=text,
    )
    text = "the share of nodes not ready that makes a zone unhealthy (default: 0.55)"
    add("--unhealthy-zone-threshold", type=float, metavar="F", default=default.unhealthy_zone_threshold, help=text)
    text = "zones of at most so many nodes are not evicted while unhealthy (default: 50)"
    add(
        "--large-cluster-size-threshold", type=int, metavar="N", default=default.large_cluster_size_threshold, help=text
    )


def options_of(arguments: argparse.Namespace) -> Options:
    """What the flags of `add_options` were given as."""
    values = {field.name: getattr(arguments, field.name.removesuffix("_s")) for field in fields(Options)}
    words = (name.strip() for name in arguments.controllers.split(","))
    return Options(**{**values, "controllers": tuple(filter(None, words))})


def _duration(parser: argparse.ArgumentParser, flag: str, default_s: float) -> None:
    parser.add_argument(flag, type=duration, metavar="DURATION", default=default_s, help=f"default: {default_s:g}s")


def _flag(parser: argparse.ArgumentParser, flag: str, default: bool, text: str) -> None:
    parser.add_argument(flag, type=_boolean, nargs="?", const=True, default=default, metavar="BOOL", help=text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text}: true or false")
    return text.lower() == "true"


def duration(text: str) -> float:
    """`15s`, `1m30s`, `500ms`, `1.5h`."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    total, number, unit = 0.0, "", ""
    for character in text + "0":
        if (character.isdigit() or character == ".") and unit:
            if unit not in units or not number:
                break
            total, number, unit = total + float(number) * units[unit], "", ""
        if character.isdigit() or character == ".":
            number += character
        else:
            unit += character
    else:
        if text and number == "0":
            return total
    raise argparse.ArgumentTypeError(f"{text}: not a duration such as 15s or 1m30s")
