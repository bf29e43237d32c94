"""MutatingAdmissionPolicy: expressions that change an object, as an applied configuration or a JSON patch.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/mutating
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import Attributes, Plugin, forbidden
from apiserver.admission.policies.evaluation import Evaluation, Parameters, ParametersMissing
from apiserver.admission.policies.matching import Matcher, is_exempt
from apiserver.storage.store import Store
from openapi.catalog import Catalog
from openapi.cel.errors import EvaluationError
from openapi.schema.decode import DecodeError, decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, json_patch
from openapi.schema.load import schema_for
from openapi.schema.typedmerge import typed_merge

Object = dict[str, Any]
Struct = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"


class MutatingAdmissionPolicy(Plugin):
    """Lets all bound policies change the object, in the order of their bindings' names."""

    name = "MutatingAdmissionPolicy"
    subresources = None

    def __init__(self, store: Store, catalog: Catalog, matcher: Matcher) -> None:
        self._bindings = Lookup(store, catalog, GROUP, "mutatingadmissionpolicybindings")
        self._policies = Lookup(store, catalog, GROUP, "mutatingadmissionpolicies")
        self._matcher = matcher
        self._parameters = Parameters(store, catalog)

    async def mutate(self, attributes: Attributes) -> None:
        bindings = self._bindings.all()
        if not bindings or is_exempt(attributes) or attributes.resource.custom:
            return
        for entry in bindings:
            binding = fact(entry, "admission.spec", lambda obj: obj["spec"])
            policy = self._policies.cached("", binding["policyName"])
            if policy is None:
                continue
            spec = fact(policy, "admission.spec", lambda obj: obj["spec"])
            if not await self._matcher.matches(attributes, spec.get("matchConstraints")):
                continue
            if not await self._matcher.matches(attributes, binding.get("matchResources")):
                continue
            await self._change(attributes, spec, binding, f"policy '{policy.name}' with binding '{entry.name}'")

    async def _change(self, attributes: Attributes, spec: Struct, binding: Struct, label: str) -> None:
        namespace = await self._matcher.namespace_object(attributes)
        try:
            for params in self._parameters.of(spec, binding, attributes):
                self._mutate_once(attributes, spec, namespace, params)
        except (EvaluationError, ParametersMissing, JsonPatchError, InvalidPatch, DecodeError) as err:
            if spec.get("failurePolicy") != "Ignore":
                raise forbidden(attributes, f"{label} denied request: {err}") from err

    def _mutate_once(
        self, attributes: Attributes, spec: Struct, namespace: Object | None, params: Object | None
    ) -> None:
        has_params = spec.get("paramKind") is not None
        run = Evaluation(attributes, namespace, params, has_params=has_params)
        if not run.holds(spec.get("matchConditions") or ()):
            return
        for mutation in spec["mutations"]:
            run = Evaluation(attributes, namespace, params, has_params=has_params)
            run.define(spec.get("variables") or ())
            node, gvk = schema_for(attributes.resource.gvk), attributes.resource.gvk
            if mutation["patchType"] == "JSONPatch":
                changed = json_patch(attributes.obj, run.run(mutation["jsonPatch"]["expression"]))
            else:
                changed = typed_merge(node, attributes.obj, run.run(mutation["applyConfiguration"]["expression"]))
            decode(changed, node, gvk)
            apply_defaults(changed, gvk)
            attributes.obj = changed
