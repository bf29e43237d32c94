from __future__ import annotations

from typing import Any

import orjson
import pytest

from apiserver.storage.entry import EntryReader, UndecodableValue, encode
from openapi.schema.protobuf import encode_protobuf

KEY = "/registry/pods/default/a"
POD: dict[str, Any] = {
    "spec": {"nodeName": "n1"},
    "metadata": {"name": "a", "namespace": "default", "resourceVersion": "5", "labels": {"app": "x"}},
    "apiVersion": "v1",
    "kind": "Pod",
}
STORED = (
    b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"default","labels":{"app":"x"}},'
    b'"spec":{"nodeName":"n1"}}'
)


def reader() -> EntryReader:
    return EntryReader("/registry/pods/", lambda obj: {"spec.nodeName": obj["spec"].get("nodeName", "")})


def test_the_stored_form_begins_with_kind_version_metadata_and_has_no_resource_version() -> None:
    assert encode(POD) == STORED


def test_encoding_leaves_the_object_alone() -> None:
    before = orjson.dumps(POD)
    encode(POD)
    assert orjson.dumps(POD) == before


def test_an_entry_shows_its_revision_without_being_parsed() -> None:
    entry = reader().read(KEY, STORED, 7, 3)
    assert (entry.key, entry.namespace, entry.name) == (KEY, "default", "a")
    assert (entry.revision, entry.create_revision) == (7, 3)
    assert entry.tail.startswith(b'"metadata":{"resourceVersion":"7","name":"a"')
    assert entry.layout.head == b'{"kind":"Pod","apiVersion":"v1",'
    assert entry.object() == {**POD, "metadata": {**POD["metadata"], "resourceVersion": "7"}}
    assert orjson.loads(entry.document()) == entry.object()
    assert orjson.loads(b"{" + entry.tail)["spec"] == POD["spec"]


def test_each_object_is_a_copy_of_its_own() -> None:
    entry = reader().read(KEY, STORED, 7, 3)
    entry.object()["metadata"]["name"] = "b"
    assert entry.object()["metadata"]["name"] == "a"


def test_labels_and_fields_are_extracted() -> None:
    entry = reader().read(KEY, STORED, 7, 3)
    assert entry.labels == {"app": "x"}
    assert entry.fields == {"spec.nodeName": "n1", "metadata.name": "a", "metadata.namespace": "default"}


def test_an_entry_grown_from_a_seed_is_the_one_read_and_not_tied_to_the_object() -> None:
    obj = orjson.loads(STORED)
    used = reader()
    seed = used.plant(KEY, obj)
    obj["metadata"]["labels"]["app"] = "changed"
    grown, read = used.grow(KEY, seed, 7, 3), reader().read(KEY, STORED, 7, 3)
    assert (grown.document(), grown.labels, grown.fields) == (read.document(), read.labels, read.fields)


def test_an_entry_knows_what_it_holds() -> None:
    used = reader()
    entry = used.read(KEY, STORED, 7, 3)
    assert entry.holds(used.plant(KEY, orjson.loads(STORED)))
    for changed in (b'"y"', b'"xy"'):
        assert not entry.holds(used.plant(KEY, orjson.loads(STORED.replace(b'"x"', changed))))
    empty = b'{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{}}'
    assert used.read(KEY, empty, 7, 3).holds(used.plant(KEY, orjson.loads(empty)))


def test_cluster_scoped_names_may_have_any_punctuation() -> None:
    value = b'{"kind":"ClusterRole","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"system:x"}}'
    entry = EntryReader("/registry/clusterroles/", lambda obj: {}).read("/registry/clusterroles/system:x", value, 7, 3)
    assert (entry.namespace, entry.name) == ("", "system:x")
    assert "metadata.namespace" not in entry.fields


@pytest.mark.parametrize(
    "value",
    [
        orjson.dumps(POD),
        STORED + b"\n",
        orjson.dumps(orjson.loads(STORED), option=orjson.OPT_INDENT_2),
        STORED.replace(b'{"name"', b'{"resourceVersion":"99","name"'),
        STORED.replace(b'"labels"', b'"resourceVersion":"","labels"'),
    ],
    ids=["other order", "newline", "indented", "revision first", "revision inside"],
)
def test_values_of_another_layout_become_the_same_entry(value: bytes) -> None:
    assert reader().read(KEY, value, 7, 3).document() == reader().read(KEY, STORED, 7, 3).document()
    used = reader()
    used.read(KEY, STORED, 6, 3)
    assert used.read(KEY, value, 7, 3).document() == reader().read(KEY, STORED, 7, 3).document()


def test_a_resource_version_elsewhere_in_the_object_is_kept() -> None:
    obj = {**POD, "involvedObject": {"resourceVersion": "12"}}
    entry = reader().read(KEY, encode(obj), 7, 3)
    assert entry.object()["involvedObject"] == {"resourceVersion": "12"}
    assert entry.object()["metadata"]["resourceVersion"] == "7"


def test_versions_under_one_prefix_keep_their_own_head() -> None:
    both = reader()
    old = STORED.replace(b'"v1"', b'"v0"')
    heads = [both.read(KEY, value, 7, 3).layout.api_version for value in (STORED, old, STORED, old)]
    assert heads == ["v1", "v0", "v1", "v0"]


def test_empty_metadata_is_spliced_too() -> None:
    entry = reader().read(KEY, b'{"kind":"Pod","apiVersion":"v1","metadata":{}}', 7, 3)
    assert entry.object()["metadata"] == {"resourceVersion": "7"}
    assert entry.stored() == b'{"kind":"Pod","apiVersion":"v1","metadata":{}}'


@pytest.mark.parametrize("revision", [9, 10, 123_456_789])
def test_a_deletion_shows_the_last_state_under_its_own_revision(revision: int) -> None:
    entry = reader().read(KEY, STORED, 9, 3)
    gone = entry.at(revision)
    assert gone.object() == {**entry.object(), "metadata": {**POD["metadata"], "resourceVersion": str(revision)}}
    assert gone.stored() == STORED


def test_values_that_a_kube_apiserver_stored_as_protobuf_are_read() -> None:
    meta = {"name": "a", "namespace": "default", "uid": "u", "creationTimestamp": "2024-01-01T00:00:00Z"}
    stored: dict[str, Any] = {"metadata": meta, "spec": {"containers": [{"name": "c", "resources": {}}]}, "status": {}}
    stored = {"kind": "Pod", "apiVersion": "v1", **stored}
    entry = reader().read(KEY, encode_protobuf(stored), 7, 3)
    assert entry.object() == {**stored, "metadata": {"resourceVersion": "7", **meta}}
    assert orjson.loads(entry.stored()) == stored


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"k8s\x00\n\x09\x0a\x02v1\x12\x03Pod\x12\x02\x0a\x05", "no sound protobuf: unexpected EOF"),
        (b"k8s\x00\n\x09\x0a\x02v1\x12\x03Odd", "an unknown kind"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"metadata":{}}', "no kind"),
        (b'{"kind":"Pod","apiVersion":"v1"}', "no metadata"),
    ],
)
def test_what_is_no_object_is_refused_with_its_key(value: bytes, problem: str) -> None:
    with pytest.raises(UndecodableValue, match=f"{KEY}.*{problem}"):
        reader().read(KEY, value, 7, 3)
