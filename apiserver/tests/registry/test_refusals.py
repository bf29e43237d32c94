"""What odd requests are answered: code and words, in tables."""

from __future__ import annotations

import asyncio
import json

import pytest

from apiserver.tests.conftest import Client

MAPS = "/api/v1/namespaces/ns/configmaps"
SCALES = "/apis/apps/v1/namespaces/ns/deployments"
UNAVAILABLE = "406: Not Acceptable\n\nAvailable representations: "
TOKEN = "invalid continue token: continue key is not valid"
TIMEOUT = "invalid timeout specified in the request URL - time: "
NUMBER = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number '


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        (f"{MAPS}?fieldSelector=metadata.name=a%5Cx", 400, "invalid field selector: invalid escape sequence: \\x"),
        (f"{MAPS}?fieldSelector=metadata.name=a=b", 400, "invalid field selector: unescaped character in value: 61"),
        ("/api/v1/watch/namespaces/ns/configmaps/a?fieldSelector=metadata.name=b", 400,
         "fieldSelector metadata.name doesn't match requested name"),
        (f"{MAPS}?continue=eyJ2IjoieCJ9", 400, TOKEN + ": server does not recognize this encoded version x"),
        (f"{MAPS}?continue=NQ", 400,
         TOKEN + ": json: cannot unmarshal number into Go value of type storage.continueToken"),
        (f"{MAPS}?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", 400,
         TOKEN + ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        (f"{MAPS}?timeout=x", 400, TIMEOUT + 'invalid duration "x"'),
        (f"{MAPS}?timeout=1", 400, TIMEOUT + 'missing unit in duration "1"'),
        (f"{MAPS}?timeout=1h1x", 400, TIMEOUT + 'unknown unit "x" in duration "1h1x"'),
    ],
)  # fmt: skip
async def test_queries(client: Client, path: str, code: int, text: str) -> None:
    answer = await client.ask("GET", path)
    assert (answer.code, answer.json["message"]) == (code, text)


@pytest.mark.parametrize(
    ("path", "meta", "code", "text"),
    [
        (f"{MAPS}/a", {"name": "b", "namespace": "other"}, 400, "the namespace of the provided object does not match"),
        (f"{MAPS}/a", {"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (f"{MAPS}/a", {"name": "a"}, 404, 'configmaps "a" not found'),
        (f"{MAPS}/a", {"name": "a", "uid": "u"}, 404, 'configmaps "a" not found'),
        ("/apis/coordination.k8s.io/v1/namespaces/ns/leases/a", {"name": "a", "uid": "u"}, 409,
         'Operation cannot be fulfilled on leases.coordination.k8s.io "a": StorageError: invalid object, Code: 4'),
        (f"{SCALES}/a/scale", {"name": "b", "namespace": "o"}, 400, "the namespace of the provided object does not"),
        (f"{SCALES}/a/scale", {"name": "a"}, 404, 'deployments.apps "a" not found'),
        ("/api/v1/nodes/a", {"name": "a", "namespace": "other"}, 404, 'nodes "a" not found'),
    ],
)  # fmt: skip
async def test_updates_of_what_is_not_there(
    client: Client, path: str, meta: dict[str, str], code: int, text: str
) -> None:
    answer = await client.ask("PUT", path, {"metadata": meta, "spec": {"replicas": -1} if "scale" in path else {}})
    assert (answer.code, answer.json["message"][: len(text)]) == (code, text)


@pytest.mark.parametrize(
    ("method", "path", "accept", "code", "text"),
    [
        ("GET", "/version", "text/html", 406, UNAVAILABLE + "application/json"),
        ("GET", "/openid/v1/jwks", "application/json", 406, UNAVAILABLE + "application/jwk-set+json"),
        ("GET", "/api/v1", "application/*", 406,
         UNAVAILABLE + "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("GET", "/apis", "text/html", 406,
         "only the following media types are accepted: "
         "application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("GET", "/api/v1", "application/yaml", 200, ""),
        ("GET", "/apis/apps", "application/*", 200, ""),
        ("POST", "/apis/apps", "*/*", 200, ""),
        ("HEAD", "/api/v1", "*/*", 405, ""),
        ("POST", "/version", "*/*", 405, ""),
        ("GET", "/index.html", "*/*", 200, ""),
        ("GET", "/metrics/nosuch", "*/*", 404, ""),
        ("GET", "/readyz/", "*/*", 404, ""),
        ("GET", "/apis/nosuch.example.com", "text/html", 404, ""),
        ("GET", "/api/v1/watch", "*/*", 500, ""),
        ("GET", "/api/v1/namespaces/ns/namespaces", "*/*", 404, ""),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews/x", "*/*", 404, ""),
        ("POST", "/api/v1/namespaces/ns/bindings/x", "*/*", 404, ""),
        ("POST", "/api/v1/bindings", "*/*", 404, ""),
        ("DELETE", "/api/v1/watch/namespaces/ns/configmaps", "*/*", 405, ""),
        ("GET", "/api/v1/watch/namespaces/ns/pods/a/status", "*/*", 404, ""),
        ("PUT", MAPS, "text/html", 405, "the server does not allow this method on the requested resource"),
        ("PATCH", f"{MAPS}/a", "text/html", 415, '"415: Unsupported Media Type"'),
        ("POST", MAPS, "text/html", 415, "415: Unsupported Media Type\n\nAvailable representations: application/"),
        ("DELETE", MAPS, "text/html", 406, UNAVAILABLE + "application/json, "),
        ("GET", "/api/v1/componentstatuses?fieldSelector=x=y", "*/*", 400, "is not a known field selector"),
        ("GET", "/api/v1/componentstatuses?watch=1", "*/*", 405,
         'watch is not supported on resources of kind \\"componentstatuses\\"'),
    ],
)  # fmt: skip
async def test_paths(client: Client, method: str, path: str, accept: str, code: int, text: str) -> None:
    answer = await client.ask(method, path, accept=accept)
    assert answer.code == code
    assert text.encode() in answer.body.replace(b"\\n", b"\n")


async def test_discovery_speaks_yaml(client: Client) -> None:
    answer = await client.ask("GET", "/apis/apps", accept="application/yaml")
    assert answer.header("content-type") == "application/yaml"
    assert answer.body.startswith(b"apiVersion: v1\nkind: APIGroup\nname: apps\n")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"metadata":{"name":"a","generation":1e3}}',
         NUMBER + "1e3 into Go struct field ObjectMeta.metadata.generation of type int64"),
        (b'{"metadata":{"name":"a","generation":99999999999999999999}}',
         NUMBER + "99999999999999999999 into Go struct field ObjectMeta.metadata.generation of type int64"),
        (b'{"kind":"ConfigMapList","apiVersion":"v1"}',
         'ConfigMapList in version "v1" cannot be handled as a ConfigMap: '
         "converting (v1.ConfigMapList) to (core.ConfigMap): unknown conversion"),
        (b'{"kind":"Status","apiVersion":"v1"}', 'Status in version "v1" cannot be handled as a ConfigMap: '
         "converting (v1.Status) to (core.ConfigMap): unknown conversion"),
        (b'{"kind":"Scale","apiVersion":"autoscaling/v1"}', 'Scale in version "v1" cannot be handled as a ConfigMap: '
         "converting (v1.Scale) to (core.ConfigMap): unknown conversion"),
    ],
)  # fmt: skip
async def test_bodies(client: Client, body: bytes, text: str) -> None:
    answer = await client.ask("POST", MAPS, body)
    assert (answer.code, answer.json["message"]) == (400, text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "couldn't get version/kind; json parse error: unexpected end of JSON input"),
        (b'{"dryRun":"All"}', "json: cannot unmarshal string into Go struct field DeleteOptions.dryRun "
         "of type []string"),
    ],
)
async def test_options_of_a_deletion_are_refused_without_a_reason(client: Client, body: bytes, text: str) -> None:
    answer = await client.ask("DELETE", f"{MAPS}/a", body)
    assert (answer.code, answer.json["message"], answer.json.get("reason")) == (500, text, None)


PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC = (
    f"application/{name}+json" for name in ("json-patch", "merge-patch", "strategic-merge-patch")
)
NO_MAP = "json: cannot unmarshal array into Go value of type map[string]interface {}"


@pytest.mark.parametrize(
    ("media", "query", "body", "code", "text"),
    [
        (PATCH_JSON, "", b"{}", 400,
         "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (PATCH_JSON, "fieldValidation=Ignore", b"{}", 400,
         "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (PATCH_JSON, "fieldValidation=Ignore", b"[", 400, "unexpected end of JSON input"),
        (PATCH_MERGE, "", b"null", 400, "Invalid JSON Patch"),
        (PATCH_MERGE, "", b"[]", 400, "error decoding patch: " + NO_MAP),
        (PATCH_MERGE, "fieldValidation=Ignore", b"{", 400, "Invalid JSON Patch"),
        (PATCH_MERGE, "fieldValidation=Ignore", b"5", 400, "Invalid JSON Patch"),
        (PATCH_STRATEGIC, "fieldValidation=Ignore", b"[]", 400, NO_MAP),
        (PATCH_STRATEGIC, "", b'{"data":{"k":5}}', 422,
         ' "" is invalid: patch: Invalid value: "map[data:map[k:5]]": cannot convert int64 to string'),
        ("text/plain", "", b"{}", 415, "415: Unsupported Media Type"),
        ("application/Merge-patch+json", "", b"{}", 415, "415: Unsupported Media Type"),
        ("application/json, application/merge-patch+json", "", b"{}", 415,
         "the body of the request was in an unknown format - accepted media types include: "
         f"{PATCH_JSON}, {PATCH_MERGE}, {PATCH_STRATEGIC}, application/apply-patch+yaml"),
        (PATCH_MERGE + ";charset=utf-8", "", b"{}", 200, None),
    ],
)  # fmt: skip
async def test_patches(client: Client, media: str, query: str, body: bytes, code: int, text: str | None) -> None:
    await client.create(MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    answer = await client.ask("PATCH", f"{MAPS}/a?{query}", body, content_type=media)
    assert (answer.code, answer.json.get("message")) == (code, text)
    if code == 415:
        assert answer.json.get("details") == ({} if text == "415: Unsupported Media Type" else None)


@pytest.mark.parametrize("media", [PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC])
async def test_a_patch_of_nothing_is_not_looked_at(client: Client, media: str) -> None:
    answer = await client.ask("PATCH", f"{MAPS}/a", b"{", content_type=media)
    assert (answer.code, answer.json["message"]) == (404, 'configmaps "a" not found')


async def test_unknown_fields_of_json_patch_operations_are_warned_of(client: Client) -> None:
    await client.create(MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    body = b'[{"op":"add","op":"add","path":"/data/l","value":"w","x":1}]'
    answer = await client.ask("PATCH", f"{MAPS}/a", body, content_type=PATCH_JSON)
    assert answer.code == 200
    assert answer.headers["warning"] == [
        '299 - "json patch duplicate field \\"[0].op\\""',
        '299 - "json patch unknown field \\"[0].x\\""',
    ]


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"metadata":{"name":"a","resourceVersion":"5"}}', 201, None),
        (b'{"metadata":{"name":"a","resourceVersion":"x"}}', 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
        (b'{"metadata":{"name":"a"},"binaryData":{"k":"!!"}}', 500,
         "failed to convert new object (/a; /v1, Kind=ConfigMap) to proper version: unable to convert unstructured "
         "object to /v1, Kind=ConfigMap: error decoding from json: illegal base64 data at input byte 0"),
    ],
)  # fmt: skip
async def test_applying_what_is_not_there(client: Client, body: bytes, code: int, text: str | None) -> None:
    body = b'{"apiVersion":"v1","kind":"ConfigMap",' + body[1:]
    path = f"{MAPS}/a?fieldManager=m"
    answer = await client.ask("PATCH", path, body, content_type="application/apply-patch+yaml")
    assert (answer.code, answer.json.get("message")) == (code, text)


TWICE = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: v\n  k: w\nx: 1\nx: 2\n"
LISTED = 'yaml: unmarshal errors:\n  line 6: key "k" already set in map\n  line 8: key "x" already set in map'
WARNED = ['299 - "line 6: key \\"k\\" already set in map"', '299 - "line 8: key \\"x\\" already set in map"']


async def test_duplicate_keys_of_yaml_are_warned_of_one_by_one(client: Client) -> None:
    answer = await client.ask("POST", MAPS, TWICE, content_type="application/yaml")
    assert answer.code == 201
    assert answer.headers["warning"] == [*WARNED, '299 - "unknown field \\"x\\""']
    strict = f"{MAPS}?fieldValidation=Strict"
    answer = await client.ask("POST", strict, TWICE, content_type="application/yaml")
    assert answer.json["message"].endswith(f'strict decoding error: {LISTED}, unknown field "x"')


async def test_apply_judges_the_merged_object_and_then_its_duplicates(client: Client) -> None:
    async def apply(body: bytes, query: str = "", name: str = "a") -> tuple[int, str]:
        path = f"{MAPS}/{name}?fieldManager=m{query}"
        answer = await client.ask("PATCH", path, body, content_type="application/apply-patch+yaml")
        warned.extend(answer.headers.get("warning", []))
        return answer.code, answer.json.get("message", "")

    warned: list[str] = []
    known = TWICE[: TWICE.index(b"x: 1")]
    assert (await apply(known))[0] == 201 and warned == WARNED[:1]
    listed = LISTED.rpartition("\n")[0]
    text = f"error strict decoding YAML: error converting YAML to JSON: {listed}"
    assert await apply(known, "&fieldValidation=Strict") == (400, text)
    nameless = b'{"apiVersion": "v1", "kind": "ConfigMap"}'
    assert (await apply(nameless))[0] == 200
    assert (await apply(nameless, name="b"))[0] == 400
    code, text = await apply(b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","uid":"u"}}', name="b")
    assert code == 409 and text.endswith(
        "uid mismatch: the provided object specified uid u, and no existing object was found"
    )


WIDS = "/apis/example.com/v1/wids"


async def define_wids(client: Client) -> None:
    """A cluster-scoped kind Wid whose spec has one field, `s`, and that has a status."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"s": {"type": "string"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
               "subresources": {"status": {}}}  # fmt: skip
    names = {"plural": "wids", "singular": "wid", "kind": "Wid", "listKind": "WidList"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await client.create(definitions, {"metadata": {"name": "wids.example.com"}, "spec": spec})
    for _ in range(100):
        if (await client.ask("GET", WIDS)).code == 200:
            break
        await asyncio.sleep(0.02)


async def test_duplicates_in_a_custom_object_go_before_unknown_fields(client: Client) -> None:
    await define_wids(client)
    body = b'{"apiVersion":"example.com/v1","kind":"Wid","metadata":{"name":"w","x":1},"spec":{"z":1,"s":"a","s":"b"}}'
    answer = await client.ask("POST", f"{WIDS}?fieldValidation=Strict", body)
    assert answer.json["message"].endswith(
        'strict decoding error: duplicate field "spec.s", unknown field "metadata.x", unknown field "spec.z"'
    )


async def test_requests_for_custom_objects(client: Client) -> None:
    """They have no routes: their handler looks at methods, media types and kinds by itself."""
    await define_wids(client)
    await client.create(WIDS, {"apiVersion": "example.com/v1", "kind": "Wid", "metadata": {"name": "a"}})
    unsupported = 'is not supported on resources of kind "wids.example.com"'
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    other = b'{"apiVersion":"example.com/v1","kind":"Other","metadata":{"name":"a"}}'
    mistaken = 'Other.example.com "a" is invalid: kind: Invalid value: "Other": must be Wid'
    for method, path, body, headers, code, text in (
        ("HEAD", f"{WIDS}/a", None, {}, 200, ""),
        ("GET", f"{WIDS}/a", None, {"accept": "application/*"}, 200, ""),
        ("GET", WIDS, None, {"accept": "text/html"}, 406, f"only the following media types are accepted: {accepted}"),
        ("POST", f"{WIDS}/a/status", b"{}", {}, 405, f"create {unsupported}"),
        ("POST", WIDS, b"{}", {"content_type": "application/vnd.kubernetes.protobuf"}, 400,
         "provided data does not appear to be a protobuf message"),
        ("POST", WIDS, other, {}, 422, mistaken),
        ("PATCH", f"{WIDS}/a", b'{"kind":"Other"}', {"content_type": PATCH_MERGE}, 422, mistaken),
        ("PATCH", f"{WIDS}/a", b'{"kind":null}', {"content_type": PATCH_MERGE}, 422, "Object 'Kind' is missing in"),
        ("PATCH", f"{WIDS}/a", b"{}", {"content_type": "text/plain"}, 415,
         f"accepted media types include: {PATCH_JSON}, {PATCH_MERGE}, application/apply-patch+yaml"),
    ):  # fmt: skip
        answer = await client.ask(method, path, body, **headers)
        assert (answer.code, text in (answer.json["message"] if text else "")) == (code, True), (method, path, body)


async def test_a_refused_patch_is_shown_as_go_writes_it(client: Client) -> None:
    path = "/apis/apps/v1/namespaces/ns/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"image": "i", "name": "c"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "replicas": 1}
    await client.create(path, {"metadata": {"name": "d"}, "spec": spec})
    answer = await client.patch(f"{path}/d", {"spec": {"paused": "<"}})
    shown = json.loads('"' + answer.json["message"].split('Invalid value: "')[1].rpartition('": json: ')[0] + '"')
    assert shown.startswith('{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"ns",')
    assert '"spec":{"paused":"\\u003c","progressDeadlineSeconds":600,"replicas":1,' in shown
    assert '"containers":[{"name":"c","image":"i","resources":{}' in shown


@pytest.mark.parametrize(
    ("path", "body", "code", "text"),
    [
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
         {"metadata": {"namespace": "x", "uid": "u"}, "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}},
         201, None),
        ("/apis/authorization.k8s.io/v1/namespaces/ns/localsubjectaccessreviews", {"metadata": {"namespace": "x"}},
         400, "the namespace of the provided object does not match the namespace sent on the request"),
        ("/api/v1/namespaces/ns/serviceaccounts/default/token", {"metadata": {"namespace": "x"}},
         400, "the namespace of the provided object does not match the namespace sent on the request"),
    ],
)  # fmt: skip
async def test_what_is_not_stored_has_the_namespace_of_its_path(
    client: Client, path: str, body: object, code: int, text: str | None
) -> None:
    answer = await client.ask("POST", path, body)
    assert (answer.code, answer.json.get("message")) == (code, text)
    assert code != 201 or answer.json["metadata"].keys() == {"managedFields"}
