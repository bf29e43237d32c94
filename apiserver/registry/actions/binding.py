"""Binding a pod to a node: `pods/binding` and the older `bindings` collection.

Follows: pkg/registry/core/pod/storage/storage.go BindingREST
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apiserver.admission.plugin import CREATE, Attributes
from apiserver.registry.actions.services import Services
from apiserver.registry.bodies import judge_problems
from apiserver.registry.call import Call
from apiserver.registry.context import Context
from apiserver.registry.writes import check_namespace, other_uid
from apiserver.resources.pods.binding import validate_binding
from apiserver.response import Reply, object_reply
from openapi.catalog import GroupVersionKind
from openapi.meta import status
from openapi.meta.field import aggregate
from openapi.schema.load import schema_for

Object = dict[str, Any]

BINDING = GroupVersionKind("", "v1", "Binding")
CREATED: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class BindingAction:
    """create of `pods/binding` and of `bindings`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, context: Context) -> Reply:
        raw = await context.body()
        call = self._services.verbs.call(context, "CreateOptions")
        binding, problems = self._services.bodies.read_kind(raw, context.content_type, BINDING, schema_for(BINDING))
        judge_problems(problems, call.options.validation, BINDING, call.warnings)
        meta = binding["metadata"]
        check_namespace(call, meta)
        if call.name and meta.get("name", "") != call.name:
            raise status.bad_request("name in URL does not match name in Binding object")
        pods = self._services.endpoints.find("", "v1", "pods")
        assert pods is not None
        call = replace(call, endpoint=pods, name=call.name or meta.get("name", ""), subresource="binding")
        await self._admit(call, binding)
        errors = list(validate_binding(binding))
        if errors:
            raise status.StatusError(500, "", aggregate(errors))
        if not call.name:
            raise status.bad_request("Name parameter required.")
        await self._bind(call, binding)
        return object_reply(201, CREATED, context.negotiated, pretty=context.pretty)

    async def _admit(self, call: Call, binding: Object) -> None:
        attributes = Attributes(
            CREATE, call.endpoint.stored, "binding", call.namespace, call.name, binding, None, call.user, call.now,
            call.options.wire("CreateOptions"), call.options.dry_run, call.warnings,
        )  # fmt: skip
        await self._services.chain.mutate(attributes)
        await self._services.chain.validate(attributes)

    async def _bind(self, call: Call, binding: Object) -> None:
        meta, target = binding["metadata"], binding.get("target", {}).get("name", "")

        def change(pod: Object) -> None:
            self._check(call, pod, meta)
            pod["spec"]["nodeName"] = target
            if meta.get("annotations"):
                pod["metadata"].setdefault("annotations", {}).update(meta["annotations"])
            if meta.get("labels"):
                pod["metadata"].setdefault("labels", {}).update(meta["labels"])
            pod["status"].pop("nominatedNodeName", None)
            mark_scheduled(pod, call.now_text)

        await self._services.writes.adjust(call, change)

    def _check(self, call: Call, pod: Object, meta: Object) -> None:
        name, spec = call.name, pod["spec"]
        if meta.get("uid") and meta["uid"] != pod["metadata"]["uid"]:
            raise other_uid(call, meta["uid"], pod["metadata"]["uid"])
        why = ""
        if "deletionTimestamp" in pod["metadata"]:
            why = f"pod {name} is being deleted, cannot be assigned to a host"
        elif spec.get("nodeName"):
            why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
        elif spec.get("schedulingGates"):
            why = f"pod {name} has non-empty .spec.schedulingGates"
        if why:
            raise status.conflict("", "pods/binding", name, why)


def mark_scheduled(pod: Object, now: str) -> None:
    """Set the condition PodScheduled to True, keeping its place in the list."""
    conditions = pod["status"].setdefault("conditions", [])
    for condition in conditions:
        if condition["type"] == "PodScheduled":
            if condition.get("status") != "True":
                condition["lastTransitionTime"] = now
            condition["status"] = "True"
            for field in ("reason", "message", "observedGeneration"):
                condition.pop(field, None)
            return
    conditions.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now})
