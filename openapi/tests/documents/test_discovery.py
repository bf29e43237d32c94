from __future__ import annotations

from typing import Any

import orjson
import pytest

from openapi.catalog import Catalog, GroupVersionKind, Resource, Subresource
from openapi.documents import Document, Documents
from openapi.kinds import RESOURCES
from openapi.meta.status import StatusError
from openapi.schema.protobuf import decode_protobuf

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BETA = AGGREGATED.replace("v=v2", "v=v2beta1")

WIDGETS = Resource(
    "example.com",
    "v1",
    "widgets",
    "Widget",
    "",
    True,
    singular="widget",
    verbs=("delete", "get", "list"),
    subresources=(
        Subresource("scale", ("get",), "Scale", "autoscaling", "v1"),
        Subresource("status", ("get",), "Widget"),
    ),
    prefix="example.com/widgets",
    storage_version="example.com/v1",
    custom=True,
)


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(RESOURCES)


@pytest.fixture
def documents(catalog: Catalog) -> Documents:
    return Documents(catalog)


def found(documents: Documents, path: str, accept: str = "application/json") -> Any:
    document = documents.discover(path, accept, "192.0.2.2:6443")
    assert document is not None
    return orjson.loads(document.body)


def test_the_core_group_lists_its_versions_and_the_servers_address(documents: Documents) -> None:
    assert found(documents, "/api") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "192.0.2.2:6443"}],
    }


def test_a_group_lists_its_preferred_version_first(documents: Documents) -> None:
    group = found(documents, "/apis/autoscaling/")
    assert group["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}
    assert [version["version"] for version in group["versions"]] == ["v2", "v1"]


def test_resources_are_followed_by_their_subresources(documents: Documents) -> None:
    resources = found(documents, "/apis/apps/v1")["resources"]
    assert [row["name"] for row in resources[1:6]] == [
        "daemonsets",
        "daemonsets/status",
        "deployments",
        "deployments/scale",
        "deployments/status",
    ]
    assert resources[4] == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/apis/batch/v1", "cronjobs", "sd5LIXh4Fjs="),
        ("/apis/autoscaling/v1", "horizontalpodautoscalers", "qwQve8ut294="),
        ("/apis/events.k8s.io/v1", "events", "r2yiGXH7wu8="),
    ],
)
def test_the_hash_names_the_version_that_is_stored(documents: Documents, path: str, name: str, expected: str) -> None:
    rows = {row["name"]: row for row in found(documents, path)["resources"]}
    assert rows[name]["storageVersionHash"] == expected


def test_resources_that_are_not_stored_have_no_hash(documents: Documents) -> None:
    rows = found(documents, "/apis/authentication.k8s.io/v1")["resources"]
    assert not any("storageVersionHash" in row for row in rows)


@pytest.mark.parametrize("path", ["/apis/nosuch.example.com", "/apis/apps/v1beta1", "/api/v2", "/apis/apps/v1/x"])
def test_unknown_paths_have_no_document(documents: Documents, path: str) -> None:
    assert documents.discover(path, "") is None


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "APIGroupList"),
        ("*/*", "APIGroupList"),
        (f"{AGGREGATED},{BETA},application/json", "APIGroupDiscoveryList"),
        (f"{BETA},application/json", "APIGroupList"),
        ("image/png,application/json", "APIGroupList"),
        (f"application/json;q=0.5,{AGGREGATED}", "APIGroupDiscoveryList"),
    ],
)
def test_the_first_known_form_is_answered(documents: Documents, accept: str, kind: str) -> None:
    assert found(documents, "/apis", accept)["kind"] == kind


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/apis/apps/v1"])
def test_protobuf_says_the_same_as_json(documents: Documents, path: str) -> None:
    document = documents.discover(path, "application/vnd.kubernetes.protobuf")
    assert document is not None and document.content_type == "application/vnd.kubernetes.protobuf"
    expected = found(documents, path)
    read = decode_protobuf(document.body, GroupVersionKind("", "v1", expected["kind"]))
    for name in expected.keys() - {"serverAddressByClientCIDRs", "apiVersion", "resources"}:
        assert read[name] == expected[name]
    for row, other in zip(expected.get("resources", ()), read.get("resources", ()), strict=True):
        assert {**other, **row} == other


@pytest.mark.parametrize("accept", [BETA, AGGREGATED.replace("APIGroupDiscoveryList", "NoSuch"), "image/png"])
def test_forms_that_do_not_exist_are_refused(documents: Documents, accept: str) -> None:
    with pytest.raises(StatusError) as refusal:
        documents.discover("/apis", accept)
    assert refusal.value.code == 406


def test_aggregated_discovery_holds_everything_and_a_tag(documents: Documents) -> None:
    document = documents.discover("/apis", AGGREGATED)
    assert document is not None and document.content_type == AGGREGATED
    assert len(document.etag.strip('"')) == 128
    items = orjson.loads(document.body)["items"]
    rows = [row for item in items for version in item["versions"] for row in version["resources"]]
    assert len(rows) == len([row for row in RESOURCES if row.group])


def test_custom_resources_appear_and_disappear_with_the_catalogue(catalog: Catalog, documents: Documents) -> None:
    before = documents.discover("/apis", AGGREGATED)
    catalog.add(WIDGETS)
    after = found(documents, "/apis", AGGREGATED)["items"][-1]
    assert after["metadata"] == {"name": "example.com"}
    widgets = after["versions"][0]["resources"][0]
    assert widgets["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
    assert [sub["responseKind"]["group"] for sub in widgets["subresources"]] == ["autoscaling", "example.com"]
    catalog.remove(WIDGETS)
    again = documents.discover("/apis", AGGREGATED)
    assert isinstance(before, Document) and again == before


def test_the_version_names_the_api_it_serves(documents: Documents) -> None:
    version = orjson.loads(documents.version().body)
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.2")
