"""Writes the objects a cluster begins with, and brings them up to date when the server starts again.

What is missing is created. What is there is the cluster's owner's: roles and bindings only gain permissions and holders
they lack (not even that with the annotation `…/autoupdate: "false"`), flow control follows its own annotation, and only
what describes this server (its service, endpoints, API services, lease, authentication) is kept exactly right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any, Protocol

from apiserver.bootstrap import cluster
from apiserver.bootstrap.cluster import ClusterFacts
from apiserver.bootstrap.flowcontrol import flowcontrol_objects
from apiserver.bootstrap.rbac import rbac_objects
from apiserver.bootstrap.reconcile import RECONCILERS, needs_recreation
from openapi.catalog import Catalog, Resource, split_api_version
from openapi.meta.status import StatusError
from openapi.meta.times import format_micro_time, format_time

Object = dict[str, Any]

# Another server may write the same object at the same moment; more than this is something else.
ATTEMPTS = 5
RACES = ("AlreadyExists", "Conflict", "NotFound")


class Writer(Protocol):
    """Storage as this module needs it: below admission, authorization and strategies.

    Objects are complete (defaults, status, generation); the writer adds uid and creationTimestamp. Refusals are
    `StatusError`s with the API's reasons.
    """

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The current object, which the caller does not change, or None."""
        ...

    def create(self, resource: Resource, namespace: str, obj: Object) -> Awaitable[object]:
        ...

    def update(self, resource: Resource, namespace: str, obj: Object) -> Awaitable[object]:
        """Replace the object if it is still at its `metadata.resourceVersion`."""
        ...

    def delete(self, resource: Resource, namespace: str, name: str) -> Awaitable[object]:
        ...


def bootstrap_objects(facts: ClusterFacts, now: datetime) -> Sequence[Object]:
    """All objects of a new cluster, namespaces first."""
    time = format_time(now)
    objects = [cluster.namespace(name) for name in cluster.NAMESPACES]
    objects += [
        cluster.own_service(facts),
        cluster.own_service_address(facts),
        cluster.own_endpoints(facts),
        cluster.own_endpoint_slice(facts),
        cluster.service_cidr(facts, time),
        cluster.identity_lease(facts, format_micro_time(now)),
        cluster.token_tracking(now.strftime("%Y-%m-%d")),
    ]
    objects += cluster.priority_classes()
    objects += flowcontrol_objects(time)
    objects += rbac_objects()
    objects += cluster.api_services(facts.group_versions, time)
    authentication = cluster.authentication_config(facts)
    if authentication is not None:
        objects.append(authentication)
    return objects


async def ensure(writer: Writer, catalog: Catalog, facts: ClusterFacts, now: datetime) -> None:
    """Create what is missing and reconcile the rest. All writes run at once, so that a store may group them."""
    objects = bootstrap_objects(facts, now)
    namespaces = len(cluster.NAMESPACES)
    await _ensure_all(writer, catalog, objects[:namespaces])
    await _ensure_all(writer, catalog, objects[namespaces:])


async def renew_identity(writer: Writer, catalog: Catalog, facts: ClusterFacts, now: datetime) -> None:
    """Say that this server is alive: renew its lease. To be called every ten seconds."""
    await _ensure_all(writer, catalog, [cluster.identity_lease(facts, format_micro_time(now))])


async def _ensure_all(writer: Writer, catalog: Catalog, objects: Sequence[Object]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for obj in objects:
            tasks.create_task(_ensure_one(writer, _row(catalog, obj), obj))


def _row(catalog: Catalog, obj: Object) -> Resource:
    group, version = split_api_version(obj["apiVersion"])
    row = catalog.by_gvk(group, version, obj["kind"])
    if row is None:
        raise LookupError(f"{obj['apiVersion']} {obj['kind']} is not served")
    return row


async def _ensure_one(writer: Writer, row: Resource, obj: Object) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await _reconcile(writer, row, obj)
            return
        except StatusError as error:
            if error.reason not in RACES or attempt == ATTEMPTS:
                raise


async def _reconcile(writer: Writer, row: Resource, obj: Object) -> None:
    namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
    current = await writer.get(row, namespace, name)
    if current is None:
        await writer.create(row, namespace, obj)
        return
    if needs_recreation(current, obj):
        await writer.delete(row, namespace, name)
        await writer.create(row, namespace, obj)
        return
    reconcile = RECONCILERS.get(row.kind)
    wanted = reconcile(current, obj) if reconcile else current
    if wanted != current:
        await writer.update(row, namespace, wanted)
