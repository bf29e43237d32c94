"""What a custom resource definition may say."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.resources.apiextensions.definition import DefinitionStrategy
from apiserver.resources.strategy import User, WriteContext
from openapi.catalog import GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for

CONTEXT = WriteContext(User("tester"), datetime(2026, 1, 1, tzinfo=UTC))
GVK = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
VERSION: dict[str, Any] = {
    "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}},
}  # fmt: skip


def definition(**spec: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {
        "metadata": {"name": "things.x.example.com", "resourceVersion": "1"},
        "spec": copy.deepcopy(
            {
                "group": "x.example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [VERSION],
                **spec,
            }
        ),
    }
    decode(obj, schema_for(GVK), GVK)
    apply_defaults(obj, GVK)
    DefinitionStrategy().prepare(obj, None, CONTEXT)
    return obj


def problems(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [str(error) for error in DefinitionStrategy().validate(obj, old, CONTEXT)]


def test_names_and_conversion_have_defaults() -> None:
    made = definition()
    assert problems(made) == []
    assert made["spec"]["names"] == {
        "plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList",
    }  # fmt: skip
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert made["status"]["storedVersions"] == ["v1"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"scope": "Bogus"}, 'spec.scope: Unsupported value: "Bogus": supported values: "Cluster", "Namespaced"'),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set"),
        ({"conversion": {"strategy": "Webhook"}},
         "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"),
        ({"versions": [{**VERSION, "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": "x"}]}]},
         'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "x": must be a simple json path starting with .'),
        ({"versions": [{**VERSION, "selectableFields": [{"jsonPath": ".spec.x"}]}]},
         'spec.selectableFields[0].jsonPath: Invalid value: ".spec.x": is an invalid path: does not refer to a valid'),
        ({"versions": [VERSION, {**VERSION, "name": "v2", "storage": False, "schema": {"openAPIV3Schema": {}}}]},
         "spec.versions[1].schema.openAPIV3Schema.type: Required value: must not be empty at the root"),
        ({"versions": [{**VERSION, "deprecated": True, "deprecationWarning": ""}]},
         'spec.versions[0].deprecationWarning: Invalid value: "": must not be an empty string'),
        ({"versions": [{**VERSION, "deprecated": True, "deprecationWarning": "é\n"}]},
         'spec.versions[0].deprecationWarning: Invalid value: "é\\n": must only contain printable UTF-8 characters; '
         "non-printable character found at index 2"),
        ({"versions": [{**VERSION, "schema": None}]},
         "spec.versions[0].schema.openAPIV3Schema: Required value"),
        ({"versions": [{**VERSION, "selectableFields": [{"jsonPath": "spec.x"}]}]},
         'spec.selectableFields[0].jsonPath: Invalid value: "spec.x": is an invalid path: expected [ or . but got'),
        ({"versions": [{**VERSION, "selectableFields": [{"jsonPath": ".a[0]"}],
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}]},
         'spec.selectableFields[0].jsonPath: Invalid value: ".a[0]": is an invalid path: array notation is not'),
        ({"preserveUnknownFields": True, "conversion": {"strategy": "Webhook"}},
         'spec.conversion.strategy: Invalid value: "Webhook": must be None if spec.preserveUnknownFields is true'),
        ({"versions": [{**VERSION, "subresources": {"status": {}},
                        "schema": {"openAPIV3Schema": {"type": "object", "maxProperties": 3}}}]},
         'spec.validation.openAPIV3Schema: Invalid value: {"ID":"","Schema":"","Ref":null,"Description":"","Type":'),
    ],
)  # fmt: skip
def test_definitions_are_judged(spec: dict[str, Any], problem: str) -> None:
    found = problems(definition(**spec))
    assert found
    assert found[0].startswith(problem)


def test_a_stored_version_stays_until_its_objects_are_migrated() -> None:
    old = definition()
    new = copy.deepcopy(old)
    new["spec"]["versions"] = [{**VERSION, "name": "v2"}]
    DefinitionStrategy().prepare(new, old, CONTEXT)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert problems(new, old)[0].startswith('status.storedVersions[0]: Invalid value: "v1": missing from spec.versions')


def test_what_is_served_keeps_its_names_and_its_scope() -> None:
    old, new = definition(), definition(scope="Cluster", names={"plural": "others", "kind": "Other"})
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert problems(new, old) == [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.kind: Invalid value: "Other": field is immutable',
        'spec.names.plural: Invalid value: "others": field is immutable',
    ]


def test_protected_groups_need_an_approval() -> None:
    obj = definition(group="x.k8s.io")
    obj["metadata"]["name"] = "things.x.k8s.io"
    assert problems(obj)[0].startswith("metadata.annotations[api-approved.kubernetes.io]: Required value: protected")
    obj["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/1"}
    assert problems(obj) == []


def test_unknown_formats_are_warned_about() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "format": "no such"}}}
    obj = definition(versions=[{**VERSION, "schema": {"openAPIV3Schema": schema}}])
    assert list(DefinitionStrategy().warnings(obj, None)) == ['unrecognized format "no such"']
