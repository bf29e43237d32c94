"""componentstatuses: whether the control plane's parts are well, worked out when asked.

A leader-elected part is well while its leader renews the lease. Follows: pkg/registry/core/componentstatus/rest.go
"""

from __future__ import annotations

from typing import Any

from apiserver.registry.actions.services import Services
from apiserver.registry.context import Context
from apiserver.registry.list_options import list_options
from apiserver.registry.tables import transformed_list, transformed_object
from apiserver.resources.core.componentstatuses import component_status
from apiserver.response import Reply, object_reply
from apiserver.storage.backend import StorageError
from openapi.meta import status
from openapi.meta.selectors import FieldSelector
from openapi.meta.times import parse_micro_time

Object = dict[str, Any]

LEASES = {"scheduler": "kube-scheduler", "controller-manager": "kube-controller-manager"}
STORE = "etcd-0"


class ComponentStatuses:
    """get and list."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, context: Context) -> Reply:
        name = context.info.at.name
        if name not in (*LEASES, STORE):
            raise status.not_found("", "componentstatus", name)
        obj = await self._component(context, name)
        shown = transformed_object(context.endpoint, obj, context.negotiated, context.info, context.now)
        return object_reply(200, shown, context.negotiated, pretty=context.pretty)

    async def list(self, context: Context) -> Reply:
        selected = list_options(context.info, context.endpoint, watching=False)
        names = [name for name in (*LEASES, STORE) if selected.fields is None or _matches(selected.fields, name)]
        if selected.labels is not None and not selected.labels.matches({}):
            names = []
        objects = [await self._component(context, name) for name in names]
        body = transformed_list(context.endpoint, objects, {}, context.negotiated, context.info, context.now)
        return object_reply(200, body, context.negotiated, pretty=context.pretty)

    async def _component(self, context: Context, name: str) -> Object:
        problem = await self._store_problem() if name == STORE else self._lease_problem(context, LEASES[name])
        return component_status(name, healthy=not problem, message="" if problem else "ok", error=problem)

    async def _store_problem(self) -> str:
        try:
            await self._services.store.backend.current_revision()
        except StorageError as err:
            return str(err)
        return ""

    def _lease_problem(self, context: Context, name: str) -> str:
        endpoint = self._services.endpoints.find("coordination.k8s.io", "v1", "leases")
        assert endpoint is not None
        entry = self._services.store.cache(endpoint.stored).get("kube-system", name)
        if entry is None:
            return f"{name} has no leader"
        spec = entry.object()["spec"]
        age_s = (context.now - parse_micro_time(spec["renewTime"])).total_seconds()
        late = age_s > spec.get("leaseDurationSeconds", 15)
        return f"the leader of {name} has not renewed its lease for {age_s:.0f}s" if late else ""


def _matches(fields: FieldSelector, name: str) -> bool:
    return fields.matches({"metadata.name": name, "metadata.namespace": ""})
