from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from openapi.catalog import ALL_VERBS, Catalog, Resource, Subresource
from openapi.documents import Documents, custom_definitions
from openapi.documents.definitions import downgraded
from openapi.kinds import RESOURCES

SCHEMA = {
    "type": "object",
    "description": "A widget.",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "default": 1},
                "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "note": {"type": "string", "nullable": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
            },
        }
    },
}
WIDGETS = Resource(
    "example.com",
    "v1",
    "widgets",
    "Widget",
    "",
    True,
    singular="widget",
    verbs=ALL_VERBS,
    subresources=(Subresource("status", ("get", "patch", "update"), "Widget"),),
    custom=True,
)
POD = "/api/v1/namespaces/{namespace}/pods/{name}"


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(Catalog(RESOURCES))


@pytest.fixture(scope="module")
def swagger(documents: Documents) -> Any:
    return orjson.loads(documents.openapi_v2("application/json").body)


@pytest.fixture(scope="module")
def core(documents: Documents) -> Any:
    return v3(documents, "api/v1")


def v3(documents: Documents, name: str) -> Any:
    document = documents.openapi_v3(name, "application/json")
    assert document is not None
    return orjson.loads(document.body)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def resolves(document: Any, reference: str) -> bool:
    for part in reference.removeprefix("#/").split("/"):
        document = document.get(part)
        if document is None:
            return False
    return True


def test_every_reference_leads_somewhere(swagger: Any, core: Any) -> None:
    for document in (swagger, core):
        assert all(resolves(document, reference) for reference in set(references(document)))


def test_operations_have_names_of_their_own(swagger: Any) -> None:
    names = [
        operation["operationId"]
        for path in swagger["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    ]
    assert len(names) == len(set(names)) > 800


@pytest.mark.parametrize(
    ("path", "method", "name", "action", "kind"),
    [
        (POD, "get", "readCoreV1NamespacedPod", "get", "Pod"),
        (POD, "put", "replaceCoreV1NamespacedPod", "put", "Pod"),
        (POD + "/eviction", "post", "createCoreV1NamespacedPodEviction", "post", "Eviction"),
        (POD + "/exec", "post", "connectCoreV1PostNamespacedPodExec", "connect", "PodExecOptions"),
        (POD + "/proxy/{path}", "head", "connectCoreV1HeadNamespacedPodProxyWithPath", "connect", "PodProxyOptions"),
        ("/api/v1/pods", "get", "listCoreV1PodForAllNamespaces", "list", "Pod"),
        ("/api/v1/nodes", "delete", "deleteCoreV1CollectionNode", "deletecollection", "Node"),
        ("/api/v1/watch/nodes", "get", "watchCoreV1NodeList", "watchlist", "Node"),
    ],
)
def test_operations_say_what_they_do(core: Any, path: str, method: str, name: str, action: str, kind: str) -> None:
    operation = core["paths"][path][method]
    assert (operation["operationId"], operation["x-kubernetes-action"]) == (name, action)
    assert operation["x-kubernetes-group-version-kind"]["kind"] == kind


def test_parameters_shared_by_all_operations_stand_at_the_path(core: Any) -> None:
    path = core["paths"][POD]
    assert [parameter["name"] for parameter in path["parameters"]] == ["name", "namespace", "pretty"]
    assert [parameter["name"] for parameter in path["patch"]["parameters"]] == [
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
    ]


def test_definitions_allow_no_null_and_keep_their_extensions(swagger: Any) -> None:
    port = swagger["definitions"]["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]
    assert (port["type"], port["enum"]) == ("string", ["SCTP", "TCP", "UDP"])
    ports = swagger["definitions"]["io.k8s.api.core.v1.Container"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "containerPort"


def test_version_3_has_defaults_and_wraps_references(core: Any) -> None:
    schemas = core["components"]["schemas"]
    assert schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]["default"] == "TCP"
    metadata = schemas["io.k8s.api.core.v1.Pod"]["properties"]["metadata"]
    assert metadata["default"] == {}
    assert metadata["allOf"] == [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
    assert "default" not in schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["affinity"]


def test_the_index_lists_a_document_for_each_group_version(documents: Documents) -> None:
    paths = orjson.loads(documents.openapi_v3_index().body)["paths"]
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "apis/autoscaling/v1", "version"} <= set(paths)
    for name, entry in paths.items():
        path, _, known = entry["serverRelativeURL"].partition("?hash=")
        document = documents.openapi_v3(path.removeprefix("/openapi/v3/"), "", known)
        assert document is not None and document.status == 200, name


def test_the_present_hash_may_be_kept_and_an_old_one_is_redirected(documents: Documents) -> None:
    plain = documents.openapi_v3("apis/apps/v1", "")
    assert plain is not None and "cache-control" not in dict(plain.headers)
    known = plain.etag.strip('"')
    kept = documents.openapi_v3("apis/apps/v1", "", known)
    assert kept is not None and dict(kept.headers)["cache-control"] == "public, immutable"
    old = documents.openapi_v3("apis/apps/v1", "", "0" * 128)
    assert old is not None and old.status == 301
    assert dict(old.headers)["location"] == f"/openapi/v3/apis/apps/v1?hash={known}"


def test_unknown_documents_and_other_encodings_are_refused(documents: Documents) -> None:
    assert documents.openapi_v3("nosuch", "") is None
    assert documents.openapi_v2("application/vnd.kubernetes.protobuf").status == 406
    refused = documents.openapi_v3("api/v1", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf")
    assert refused is not None and refused.status == 406


def test_a_custom_kind_gets_documents_and_changes_only_its_own_hash() -> None:
    catalog = Catalog(RESOURCES)
    documents = Documents(catalog, lambda row: custom_definitions(row, SCHEMA))
    before = orjson.loads(documents.openapi_v3_index().body)["paths"]
    catalog.add(WIDGETS)
    after = orjson.loads(documents.openapi_v3_index().body)["paths"]
    assert {name for name in after if before.get(name) != after[name]} == {"apis/example.com/v1"}
    found = v3(documents, "apis/example.com/v1")
    assert all(resolves(found, reference) for reference in references(found))
    widget = found["components"]["schemas"]["com.example.v1.Widget"]
    assert widget["properties"]["spec"] == SCHEMA["properties"]["spec"]
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    path = found["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/status"]
    assert path["patch"]["operationId"] == "patchExampleComV1NamespacedWidgetStatus"
    assert "com.example.v1.WidgetList" in orjson.loads(documents.openapi_v2("").body)["definitions"]


def test_a_changed_custom_row_changes_its_document() -> None:
    catalog = Catalog(RESOURCES)
    documents = Documents(catalog)
    catalog.add(WIDGETS)
    first = documents.openapi_v3("apis/example.com/v1", "")
    catalog.add(replace(WIDGETS, subresources=()))
    second = documents.openapi_v3("apis/example.com/v1", "")
    assert first is not None and second is not None and first.etag != second.etag


def test_version_2_says_less_about_custom_kinds() -> None:
    assert downgraded(SCHEMA)["properties"]["spec"]["properties"] == {
        "size": {"type": "integer"},
        "port": {"x-kubernetes-int-or-string": True},
        "note": {},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }


def test_listing_the_documents_builds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openapi.documents.service.Definitions", lambda custom: pytest.fail("definitions were read"))
    assert Documents(Catalog(RESOURCES)).openapi_v3_index().body


def test_the_package_of_the_definitions_is_never_imported() -> None:
    code = (
        "import sys; from openapi.catalog import Catalog; from openapi.kinds import RESOURCES;"
        "from openapi.documents import Documents; Documents(Catalog(RESOURCES)).openapi_v3('apis/apps/v1', '');"
        "print('kubernetes_validate' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
