"""Policies of admission and their bindings: what they may say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.resources.admissionregistration.bindings import MutatingPolicyBindings
from apiserver.resources.admissionregistration.policies import MutatingPolicyStrategy, ValidatingPolicyStrategy
from apiserver.resources.strategy import Strategy, User, WriteContext
from openapi.catalog import GroupVersionKind
from openapi.schema.defaults import apply_defaults

CONTEXT = WriteContext(User("tester"), datetime(2026, 1, 1, tzinfo=UTC))
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def problems(strategy: Strategy, kind: str, **spec: Any) -> list[str]:
    obj = {"metadata": {"name": "p"}, "spec": spec}
    apply_defaults(obj, GroupVersionKind("admissionregistration.k8s.io", "v1", kind))
    return [str(error) for error in strategy.validate(obj, None, CONTEXT)]


def validating(**spec: Any) -> list[str]:
    given = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}], **spec}
    return problems(ValidatingPolicyStrategy(), "ValidatingAdmissionPolicy", **given)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"paramKind": {"apiVersion": "apps/", "kind": "Pod"}},
         'spec.paramKind.apiVersion: Invalid value: "apps/": version must be specified'),
        ({"paramKind": {"apiVersion": "v1", "kind": "1A"}},
         f'spec.paramKind.kind: Invalid value: "1A": may have mixed case, but should otherwise match: {LABEL}'),
        ({"auditAnnotations": [{"key": "", "valueExpression": "null"}]},
         'spec.auditAnnotations[0].key: Invalid value: "p/": name part must be non-empty'),
        ({"auditAnnotations": [{"key": "k", "valueExpression": " 1"}]},
         'spec.auditAnnotations[0].valueExpression: Invalid value: " 1": must evaluate to one of [string null_type] '
         "but got int"),
        ({"variables": [{"name": "1a", "expression": "1"}]},
         'spec.variables[0].name: Invalid value: "1a": must be a valid CEL identifier'),
        ({"variables": [{"name": "l", "expression": "[1]"}], "validations": [{"expression": " variables.l"}]},
         'spec.validations[0].expression: Invalid value: " variables.l": must evaluate to bool but got list(int)'),
        ({"validations": [{"expression": "true", "messageExpression": "authorizer"}]},
         'spec.validations[0].messageExpression: Invalid value: "authorizer": compilation failed: '
         "ERROR: <input>:1:1: undeclared reference to 'authorizer' (in container '')\n | authorizer\n | ^"),
    ],
)  # fmt: skip
def test_validating_policies_are_judged(spec: dict[str, Any], expected: str) -> None:
    assert validating(**spec)[0] == expected


def test_what_is_deleted_is_not_changed() -> None:
    rules = {"resourceRules": [{**RULE, "operations": ["CREATE", "DELETE"]}]}
    text = 'Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"'
    patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": '[JSONPatch{op: "remove", path: "/x"}]'}}
    policy = {"matchConstraints": rules, "mutations": [patch], "reinvocationPolicy": "Never"}
    assert problems(MutatingPolicyStrategy(), "MutatingAdmissionPolicy", **policy) == [
        f"spec.matchConstraints.resourceRules.operations: {text}"
    ]
    binding = {"policyName": "p", "matchResources": rules}
    assert problems(MutatingPolicyBindings(), "MutatingAdmissionPolicyBinding", **binding) == [
        f"spec.matchResources.resourceRules.operations: {text}"
    ]
