"""Checking policies against kinds."""

from __future__ import annotations

from typing import Any

from controllers.admission_policy.checking import expression_warnings, kinds_of

Object = dict[str, Any]


def rule(groups: list[str], resources: list[str], versions: list[str] | None = None) -> Object:
    return {"apiGroups": groups, "apiVersions": versions or ["v1"], "resources": resources}


def policy(*validations: Object, rules: list[Object] | None = None, **spec: Any) -> Object:
    rules = rules or [rule(["apps"], ["deployments"])]
    return {"spec": {"matchConstraints": {"resourceRules": rules}, "validations": list(validations), **spec}}


def test_known_fields_are_fine() -> None:
    assert expression_warnings(policy({"expression": "object.spec.replicas <= 5"})) == []


def test_unknown_field_is_pointed_at() -> None:
    assert expression_warnings(policy({"expression": "object.spec.nothing == 1"})) == [
        {
            "fieldRef": "spec.validations[0].expression",
            "warning": (
                "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'nothing'\n"
                " | object.spec.nothing == 1\n | ...........^\n"
            ),
        }
    ]


def test_each_kind_has_its_own_complaint() -> None:
    rules = [rule(["apps", ""], ["deployments", "pods"])]
    (warning,) = expression_warnings(policy({"expression": "object.nothing"}, rules=rules))
    assert [part.split(":")[0] for part in warning["warning"].split("\n\n")] == [
        "/v1, Kind=Pod",
        "apps/v1, Kind=Deployment",
    ]


def test_message_expressions_and_variables_are_checked_too() -> None:
    found = expression_warnings(
        policy(
            {"expression": "variables.count > 1", "messageExpression": "string(variables.count) + object.spec.nope"},
            {"expression": "variables.count == 'x'"},
            variables=[{"name": "count", "expression": "object.spec.replicas"}],
        )
    )
    assert [one["fieldRef"] for one in found] == [
        "spec.validations[0].messageExpression",
        "spec.validations[1].expression",
    ]


def test_params_are_checked_by_their_kind() -> None:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert expression_warnings(policy({"expression": "params.data['a'] == 'b'"}, paramKind=kind)) == []
    (warning,) = expression_warnings(policy({"expression": "params.nothing"}, paramKind=kind))
    assert "undefined field 'nothing'" in warning["warning"]


def test_wildcards_and_subresources_name_no_kinds() -> None:
    rules = [rule(["*"], ["pods"]), rule([""], ["*"]), rule([""], ["pods/status"]), rule([""], ["pods"])]
    assert [gvk.kind for gvk in kinds_of({"resourceRules": rules})] == ["Pod"]
