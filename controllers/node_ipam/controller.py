"""Gives each node a range of every cluster network (`spec.podCIDRs`) and takes it back when the node goes.

What nodes already have when the process starts is respected before anything is given out.
Follows: pkg/controller/nodeipam/ipam/range_allocator.go
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import ClassVar

from controllers.node_ipam.ranges import NODE_PREFIX_IPV4, NODE_PREFIX_IPV6, Network, Ranges, RangesExhausted
from controllers.options import Options, WrongOption
from controllers.runtime.controller import Controller, For, Requeue, Runtime
from controllers.runtime.errors import ApiError
from controllers.runtime.kinds import NODES
from controllers.runtime.objects import Key, View, is_deleting, name_of, unversioned

DEFAULT_CIDR = "10.244.0.0/16"


def ranges_of(node: View) -> Sequence[str]:
    cidrs: Sequence[str] = node["spec"].get("podCIDRs") or ()
    return cidrs or [cidr for cidr in (node["spec"].get("podCIDR"),) if cidr]


class NodeIpamController(Controller):
    name = "node-ipam-controller"
    account = "node-controller"
    workers = 1
    watches: ClassVar = (For(NODES),)

    def __init__(self, runtime: Runtime, ranges_of_nodes: Sequence[Ranges], reserved: Sequence[str]) -> None:
        super().__init__(runtime)
        self._ranges = ranges_of_nodes
        for ranges in self._ranges:
            for network in reserved:
                ranges.occupy(network)
        self._given: dict[str, Sequence[str]] = {}
        self._node_events = runtime.events.recorder("cidrAllocator")
        self._is_started = False

    async def reconcile(self, key: Key) -> Requeue | None:
        if not self._is_started:
            self._is_started = True
            for known in self.store(NODES).all():
                self._occupy(name_of(known), ranges_of(known))
        node = self.store(NODES).get(*key)
        if node is None:
            self._release(self._given.pop(key.name, ()))
            return None
        present = ranges_of(node)
        if present:
            self._occupy(key.name, present)
            return None
        return None if is_deleting(node) else await self._give(node)

    async def _give(self, node: View) -> Requeue | None:
        name = name_of(node)
        chosen: list[str] = []
        try:
            for ranges in self._ranges:
                chosen.append(ranges.allocate())
        except RangesExhausted:
            self._release(chosen)
            self._tell(node, "CIDRNotAvailable")
            return Requeue()
        try:
            patch = {"spec": {"podCIDR": chosen[0], "podCIDRs": chosen}}
            await self.client.patch(NODES, "", name, patch, type="strategic")
        except ApiError:
            self._release(chosen)
            self._tell(node, "CIDRAssignmentFailed")
            raise
        self._given[name] = chosen
        return None

    def _tell(self, node: View, status: str) -> None:
        self._node_events.normal(unversioned(node), status, f"Node {name_of(node)} status is now: {status}")

    def _occupy(self, name: str, cidrs: Sequence[str]) -> None:
        if not cidrs or self._given.get(name) == cidrs:
            return
        self._given[name] = cidrs
        for ranges in self._ranges:
            for cidr in cidrs:
                ranges.occupy(cidr)

    def _release(self, cidrs: Sequence[str]) -> None:
        for ranges in self._ranges:
            for cidr in cidrs:
                ranges.release(cidr)


def prefixes_of(networks: Sequence[Network], options: Options) -> list[int]:
    """How long the prefix of a node's range is in each network. Raises WrongOption."""
    of_family = {4: options.node_cidr_mask_size_ipv4, 6: options.node_cidr_mask_size_ipv6}
    versions = [network.version for network in networks]
    if len(versions) != len(set(versions)):
        raise WrongOption("--cluster-cidr: at most one range of each family")
    if options.node_cidr_mask_size:
        if len(versions) > 1:
            raise WrongOption("usage of --node-cidr-mask-size is not allowed with dual-stack clusters")
        if any(of_family.values()):
            raise WrongOption(
                "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if "
                "--node-cidr-mask-size is set. For dual-stack clusters please unset it and use IPFamily specific flags"
            )
        return [options.node_cidr_mask_size]
    for version, other in ((4, 6), (6, 4)):
        if of_family[version] and version not in versions:
            raise WrongOption(
                f"usage of --node-cidr-mask-size-ipv{version} is not allowed for a single-stack IPv{other} cluster"
            )
    usual = {4: NODE_PREFIX_IPV4, 6: NODE_PREFIX_IPV6}
    return [of_family[version] or usual[version] for version in versions]


def node_ipam(runtime: Runtime, options: Options) -> NodeIpamController | None:
    """The controller, if the options want ranges to be given out. Raises WrongOption."""
    if not options.allocate_node_cidrs:
        return None
    try:
        networks = [ip_network(cidr, strict=False) for cidr in _listed(options.cluster_cidr or DEFAULT_CIDR)]
        prefixes = prefixes_of(networks, options)
        ranges = [Ranges(network, prefix) for network, prefix in zip(networks, prefixes, strict=True)]
    except WrongOption:
        raise
    except ValueError as error:
        raise WrongOption(f"--cluster-cidr: {error}") from error
    return NodeIpamController(runtime, ranges, _listed(options.service_cluster_ip_range))


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
