"""Dividing a network into equal ranges: which is next, which are taken.

Follows: pkg/controller/nodeipam/ipam/cidrset/cidr_set.go
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

NODE_PREFIX_IPV4, NODE_PREFIX_IPV6 = 24, 64
_MOST_BITS_IPV6 = 16


class RangesExhausted(Exception):
    """No range is free."""


class Ranges:
    """The ranges of one network. Handed out in turn, so that one given back rests for as long as others are free."""

    def __init__(self, network: Network, prefix: int) -> None:
        """`prefix` is the length of that of each range. Raises ValueError where the network cannot be divided so."""
        bits = prefix - network.prefixlen
        if not 0 <= bits <= network.max_prefixlen - network.prefixlen or (
            network.version == 6 and bits > _MOST_BITS_IPV6
        ):
            raise ValueError(f"{network}: cannot be divided into ranges of /{prefix} for nodes")
        self.network = network
        self._prefix = prefix
        self._step = 1 << (network.max_prefixlen - prefix)
        self._count = 1 << (prefix - network.prefixlen)
        self._taken: set[int] = set()
        self._next = 0

    def allocate(self) -> str:
        """The next free range. Raises RangesExhausted."""
        for offset in range(self._count):
            index = (self._next + offset) % self._count
            if index not in self._taken:
                self._taken.add(index)
                self._next = (index + 1) % self._count
                return f"{self.network.network_address + index * self._step}/{self._prefix}"
        raise RangesExhausted(str(self.network))

    def occupy(self, text: str) -> None:
        """Take all ranges that overlap that network; those outside ours do not matter."""
        self._taken.update(self._indexes(text))

    def release(self, text: str) -> None:
        self._taken.difference_update(self._indexes(text))

    def _indexes(self, text: str) -> range:
        other = ip_network(text, strict=False)
        if other.version != self.network.version or not other.overlaps(self.network):
            return range(0)
        base = int(self.network.network_address)
        first = max(0, (int(other.network_address) - base) // self._step)
        last = min(self._count - 1, (int(other.broadcast_address) - base) // self._step)
        return range(first, last + 1)
