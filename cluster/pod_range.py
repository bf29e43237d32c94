"""The addresses for the pods of a cluster: a range that no other cluster of this machine has.

Simulated pods have addresses in name only. Real ones are reached by routes of the machine, so a range is theirs alone:
it is held by a lock while the cluster runs, and the routes tell of what a cluster left running.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import CommandError
from cluster.home import Home
from cluster.options import ClusterOptions

RANGES = tuple(f"10.{number}.0.0/16" for number in range(244, 255))
LARGE_RANGES = ("10.128.0.0/9", "100.64.0.0/10")
"""For more nodes than one of the others has room for; of simulated ones there may be that many."""
NODE_PREFIX = 24
LOCKS = Path("/run/wherry/cluster-cidrs")


@contextmanager
def held(options: ClusterOptions, home: Home) -> Iterator[str]:
    """The range, as long as the context lasts. Raises CommandError where the one that is asked for is not free."""
    known = home.path / "cluster-cidr"
    wanted = options.cluster_cidr or (known.read_text() if known.exists() else "")
    if wanted and room(ipaddress.ip_network(wanted)) < options.nodes:
        raise CommandError(f"--cluster-cidr {wanted}: too small for {options.nodes} nodes, each takes a /{NODE_PREFIX}")
    if options.runtime != "containerd":
        yield wanted or _in_name_only(options)
        return
    descriptor, found = _take(options, wanted, is_known=known.exists() and known.read_text() == wanted)
    try:
        known.write_text(found)
        yield found
    finally:
        os.close(descriptor)


def room(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    """For how many nodes a range has addresses."""
    prefix = NODE_PREFIX if network.version == 4 else 64
    return 1 << (prefix - network.prefixlen) if network.prefixlen <= prefix else 0


def _in_name_only(options: ClusterOptions) -> str:
    services = ipaddress.ip_network(options.service_range)
    for candidate in (*RANGES, *LARGE_RANGES):
        network = ipaddress.ip_network(candidate)
        if room(network) >= options.nodes and not (network.version == services.version and network.overlaps(services)):
            return candidate
    raise CommandError(f"no range of addresses is large enough for {options.nodes} nodes")


def _take(options: ClusterOptions, wanted: str, *, is_known: bool) -> tuple[int, str]:
    """The first range that is free, with its lock."""
    from nodeagent.network.routes import overlap, read_routes

    reasons = []
    for candidate in (wanted,) if wanted else RANGES:
        # The routes into a range that this cluster has had before are its own.
        taken = "" if is_known else overlap([candidate], read_routes())
        if not wanted and ipaddress.ip_network(candidate).overlaps(ipaddress.ip_network(options.service_range)):
            taken = f"{candidate} overlaps with the addresses of services"
        descriptor = None if taken else _lock(candidate)
        if descriptor is not None:
            return descriptor, candidate
        reasons.append(taken or f"{candidate} belongs to the pods of another cluster that runs here")
    raise CommandError(f"{reasons[-1]} (--cluster-cidr names another range)")


def _lock(candidate: str) -> int | None:
    LOCKS.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(LOCKS / candidate.replace("/", "_"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
