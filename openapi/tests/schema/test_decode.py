"""Decoding: Go's words for wrong types, unknown fields in order, canonical values."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema.decode import DecodeError, decode, kind_error
from openapi.schema.load import OBJECT_META, definitions, node_for, schema_for

POD = GroupVersionKind("", "v1", "Pod")
SECRET = GroupVersionKind("", "v1", "Secret")
SERVICE = GroupVersionKind("", "v1", "Service")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")


CONTAINERS = "struct field PodSpec.spec.containers of type"
REPLICAS = "struct field DeploymentSpec.spec.replicas of type"


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [fields]}}


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        (POD, {"spec": {"containers": {}}}, f"object into Go {CONTAINERS} []v1.Container"),
        (POD, {"spec": {"containers": ["c"]}}, f"string into Go {CONTAINERS} v1.Container"),
        (POD, container(image=5), "number into Go struct field Container.spec.containers.image of type string"),
        (
            POD,
            container(imagePullPolicy=True),
            "bool into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy",
        ),
        (
            POD,
            container(ports=[{"containerPort": "80"}]),
            "string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            POD,
            {"metadata": {"labels": {"a": 1}}},
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            POD,
            {"metadata": {"labels": []}},
            "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (DEPLOYMENT, {"spec": {"replicas": "3"}}, f"string into Go {REPLICAS} int32"),
        (DEPLOYMENT, {"spec": {"replicas": 1.5}}, f"number 1.5 into Go {REPLICAS} int32"),
        (DEPLOYMENT, {"spec": {"replicas": 99999999999}}, f"number 99999999999 into Go {REPLICAS} int32"),
        (
            SERVICE,
            {"spec": {"ipFamilies": [4]}},
            "number into Go struct field ServiceSpec.spec.ipFamilies of type v1.IPFamily",
        ),
        (
            SERVICE,
            {"spec": {"ports": [{"targetPort": False}]}},
            "bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
    ],
)
def test_a_wrong_type_is_named_as_go_names_it(kind: GroupVersionKind, body: Any, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(body, schema_for(kind), kind)
    assert str(caught.value) == f"json: cannot unmarshal {problem}"


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        (POD, container(resources={"limits": {"cpu": "lots"}}), "quantities must match the regular expression"),
        (POD, {"metadata": {"creationTimestamp": "yesterday"}}, 'parsing time "yesterday" as "2006-01-02T15:04:05Z'),
        (SECRET, {"data": {"k": "x"}}, "illegal base64 data at input byte 0"),
    ],
)
def test_a_value_of_the_wrong_form_is_explained(kind: GroupVersionKind, body: Any, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(body, schema_for(kind), kind)
    assert str(caught.value).startswith(problem)


def test_the_first_wrong_type_counts_but_a_wrong_form_ends_all() -> None:
    body = {"metadata": {"name": 5, "namespace": 6}, "spec": {"priority": "x"}}
    with pytest.raises(DecodeError, match=r"ObjectMeta\.metadata\.name of type string"):
        decode(deepcopy(body), schema_for(POD), POD)
    body["spec"] = {"activeDeadlineSeconds": "x", "overhead": {"cpu": "lots"}}
    with pytest.raises(DecodeError, match="quantities must match"):
        decode(body, schema_for(POD), POD)


def test_unknown_fields_are_pruned_and_listed_in_the_order_of_the_body() -> None:
    body = {"metadata": {"nosuch": 1}, "spec": {"containers": [{"name": "c", "x": 1}], "other": {}}, "extra": 1}
    assert decode(body, schema_for(POD), POD) == [
        'unknown field "metadata.nosuch"',
        'unknown field "spec.containers[0].x"',
        'unknown field "spec.other"',
        'unknown field "extra"',
    ]
    assert body == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {},
        "spec": {"containers": [{"name": "c", "resources": {}}]},
        "status": {},
    }


def test_field_names_are_case_sensitive() -> None:
    assert decode({"Data": {"a": "b"}}, schema_for(CONFIG_MAP), CONFIG_MAP) == ['unknown field "Data"']


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"hostNetwork": False, "nodeName": "", "tolerations": [], "nodeSelector": {}}, {}),
        ({"hostUsers": False, "priority": 0, "runtimeClassName": ""},) * 2,
        ({"securityContext": {}, "affinity": {}},) * 2,
        ({"securityContext": None, "priority": None, "volumes": None}, {}),
        ({"volumes": [{"name": "v", "emptyDir": {}}]},) * 2,
        ({"volumes": [None]}, {"volumes": [{"name": ""}]}),
    ],
)
def test_only_what_go_would_write_is_kept(fields: dict[str, Any], kept: dict[str, Any]) -> None:
    body = {"spec": {"containers": [], **deepcopy(fields)}}
    assert decode(body, schema_for(POD), POD) == []
    assert body["spec"] == {"containers": [], **kept}


def test_what_has_no_omitempty_is_written_when_it_is_missing() -> None:
    role: dict[str, Any] = {}
    decode(role, schema_for(GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRole")))
    assert role == {"metadata": {}, "rules": None}
    claim: dict[str, Any] = {"spec": {"dataSource": {"kind": "K", "name": "n"}}}
    decode(claim, schema_for(GroupVersionKind("", "v1", "PersistentVolumeClaim")))
    assert claim["spec"] == {"dataSource": {"apiGroup": None, "kind": "K", "name": "n"}, "resources": {}}


def test_values_become_canonical() -> None:
    body = {
        "metadata": {"creationTimestamp": "2024-01-01T02:00:00.5+02:00", "labels": {"a": None}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi", "x/y": 3}},
                    "livenessProbe": {"httpGet": {"port": "web"}},
                    "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                }
            ]
        },
    }
    assert decode(body, schema_for(POD), POD) == []
    assert body["metadata"] == {"creationTimestamp": "2024-01-01T00:00:00Z", "labels": {"a": ""}}
    found = body["spec"]["containers"][0]
    assert found["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi", "x/y": "3"}
    assert found["livenessProbe"]["httpGet"] == {"port": "web"}
    assert found["env"][0]["valueFrom"]["resourceFieldRef"] == {"resource": "limits.cpu", "divisor": "0"}


def test_base64_loses_its_line_ends() -> None:
    body = {"data": {"k": "aGVs\nbG8="}}
    decode(body, schema_for(SECRET), SECRET)
    assert body["data"] == {"k": "aGVsbG8="}


def test_a_schema_inside_a_crd_may_be_a_boolean() -> None:
    schema = {"type": "object", "properties": {"a": {"additionalProperties": True, "default": {"any": [1]}}}}
    body = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}}
    assert decode(body, schema_for(CRD), CRD) == []
    assert body["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "properties": {"a": {"additionalProperties": True, "default": {"any": [1]}}},
    }


def test_a_part_of_an_object_is_decoded_with_its_place() -> None:
    meta = {"name": "a", "nosuch": 1}
    assert decode(meta, node_for(OBJECT_META), at="metadata") == ['unknown field "metadata.nosuch"']
    with pytest.raises(DecodeError, match=r"^json: cannot unmarshal number into Go struct field ObjectMeta\.labels of"):
        decode({"labels": {"a": 1}}, node_for(OBJECT_META), at="metadata")


def test_kind_and_version_must_be_readable() -> None:
    assert kind_error({"kind": "Pod"}) == ""
    assert kind_error([]).startswith("couldn't get version/kind; json parse error: json: cannot unmarshal array into")
    assert kind_error({"kind": 5}).endswith("number into Go struct field .kind of type string")


def test_every_definition_decodes_its_own_empty_form_unchanged() -> None:
    for name, definition in definitions().items():
        if "properties" not in definition:
            continue
        body: dict[str, Any] = {}
        assert decode(body, node_for(name)) == []
        again = deepcopy(body)
        assert decode(again, node_for(name)) == []
        assert again == body, name
