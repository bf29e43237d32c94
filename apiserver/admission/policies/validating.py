"""ValidatingAdmissionPolicy: expressions that an object must satisfy, where a binding puts them to work.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CONNECT, CREATE, DELETE, UPDATE, Attributes, Plugin, forbidden
from apiserver.admission.policies.evaluation import Evaluation, Parameters, ParametersMissing
from apiserver.admission.policies.matching import is_exempt
from apiserver.admission.policies.tools import Tools
from apiserver.admission.policies.views import view_of
from apiserver.storage.store import Store
from openapi.catalog import Catalog
from openapi.cel.errors import EvaluationError

Object = dict[str, Any]
Struct = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}
_MOST_MESSAGE = 5 * 1024
_MOST_ANNOTATION = 10 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """What a policy has against a request. `denies`: whatever the binding's actions."""

    message: str
    reason: str = "Invalid"
    denies: bool = False


class ValidatingAdmissionPolicy(Plugin):
    """Asks all bound policies in the order of their bindings' names."""

    name = "ValidatingAdmissionPolicy"
    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    subresources = None

    def __init__(self, store: Store, catalog: Catalog, tools: Tools) -> None:
        self._bindings = Lookup(store, catalog, GROUP, "validatingadmissionpolicybindings")
        self._policies = Lookup(store, catalog, GROUP, "validatingadmissionpolicies")
        self._matcher, self._versions, self._allows = tools
        self._parameters = Parameters(store, catalog)

    async def validate(self, attributes: Attributes) -> None:
        bindings = self._bindings.all()
        if not bindings or is_exempt(attributes):
            return
        refusals: list[tuple[str, str]] = []
        for entry in bindings:
            binding = fact(entry, "admission.spec", lambda obj: obj["spec"])
            policy = self._policies.cached("", binding["policyName"])
            if policy is None:
                continue
            spec = fact(policy, "admission.spec", lambda obj: obj["spec"])
            row = await self._matcher.match(attributes, spec.get("matchConstraints"))
            if row is None:
                continue
            unknown = self._parameters.unknown_kind(spec)
            if unknown:
                why = f"'{policy.name}' denied request: failed to configure policy: {unknown}"
                refusals += [] if spec.get("failurePolicy") == "Ignore" else [(f"{self.name} {why}", "Invalid")]
                continue
            if await self._matcher.match(attributes, binding.get("matchResources")) is None:
                continue
            view = await view_of(attributes, row, self._versions)
            label = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{entry.name}'"
            for failure in await self._failures(view, policy.name, spec, binding):
                self._act(attributes, binding, label, failure, refusals)
        if refusals:
            message, reason = refusals[0]
            error = forbidden(attributes, message)
            error.reason, error.code = reason, _CODES.get(reason, 422)
            error.details = {**(error.details or {}), "causes": [{"message": message}]}
            raise error

    def _act(
        self,
        attributes: Attributes,
        binding: Struct,
        label: str,
        failure: Failure,
        refusals: list[tuple[str, str]],
    ) -> None:
        message, reason = failure.message, failure.reason
        for action in ("Deny",) if failure.denies else binding.get("validationActions") or ("Deny",):
            if action == "Deny":
                refusals.append((f"{label} denied request: {message}", reason))
            elif action == "Warn":
                attributes.warnings.append(f"Validation failed for {label}: {message}")
            else:
                attributes.annotations["validation.policy.admission.k8s.io/validation_failure"] = f"{label}: {message}"

    async def _failures(self, attributes: Attributes, name: str, spec: Struct, binding: Struct) -> list[Failure]:
        """What fails; what cannot be judged counts as the policy says."""
        namespace = await self._matcher.namespace_object(attributes)
        found: list[Failure] = []
        ignores, has_params = spec.get("failurePolicy") == "Ignore", spec.get("paramKind") is not None
        try:
            for params in self._parameters.of(spec, binding, attributes):
                run = Evaluation(attributes, namespace, params, has_params=has_params, allows=self._allows)
                try:
                    if not run.holds(spec.get("matchConditions") or ()):
                        continue
                    run.define(spec.get("variables") or ())
                except EvaluationError as err:
                    found += [] if ignores else [Failure(str(err))]
                    continue
                found += _failed_validations(run, spec, ignores=ignores)
                found += _failed_annotations(run, name, spec, attributes, ignores=ignores)
        except ParametersMissing as err:
            found += [] if ignores else [Failure(f"failed to configure binding: {err}", denies=True)]
        return found


def _failed_validations(run: Evaluation, spec: Struct, *, ignores: bool) -> list[Failure]:
    found = []
    for validation in spec.get("validations") or ():
        text = validation["expression"].strip()
        try:
            if run.run(text) is True:
                continue
        except EvaluationError as err:
            if not ignores:
                found.append(Failure(f"expression '{text}' resulted in error: {err}"))
            continue
        found.append(Failure(_message(run, validation, text), validation.get("reason") or "Invalid"))
    return found


def _failed_annotations(
    run: Evaluation, name: str, spec: Struct, attributes: Attributes, *, ignores: bool
) -> list[Failure]:
    """Leave the policy's annotations for the audit; one without a value denies."""
    found = []
    for annotation in spec.get("auditAnnotations") or ():
        text = annotation["valueExpression"].strip()
        try:
            value = run.run(text)
        except EvaluationError as err:
            if not ignores:
                found.append(Failure(f"expression '{text}' resulted in error: {err}", denies=True))
            continue
        if isinstance(value, str) and value.strip():
            attributes.annotations[f"{name}/{annotation['key']}"] = value.strip()[:_MOST_ANNOTATION]
    return found


def _message(run: Evaluation, validation: Struct, text: str) -> str:
    """The message of a failed validation: worked out, given, or naming the expression."""
    given = (validation.get("message") or "").strip() or f"failed expression: {text}"
    dynamic = (validation.get("messageExpression") or "").strip()
    if not dynamic:
        return given
    try:
        made = run.run(dynamic)
    except EvaluationError:
        return given
    made = made.strip() if isinstance(made, str) else ""
    return made if made and "\n" not in made and len(made) <= _MOST_MESSAGE else given
