"""Writing an object's status: only where it differs from what the store has."""

from __future__ import annotations

from controllers.runtime.client import Client
from controllers.runtime.errors import Conflict
from controllers.runtime.objects import Object, View, name_of, namespace_of, uid_of
from openapi.catalog import Resource


async def write_status(client: Client, resource: Resource, obj: View, status: View) -> View:
    """Replace the status of `obj` and answer the object as it is then; without a difference nothing is sent.

    Changed meanwhile, the object is read again once: the status is what the pods say, whoever has edited the spec.
    """
    if obj.get("status") == status:
        return obj
    try:
        return await client.update(resource, {**obj, "status": status}, "status")
    except Conflict:
        fresh: Object = await client.get(resource, namespace_of(obj), name_of(obj))
        if uid_of(fresh) != uid_of(obj):
            raise
        return await client.update(resource, {**fresh, "status": status}, "status")
