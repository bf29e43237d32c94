"""Bindings of admission policies: where a policy holds, with which parameters, and what happens on a violation.

Follows: pkg/registry/admissionregistration/{validating,mutating}admissionpolicybinding/strategy.go,
pkg/apis/admissionregistration/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.admissionregistration.columns import POLICY_BINDING
from apiserver.resources.admissionregistration.rules import (
    param_ref_cell,
    validate_match_resources,
    validate_mutating_operations,
    validate_param_ref,
)
from apiserver.resources.age import age
from apiserver.resources.field_rules import named
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, duplicate, invalid, not_supported, required
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import is_dns1123_subdomain, name_is_dns_subdomain

_ACTIONS = ("Audit", "Deny", "Warn")
_BOTH = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)


class PolicyBindingStrategy(WithStatus):
    allow_unconditional_update = False
    reset_fields = ()
    empty_status = False
    columns = POLICY_BINDING
    mutating = False

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        policy, match = spec.get("policyName", ""), spec.get("matchResources")
        if not policy:
            yield required("spec.policyName")
        else:
            yield from named(is_dns1123_subdomain, policy, "spec.policyName")
        yield from validate_param_ref(spec.get("paramRef"), "spec.paramRef")
        if match is not None:
            yield from validate_match_resources(match, "spec.matchResources")
            if self.mutating:
                yield from validate_mutating_operations(match, "spec.matchResources")
        if not self.mutating:
            yield from _validate_actions(spec.get("validationActions") or (), "spec.validationActions")
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        policy, created = spec.get("policyName", ""), age(meta.get("creationTimestamp"), now)
        return [meta.get("name", ""), policy, param_ref_cell(spec), created]


class MutatingPolicyBindings(PolicyBindingStrategy):
    """The policy changes objects; there is nothing to choose."""

    mutating = True


class ValidatingPolicyBindings(PolicyBindingStrategy):
    """A violation of the policy has consequences that the binding chooses."""


def _validate_actions(actions: Sequence[str], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, action in enumerate(actions):
        if action not in _ACTIONS:
            yield not_supported(f"{path}[{i}]", action, _ACTIONS)
        if action in seen:
            yield duplicate(f"{path}[{i}]", action)
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        yield invalid(path, list(actions), _BOTH)
    if not actions:
        yield required(path, "at least one validation action is required")
