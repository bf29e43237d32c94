"""MutatingAdmissionPolicy: expressions that change an object, as an applied configuration or a JSON patch.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/mutating
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import Attributes, Plugin, forbidden
from apiserver.admission.policies.evaluation import Evaluation, Parameters, ParametersMissing
from apiserver.admission.policies.matching import is_exempt
from apiserver.admission.policies.rounds import Rounds
from apiserver.admission.policies.tools import Tools
from apiserver.admission.policies.views import take_back, view_of
from apiserver.storage.store import Store
from openapi.catalog import Catalog, Resource
from openapi.cel.errors import EvaluationError
from openapi.schema.decode import DecodeError
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, json_patch
from openapi.schema.load import schema_for
from openapi.schema.typedmerge import typed_merge

Object = dict[str, Any]
Struct = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"


class Bound(NamedTuple):
    """A policy's and a binding's spec, and what both are called."""

    spec: Struct
    binding: Struct
    label: str


class MutatingAdmissionPolicy(Plugin):
    """Lets all bound policies change the object, in the order of their bindings' names."""

    name = "MutatingAdmissionPolicy"
    subresources = None

    def __init__(self, store: Store, catalog: Catalog, tools: Tools) -> None:
        self._bindings = Lookup(store, catalog, GROUP, "mutatingadmissionpolicybindings")
        self._policies = Lookup(store, catalog, GROUP, "mutatingadmissionpolicies")
        self._matcher, self._versions, self._allows = tools
        self._parameters = Parameters(store, catalog)

    async def mutate(self, attributes: Attributes) -> None:
        bindings = self._bindings.all()
        if not bindings or is_exempt(attributes):
            return
        rounds = Rounds.of(attributes, self.name)
        for entry in bindings:
            binding = fact(entry, "admission.spec", lambda obj: obj["spec"])
            policy = self._policies.cached("", binding["policyName"])
            if policy is None:
                continue
            spec = fact(policy, "admission.spec", lambda obj: obj["spec"])
            row = await self._matcher.match(attributes, spec.get("matchConstraints"))
            if row is None or await self._matcher.match(attributes, binding.get("matchResources")) is None:
                continue
            label = f"policy '{policy.name}' with binding '{entry.name}'"
            await self._change(attributes, row, Bound(spec, binding, label), rounds)
        rounds.end()

    async def _change(self, attributes: Attributes, row: Resource, bound: Bound, rounds: Rounds) -> None:
        namespace = await self._matcher.namespace_object(attributes)
        spec, has_params = bound.spec, bound.spec.get("paramKind") is not None
        try:
            for params in self._parameters.of(spec, bound.binding, attributes):
                view = await view_of(attributes, row, self._versions)
                run = Evaluation(view, namespace, params, has_params=has_params, allows=self._allows)
                if view.obj is None or not run.holds(spec.get("matchConditions") or ()):
                    continue
                key = f"{bound.label} {_name_of(params)}"
                if not rounds.wants(key):
                    continue
                changes = [await self._mutate(attributes, view, namespace, params, spec, m) for m in spec["mutations"]]
                if any(changes):
                    rounds.changed()
                if spec.get("reinvocationPolicy") == "IfNeeded":
                    rounds.asked(key)
        except (EvaluationError, ParametersMissing, JsonPatchError, InvalidPatch, DecodeError) as err:
            if spec.get("failurePolicy") != "Ignore":
                raise forbidden(attributes, f"{bound.label} denied request: {err}") from err

    async def _mutate(
        self,
        attributes: Attributes,
        view: Attributes,
        namespace: Object | None,
        params: Object | None,
        spec: Struct,
        mutation: Struct,
    ) -> bool:
        """Whether one mutation changed the object."""
        run = Evaluation(view, namespace, params, has_params=spec.get("paramKind") is not None, allows=self._allows)
        run.define(spec.get("variables") or ())
        if mutation["patchType"] == "JSONPatch":
            changed = json_patch(view.obj, run.run(mutation["jsonPatch"]["expression"]))
        else:
            node = schema_for(view.form.gvk) if view.form is not None else self._versions.node(view.resource)
            changed = typed_merge(node, view.obj, run.run(mutation["applyConfiguration"]["expression"]))
        return await take_back(attributes, view, changed, self._versions)


def _name_of(params: Object | None) -> str:
    meta = {} if params is None else params["metadata"]
    return f"{meta.get('namespace', '')}/{meta.get('name', '')}"
