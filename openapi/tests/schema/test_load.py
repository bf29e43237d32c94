"""Loading: the graph says what the definitions and the Go types say."""

from __future__ import annotations

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema import node as types
from openapi.schema.load import definitions, go_name, node_for, schema_for
from openapi.schema.presence import _TABLES

CORE = "io.k8s.api.core.v1."


def test_a_kind_is_found_by_group_version_and_kind() -> None:
    assert schema_for(GroupVersionKind("apps", "v1", "Deployment")).name == "io.k8s.api.apps.v1.Deployment"
    with pytest.raises(KeyError):
        schema_for(GroupVersionKind("apps", "v1", "Nothing"))


def test_definitions_are_shared_and_may_contain_themselves() -> None:
    pod = schema_for(GroupVersionKind("", "v1", "Pod"))
    assert pod.fields["spec"].node is node_for(CORE + "PodSpec")
    props = node_for("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    assert props.fields["not"].node is props


def test_lists_know_how_to_merge() -> None:
    ports = node_for(CORE + "Container").fields["ports"]
    assert (ports.merge_key, ports.patch_strategy) == ("containerPort", ("merge",))
    assert (ports.node.list_type, ports.node.map_keys) == ("map", ("containerPort", "protocol"))
    assert ports.node.items is not None and ports.node.items.fields["protocol"].key_default == "TCP"
    assert node_for(CORE + "PodSpec").fields["volumes"].patch_strategy == ("merge", "retainKeys")


def test_types_have_their_go_names() -> None:
    fields = node_for(CORE + "Container").fields
    assert go_name(fields["ports"].node) == "[]v1.ContainerPort"
    assert go_name(fields["resources"].node) == "v1.ResourceRequirements"
    assert go_name(fields["imagePullPolicy"].node) == "v1.PullPolicy"
    assert go_name(node_for(CORE + "Secret").fields["data"].node) == "map[string][]uint8"


def test_presence_follows_the_go_types() -> None:
    spec = node_for(CORE + "PodSpec").fields
    assert spec["priority"].pointer and not spec["nodeName"].pointer and not spec["priority"].always
    pod = node_for(CORE + "Pod").fields
    assert pod["status"].value and pod["status"].always and not pod["status"].pointer
    assert spec["securityContext"].pointer and not spec["securityContext"].value
    assert node_for(CORE + "ServicePort").fields["targetPort"].node.type == types.INT_OR_STRING


def test_the_tables_name_fields_that_exist() -> None:
    for table in _TABLES.values():
        for short, names in table.items():
            full = next(n for n in (f"io.k8s.api.{short}", f"io.k8s.{short}") if n in definitions())
            for name in names.split():
                assert name in definitions()[full]["properties"], (full, name)
