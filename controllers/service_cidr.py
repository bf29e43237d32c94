"""Makes ServiceCIDRs ready, and lets them go only when no service would lose its address.

Follows: pkg/controller/servicecidrs/servicecidrs_controller.go
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import ClassVar

from controllers.runtime.controller import Controller, Requeue, Watches
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import IP_ADDRESSES, SERVICE_CIDRS
from controllers.runtime.objects import Key, Object, View, condition_of, is_deleting, key_of, labels_of, name_of
from openapi.meta.names import parse_cidr, parse_ip
from openapi.meta.times import format_time, parse_time

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
DELETION_GRACE = timedelta(seconds=10)
"""Allocators may still hand out addresses of a CIDR whose deletion they have not seen."""

READY = {"status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
BLOCKED = {
    "status": "False",
    "reason": "Terminating",
    "message": (
        "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
    ),
}

Network = IPv4Network | IPv6Network


def networks(cidr: View) -> list[Network]:
    found = (parse_cidr(text) for text in cidr["spec"].get("cidrs") or ())
    return [network for network in found if network is not None]


def overlap(one: View, other: View) -> bool:
    pairs = ((a, b) for a in networks(one) for b in networks(other))
    return any(a.version == b.version and a.overlaps(b) for a, b in pairs)


def has_address(cidr: View, address: str) -> bool:
    ip = parse_ip(address)
    return ip is not None and any(network.version == ip.version and ip in network for network in networks(cidr))


def can_go(cidr: View, cidrs: Sequence[View], addresses: Iterable[View]) -> bool:
    """Whether all of its addresses in use are in other ServiceCIDRs too."""
    others = [other for other in cidrs if name_of(other) != name_of(cidr)]
    if all(any(_holds(other, network) for other in others) for network in networks(cidr)):
        return True
    for address in addresses:
        if labels_of(address).get(MANAGED_BY) != ALLOCATOR or not has_address(cidr, name_of(address)):
            continue
        if not any(has_address(other, name_of(address)) for other in others):
            return False
    return True


def _holds(cidr: View, network: Network) -> bool:
    for outer in networks(cidr):
        if isinstance(outer, IPv4Network) and isinstance(network, IPv4Network) and network.subnet_of(outer):
            return True
        if isinstance(outer, IPv6Network) and isinstance(network, IPv6Network) and network.subnet_of(outer):
            return True
    return False


class ServiceCidrController(Controller):
    name = "service-cidr-controller"
    account = "service-cidrs-controller"

    def cidr_changed(self, change: Change) -> Iterable[Key]:
        """A CIDR more or less may free others, or block them."""
        yield key_of(change.obj)
        for cidr in self.store(SERVICE_CIDRS).all():
            if overlap(cidr, change.obj):
                yield key_of(cidr)

    def address_changed(self, change: Change) -> Iterable[Key]:
        if labels_of(change.obj).get(MANAGED_BY) != ALLOCATOR or change.type == "MODIFIED":
            return ()
        cidrs = self.store(SERVICE_CIDRS).all()
        return [key_of(cidr) for cidr in cidrs if is_deleting(cidr) and has_address(cidr, name_of(change.obj))]

    watches: ClassVar = (Watches(SERVICE_CIDRS, cidr_changed), Watches(IP_ADDRESSES, address_changed))

    async def reconcile(self, key: Key) -> Requeue | None:
        cidr = self.store(SERVICE_CIDRS).get(*key)
        if cidr is None:
            return None
        if is_deleting(cidr):
            return await self._release(cidr)
        if FINALIZER not in (cidr["metadata"].get("finalizers") or ()):
            await self._patch_finalizers(cidr, {"finalizers": [FINALIZER]})
        try:
            await self._set_condition(cidr, READY)
        except ApiError:
            text = "The ServiceCIDR Status can not be set to Ready=True"
            self.events.warning(cidr, "KubernetesServiceCIDRError", text)
            raise
        return None

    async def _release(self, cidr: View) -> Requeue | None:
        if not can_go(cidr, self.store(SERVICE_CIDRS).all(), self.store(IP_ADDRESSES).all()):
            await self._set_condition(cidr, BLOCKED)
            return None
        since = parse_time(cidr["metadata"]["deletionTimestamp"])
        left_s = (since + DELETION_GRACE - self.clock()).total_seconds()
        if left_s > 0:
            return Requeue(left_s)
        if FINALIZER in (cidr["metadata"].get("finalizers") or ()):
            await self._patch_finalizers(cidr, {"$deleteFromPrimitiveList/finalizers": [FINALIZER]})
        return None

    async def _patch_finalizers(self, cidr: View, metadata: Object) -> None:
        try:
            await self.client.patch(SERVICE_CIDRS, "", name_of(cidr), {"metadata": metadata}, type="strategic")
        except NotFound:
            return

    async def _set_condition(self, cidr: View, wanted: View) -> None:
        """Apply the Ready condition unless it says so already."""
        old = condition_of(cidr, "Ready")
        if old is not None and all(old.get(name, "") == value for name, value in wanted.items()):
            return
        condition = {"type": "Ready", **wanted, "lastTransitionTime": format_time(self.clock())}
        applied = {
            "apiVersion": SERVICE_CIDRS.api_version,
            "kind": SERVICE_CIDRS.kind,
            "metadata": {"name": name_of(cidr)},
            "status": {"conditions": [{name: value for name, value in condition.items() if value}]},
        }
        await self.client.apply(SERVICE_CIDRS, applied, manager=self.name, subresource="status")
