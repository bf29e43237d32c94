"""MutatingAdmissionPolicy: expressions that change an object, as an applied configuration or a JSON patch.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/{generic,mutating}
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import Attributes, Plugin, forbidden
from apiserver.admission.policies.evaluation import Evaluation, Parameters, ParametersMissing
from apiserver.admission.policies.matching import is_exempt
from apiserver.admission.policies.patching import PatchFailed, patched
from apiserver.admission.policies.rounds import Rounds
from apiserver.admission.policies.tools import Tools
from apiserver.admission.policies.views import take_back, view_of
from apiserver.storage.store import Store
from openapi.catalog import Catalog, Resource
from openapi.cel.errors import EvaluationError
from openapi.meta import status
from openapi.meta.field import quote

Object = dict[str, Any]
Struct = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class _Invocation:
    """A policy that holds for a request, at a version of the resource, with one parameter."""

    label: str
    spec: Struct
    row: Resource
    params: Object | None

    @property
    def key(self) -> str:
        meta = {} if self.params is None else self.params["metadata"]
        return f"{self.label} {meta.get('namespace', '')}/{meta.get('name', '')}"


class _Failure(NamedTuple):
    """Why a policy could not do its work. `reason` is the answer's, if it has one of its own."""

    text: str
    reason: str = ""


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
        if not self._bindings.all() or is_exempt(attributes):
            return
        failures: list[_Failure] = []
        invocations = [invocation async for invocation in self._invocations(attributes, failures)]
        if invocations:
            await self._invoke_all(attributes, invocations, failures)
        if failures:
            raise _refusal(attributes, failures)

    async def _invocations(self, attributes: Attributes, failures: list[_Failure]) -> AsyncIterator[_Invocation]:
        """Everything that holds for the request, judged before anything has changed the object."""
        for entry in self._bindings.all():
            binding = fact(entry, "admission.spec", lambda obj: obj["spec"])
            policy = self._policies.cached("", binding["policyName"])
            if policy is None:
                continue
            spec = fact(policy, "admission.spec", lambda obj: obj["spec"])
            row = await self._matcher.match(attributes, spec.get("matchConstraints"))
            if row is None:
                continue
            unknown, ignores = self._parameters.unknown_kind(spec), spec.get("failurePolicy") == "Ignore"
            if unknown:
                failure = _Failure(f"policy {quote(policy.name)} denied request: failed to configure policy: {unknown}")
                failures += [] if ignores or failure in failures else [failure]
                continue
            if await self._matcher.match(attributes, binding.get("matchResources")) is None:
                continue
            label = f"policy '{policy.name}' with binding '{entry.name}'"
            try:
                for params in self._parameters.of(spec, binding, attributes):
                    yield _Invocation(label, spec, row, params)
            except ParametersMissing as err:
                if not ignores:
                    failures.append(_Failure(f"{label} denied request: failed to configure binding: {err}"))

    async def _invoke_all(
        self, attributes: Attributes, invocations: list[_Invocation], failures: list[_Failure]
    ) -> None:
        """Let each change the object that those before it left."""
        namespace = await self._matcher.namespace_object(attributes)
        rounds = Rounds.of(attributes, self.name)
        any_changed = False
        for invocation in invocations:
            spec, texts = invocation.spec, list[str]()
            view = await view_of(attributes, invocation.row, self._versions)
            try:
                run = self._evaluation(invocation, view, namespace)
                if not run.holds(spec.get("matchConditions") or ()):
                    continue
            except EvaluationError as err:
                texts.append(str(err))
            else:
                if not rounds.wants(invocation.key):
                    continue
                if await self._invoke(attributes, view, invocation, namespace, texts):
                    rounds.changed()
                    any_changed = True
                if spec.get("reinvocationPolicy") == "IfNeeded":
                    rounds.asked(invocation.key)
            if spec.get("failurePolicy") != "Ignore":
                failures += [_Failure(f"{invocation.label} denied request: {text}", "Invalid") for text in texts]
        if any_changed:
            rounds.changed()
        rounds.end()

    async def _invoke(
        self,
        attributes: Attributes,
        view: Attributes,
        invocation: _Invocation,
        namespace: Object | None,
        problems: list[str],
    ) -> bool:
        """Do all mutations of a policy, each on what the one before it made; whether any made a difference."""
        is_changed = False
        for mutation in invocation.spec["mutations"]:
            if view.obj is None:
                continue
            try:
                run = self._evaluation(invocation, view, namespace)
                run.define(invocation.spec.get("variables") or ())
                changed = patched(view, self._versions, mutation, run)
                is_changed = await take_back(attributes, view, changed, self._versions) or is_changed
            except (EvaluationError, PatchFailed) as err:
                problems.append(str(err))
        return is_changed

    def _evaluation(self, invocation: _Invocation, view: Attributes, namespace: Object | None) -> Evaluation:
        has_params = invocation.spec.get("paramKind") is not None
        return Evaluation(view, namespace, invocation.params, has_params=has_params, allows=self._allows)


def _refusal(attributes: Attributes, failures: list[_Failure]) -> status.StatusError:
    """The answer has the words of the first failure, and names all."""
    error = forbidden(attributes, "")
    error.message = failures[0].text
    error.reason = failures[0].reason or error.reason
    error.details = {**(error.details or {}), "causes": [{"message": failure.text} for failure in failures]}
    return error
