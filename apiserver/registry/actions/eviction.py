"""Evicting a pod: a deletion that the pod's disruption budget has to allow.

Follows: pkg/registry/core/pod/storage/eviction.go
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from apiserver.admission.plugin import CREATE, Attributes
from apiserver.registry.actions.binding import CREATED
from apiserver.registry.actions.services import Services
from apiserver.registry.bodies import judge_problems
from apiserver.registry.call import Call
from apiserver.registry.context import Context
from apiserver.registry.options import DeleteOptions, unchecked_delete_options
from apiserver.registry.writes import check_namespace
from apiserver.response import Reply, object_reply
from openapi.catalog import GroupVersionKind
from openapi.meta import status
from openapi.meta.selectors import from_label_selector
from openapi.schema.load import schema_for
from openapi.schema.ownership import track_update

Object = dict[str, Any]

MANAGER = "kube-apiserver"
EVICTION = GroupVersionKind("policy", "v1", "Eviction")
MAX_DISRUPTED_PODS = 2000
RETRY_AFTER_S = 10
_NO_BUDGET_PHASES = frozenset(("Succeeded", "Failed", "Pending"))
_OLD_VERSION = b"policy/v1beta1"


class EvictionAction:
    """create of `pods/eviction`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, context: Context) -> Reply:
        # The older version of the group is still accepted here, with the same fields.
        raw = (await context.body()).replace(_OLD_VERSION, b"policy/v1", 1)
        call = self._services.verbs.call(context, "CreateOptions")
        eviction, problems = self._services.bodies.read_kind(raw, context.content_type, EVICTION, schema_for(EVICTION))
        judge_problems(problems, call.options.validation, EVICTION, call.warnings)
        check_namespace(call, eviction["metadata"])
        if eviction["metadata"].get("name", "") != call.name:
            raise status.bad_request("name in URL does not match name in Eviction object")
        await self._admit(call, eviction)
        options = unchecked_delete_options(eviction.get("deleteOptions") or {})
        options.dry_run = options.dry_run or call.options.dry_run
        call.options.dry_run = options.dry_run
        await self._evict(call, context, options)
        return object_reply(201, CREATED, context.negotiated, pretty=context.pretty)

    async def _admit(self, call: Call, eviction: Object) -> None:
        attributes = Attributes(
            CREATE, call.endpoint.stored, "eviction", call.namespace, call.name, eviction, None, call.user, call.now,
            call.options.wire("CreateOptions"), call.options.dry_run, call.warnings, call.annotations,
        )  # fmt: skip
        await self._services.chain.mutate(attributes)
        await self._services.chain.validate(attributes)

    async def _evict(self, call: Call, context: Context, options: DeleteOptions) -> None:
        entry = await self._services.reads.get(call.endpoint, call.namespace, call.name, context.info)
        pod = entry.object()
        if not _ignores_budgets(pod):
            budgets = self._budgets(pod)
            if len(budgets) > 1:
                text = (
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
                )
                raise status.StatusError(500, "", text)
            if budgets:
                await self._spend(call, pod, budgets[0])
        elif options.resource_version is None and "deletionTimestamp" not in pod["metadata"]:
            options = replace(options, uid=options.uid or pod["metadata"]["uid"])
        marked = await self._services.writes.adjust(call, _mark_disrupted(call.now_text, options))
        if options.resource_version and not options.dry_run:
            # The mark itself made a new version.
            options = replace(options, resource_version=str(marked.revision))
        await self._services.deletes.delete(replace(call, subresource="eviction", admits=False), options)

    def _budgets(self, pod: Object) -> list[Object]:
        """The budgets whose selector matches the pod."""
        endpoint = self._services.endpoints.find("policy", "v1", "poddisruptionbudgets")
        assert endpoint is not None
        labels = pod["metadata"].get("labels", {})
        found = []
        for entry in self._services.store.cache(endpoint.stored).entries(pod["metadata"]["namespace"]):
            budget = entry.object()
            if from_label_selector(budget["spec"].get("selector")).matches(labels):
                found.append(budget)
        return found

    async def _spend(self, call: Call, pod: Object, budget: Object) -> None:
        """Take one disruption from the budget. Raises 429 when none is left."""
        endpoint = self._services.endpoints.find("policy", "v1", "poddisruptionbudgets")
        assert endpoint is not None
        name = budget["metadata"]["name"]
        healthy = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))

        def change(current: Object) -> None:
            if _spares_unhealthy(current, healthy=healthy):
                return
            _check_budget(current, name)
            before = copy.deepcopy(current)
            state = current["status"]
            state["disruptionsAllowed"] = state.get("disruptionsAllowed", 0) - 1
            if not state["disruptionsAllowed"]:
                _forbid_more(state, call.now_text)
            state.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = call.now_text
            track_update(
                current, before, manager=MANAGER, node=endpoint.node, api_version="policy/v1", subresource="status",
                now=call.now_text, reset_fields=(("spec",),),
            )  # fmt: skip

        await self._services.writes.adjust(replace(call, endpoint=endpoint, name=name, subresource="status"), change)


def _ignores_budgets(pod: Object) -> bool:
    """Pods that do not run, or go anyway, count in no budget."""
    return pod.get("status", {}).get("phase") in _NO_BUDGET_PHASES or "deletionTimestamp" in pod["metadata"]


def _spares_unhealthy(budget: Object, *, healthy: bool) -> bool:
    """A pod that is not healthy costs nothing when the policy or a satisfied budget says so."""
    if healthy:
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    state = budget.get("status", {})
    return bool(state.get("currentHealthy", 0) >= state.get("desiredHealthy", 0) > 0)


def _check_budget(budget: Object, name: str) -> None:
    state = budget.setdefault("status", {})
    if state.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", RETRY_AFTER_S)
    allowed = state.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise status.forbidden("policy", "poddisruptionbudget", name, "pdb disruptions allowed is negative")
    if len(state.get("disruptedPods") or {}) > MAX_DISRUPTED_PODS:
        raise status.forbidden(
            "policy",
            "poddisruptionbudget",
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        )
    if allowed == 0:
        raise _refused(f"The disruption budget {name} {_why_none(state)}", 0)


def _why_none(state: Object) -> str:
    """What keeps a budget without disruptions from having any. After a failed sync its counts mean nothing."""
    says_no: Object = next(
        (c for c in state.get("conditions") or () if c.get("type") == "DisruptionAllowed" and c["status"] == "False"),
        {},
    )
    reason, message = says_no.get("reason", ""), says_no.get("message", "")
    if message and reason == "SyncFailed":
        return f"does not allow evicting pods currently because it failed sync: {message}"
    current, desired = state.get("currentHealthy", 0), state.get("desiredHealthy", 0)
    if current <= desired:
        return f"needs {desired} healthy pods and has {current} currently"
    return "does not allow evicting pods currently" + (f" ({reason}): {message}" if message else "")


def _refused(why: str, retry_s: int) -> status.StatusError:
    error = status.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_s)
    error.details = {**(error.details or {}), "causes": [{"reason": "DisruptionBudget", "message": why}]}
    return error


def _forbid_more(state: Object, now: str) -> None:
    """Say in the budget's conditions that it has nothing left."""
    conditions = state.setdefault("conditions", [])
    found: Object = next((c for c in conditions if c.get("type") == "DisruptionAllowed"), {})
    if not found:
        found["type"] = "DisruptionAllowed"
        conditions.append(found)
    if found.get("status") != "False":
        found["lastTransitionTime"] = now
    found.update(status="False", reason="InsufficientPods", message="")
    if state.get("observedGeneration"):
        found["observedGeneration"] = state["observedGeneration"]


def _mark_disrupted(now: str, options: DeleteOptions) -> Callable[[Object], None]:
    """Say in the pod's conditions why it ends. Raises 409 where the preconditions mean another pod."""

    def change(pod: Object) -> None:
        _check_preconditions(pod["metadata"], options)
        conditions = pod["status"].setdefault("conditions", [])
        mark = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now,
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        for place, condition in enumerate(conditions):
            if condition["type"] == "DisruptionTarget":
                if condition.get("status") == "True":
                    mark["lastTransitionTime"] = condition.get("lastTransitionTime")
                conditions[place] = mark
                return
        conditions.append(mark)

    return change


def _check_preconditions(meta: Object, options: DeleteOptions) -> None:
    why = ""
    uid, version = options.uid, options.resource_version
    if uid and uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']}). The object might "
            "have been deleted and then recreated"
        )
    elif version and version != meta["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({meta['resourceVersion']}). The object might have been modified"
        )
    if why:
        raise status.conflict("", "Pod", meta["name"], why)
