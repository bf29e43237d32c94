"""Checking policies against kinds."""

from __future__ import annotations

from typing import Any

from controllers.admission_policy.checking import Kinds, kinds_of
from controllers.admission_policy.checking import expression_warnings as warnings_of

Object = dict[str, Any]

BUILT_IN = Kinds()


def expression_warnings(policy: Object, kinds: Kinds = BUILT_IN) -> list[Object]:
    return warnings_of(policy, kinds)


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
    assert [gvk.kind for gvk in kinds_of({"resourceRules": rules}, BUILT_IN)] == ["Pod"]


def test_custom_kinds_are_checked_by_their_definitions() -> None:
    properties = {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}
    version = {
        "name": "v1",
        "served": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    names = {"plural": "wheels", "kind": "Wheel"}
    kinds = Kinds(
        [{"spec": {"group": "e.com", "names": names, "versions": [version, {"name": "v2", "served": False}]}}]
    )
    rules = [rule(["e.com"], ["wheels"], ["v1", "v2"])]
    fine = {"expression": "object.spec.size > 1 && object.metadata.name != 'x'"}
    assert expression_warnings(policy(fine, rules=rules), kinds) == []
    (warning,) = expression_warnings(policy({"expression": "object.spec.nope"}, rules=rules), kinds)
    assert warning["warning"].startswith("e.com/v1, Kind=Wheel: ERROR: <input>:1:12: undefined field 'nope'")
