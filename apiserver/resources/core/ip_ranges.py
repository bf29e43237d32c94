"""The addresses of one service range, and in which order they are tried.

The lower part of a range is for those who ask for an address; others are given one from the upper part first.
Follows: pkg/registry/core/service/ipallocator/ipallocator.go
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from openapi.meta import names

Address = IPv4Address | IPv6Address
_MIN_STATIC, _MAX_STATIC, _STATIC_STEP = 16, 256, 16


class IpRange:
    """One CIDR. Its first address is never given out, nor IPv4's last one."""

    def __init__(self, network: IPv4Network | IPv6Network) -> None:
        self._network = network
        self.family = "IPv6" if network.version == 6 else "IPv4"
        self._first = int(network.network_address) + 1
        self._last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
        self._static = 0
        if network.num_addresses > _MIN_STATIC:
            self._static = min(max(_MIN_STATIC, network.num_addresses // _STATIC_STEP), _MAX_STATIC)
        self._make: type[IPv4Address] | type[IPv6Address] = IPv6Address if network.version == 6 else IPv4Address

    def __str__(self) -> str:
        return str(self._network)

    @property
    def network_text(self) -> str:
        return str(self._network.network_address)

    def covers(self, address: Address) -> bool:
        return address in self._network

    def usable(self, address: Address) -> bool:
        return self._first <= int(address) <= self._last

    def candidates(self, rng: random.Random) -> Iterator[str]:
        """Every address once, beginning somewhere in the upper part, then somewhere in the lower one."""
        middle = self._first + self._static
        yield from self._around(middle, self._last, rng)
        yield from self._around(self._first, middle - 1, rng)

    def _around(self, low: int, high: int, rng: random.Random) -> Iterator[str]:
        if high < low:
            return
        start = rng.randint(low, high)
        for number in range(start, high + 1):
            yield str(self._make(number))
        for number in range(low, start):
            yield str(self._make(number))


@lru_cache(maxsize=64)
def range_of(cidr: str) -> IpRange | None:
    """None for a text that is no CIDR."""
    network = names.parse_cidr(cidr)
    return None if network is None else IpRange(ip_network(network))
