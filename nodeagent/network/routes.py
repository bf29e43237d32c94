"""Which addresses this machine has routes to already, so that pods are not given the same ones."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/self/net/route")


@dataclass(frozen=True, slots=True)
class Route:
    """A network that is reached through an interface."""

    network: ipaddress.IPv4Network
    interface: str


def read_routes(file: Path = PROC) -> list[Route]:
    """All but the default ones, of this process' network namespace."""
    try:
        lines = file.read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for fields in map(str.split, lines):
        address, mask = (socket.inet_ntoa(struct.pack("<I", int(fields[at], 16))) for at in (1, 7))
        network = ipaddress.IPv4Network(f"{address}/{mask}")
        if network.prefixlen:
            found.append(Route(network, fields[0]))
    return found


def overlap(ranges: Iterable[str], routes: Sequence[Route], own: str = "") -> str:
    """In words, the first of the ranges of which a route has a part; '' where none has. `own` does not count."""
    for text in ranges:
        wanted = ipaddress.ip_network(text)
        for route in routes:
            if wanted.version == 4 and route.interface != own and route.network.overlaps(wanted):
                return f"{text} overlaps with {route.network}, to which this machine has a route by {route.interface}"
    return ""
