"""JSON patches, and where the API server is laxer than the RFC."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from openapi.schema import jsonpatch
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, TooManyOperations, json_patch, strict_errors


@pytest.mark.parametrize(
    ("operations", "wanted"),
    [
        ([{"op": "add", "path": "/d/b", "value": 2}], {"d": {"a": 1, "b": 2}, "l": [1, 2, 3]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"d": {"a": 1}, "l": [0, 1, 2, 3]}),
        ([{"op": "add", "path": "/l/-", "value": 4}], {"d": {"a": 1}, "l": [1, 2, 3, 4]}),
        ([{"op": "add", "path": "/l/-1", "value": 4}], {"d": {"a": 1}, "l": [1, 2, 3, 4]}),
        ([{"op": "add", "path": "/l/3", "value": 4}], {"d": {"a": 1}, "l": [1, 2, 3, 4]}),
        ([{"op": "remove", "path": "/l/1"}], {"d": {"a": 1}, "l": [1, 3]}),
        ([{"op": "remove", "path": "/l/-1"}], {"d": {"a": 1}, "l": [1, 2]}),
        ([{"op": "remove", "path": "/d"}], {"l": [1, 2, 3]}),
        ([{"op": "replace", "path": "/d/new", "value": 1}], {"d": {"a": 1, "new": 1}, "l": [1, 2, 3]}),
        ([{"op": "replace", "path": "/l/0", "value": 9}], {"d": {"a": 1}, "l": [9, 2, 3]}),
        ([{"op": "replace", "path": "", "value": {"x": 1}}], {"x": 1}),
        ([{"op": "move", "from": "/d/a", "path": "/l/0"}], {"d": {}, "l": [1, 1, 2, 3]}),
        ([{"op": "copy", "from": "/d", "path": "/e"}], {"d": {"a": 1}, "l": [1, 2, 3], "e": {"a": 1}}),
        ([{"op": "copy", "from": "/d/none", "path": "/e"}], {"d": {"a": 1}, "l": [1, 2, 3], "e": None}),
        ([{"op": "test", "path": "/d/a", "value": 1}], {"d": {"a": 1}, "l": [1, 2, 3]}),
        ([{"op": "test", "path": "/d/none", "value": None}], {"d": {"a": 1}, "l": [1, 2, 3]}),
        ([{"op": "test", "path": "/d/none"}], {"d": {"a": 1}, "l": [1, 2, 3]}),
        ([{"op": "add", "path": "d/k", "value": 5}], {"d": {"a": 1}, "l": [1, 2, 3], "k": 5}),
        ([{"op": "add", "path": "/x~1y~0", "value": 5}], {"d": {"a": 1}, "l": [1, 2, 3], "x/y~": 5}),
        ([], {"d": {"a": 1}, "l": [1, 2, 3]}),
    ],
)
def test_operations(operations: Any, wanted: Any) -> None:
    document = {"d": {"a": 1}, "l": [1, 2, 3]}
    before = copy.deepcopy((document, operations))
    assert json_patch(document, operations) == wanted
    assert (document, operations) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/d/none"},
        {"op": "remove", "path": "/l/3"},
        {"op": "remove", "path": "/l/x"},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "/no/such", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/-5", "value": 1},
        {"op": "add", "path": "/d/a/b", "value": 1},
        {"op": "add", "value": 1},
        {"op": "replace", "path": "/l/3", "value": 1},
        {"op": "replace", "path": "", "value": 1},
        {"op": "test", "path": "/d/a", "value": 2},
        {"op": "test", "path": "/d/a", "value": True},
        {"op": "test", "path": "/l/9", "value": None},
        {"op": "move", "from": "/d/none", "path": "/x"},
        {"op": "copy", "path": "/x"},
        {"op": "frobnicate", "path": "/x"},
        {"path": "/x"},
    ],
    ids=str,
)
def test_what_cannot_be_done_fails(operation: Any) -> None:
    with pytest.raises(JsonPatchError):
        json_patch({"d": {"a": 1}, "l": [1, 2, 3]}, [operation])


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ({"op": "remove", "path": "/l/x"},
         "error in remove for path: '/l/x': value was not a proper array index: 'x': "
         'strconv.Atoi: parsing "x": invalid syntax'),
        ({"op": "add", "path": "/l/5", "value": 1},
         "error in add for path: '/l/5': Unable to access invalid index: 5: invalid index referenced"),
        ({"op": "replace", "path": "/l/3", "value": 1},
         "replace operation does not apply: doc is missing key: /l/3: missing value"),
        ({"op": "move", "from": "/d/none", "path": "/x"},
         "error in move for path: 'none': Unable to remove nonexistent key: none: missing value"),
        ({"op": "copy", "from": "/no/such", "path": "/x"},
         "copy operation does not apply: doc is missing from path: /no/such: missing value"),
        ({"op": "test", "path": "/d/a", "value": 2}, "testing value /d/a failed: test failed"),
    ],
)  # fmt: skip
def test_failures_are_told_in_the_words_of_the_library(operation: Any, text: str) -> None:
    with pytest.raises(JsonPatchError) as caught:
        json_patch({"d": {"a": 1}, "l": [1, 2, 3]}, [operation])
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        ("x", "json: cannot unmarshal string into Go value of type jsonpatch.Patch"),
        ([1], "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
    ],
)
def test_what_is_no_patch_is_invalid(document: Any, text: str) -> None:
    with pytest.raises(InvalidPatch, match=text):
        json_patch({}, document)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "object into Go value of type []handlers.jsonPatchOp"),
        ("x", "string into Go value of type []handlers.jsonPatchOp"),
        ([1], "number into Go value of type handlers.jsonPatchOp"),
        ([{"op": 5}], "number into Go struct field jsonPatchOp.op of type string"),
        ([{"op": "add", "path": []}], "array into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_a_strict_reader_refuses_other_documents(document: Any, text: str) -> None:
    with pytest.raises(InvalidPatch) as caught:
        strict_errors(document)
    assert str(caught.value) == f"json: cannot unmarshal {text}"


def test_a_strict_reader_tells_fields_that_operations_do_not_have() -> None:
    operations = [None, {"op": "add", "path": "/a", "value": {"x": 1}, "y": 2}]
    assert strict_errors(operations) == ['unknown field "[1].y"']
    assert strict_errors(None) == []


def test_the_number_of_operations_is_limited() -> None:
    operation = {"op": "add", "path": "/a", "value": 1}
    assert json_patch({}, [operation] * 10_000) == {"a": 1}
    with pytest.raises(TooManyOperations, match="a JSON patch is 10000, got 10001"):
        json_patch({}, [operation] * 10_001)


def test_what_copies_add_up_to_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonpatch, "MAX_COPIED_BYTES", 20)
    operations = [{"op": "copy", "from": "/a", "path": f"/{n}"} for n in range(3)]
    assert json_patch({"a": "12345678"}, operations[:2])
    with pytest.raises(JsonPatchError):
        json_patch({"a": "12345678"}, operations)


def test_later_operations_write_neither_to_the_patch_nor_to_the_source_of_a_copy() -> None:
    operations = [
        {"op": "add", "path": "/a", "value": {"x": {}}},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/x/y", "value": 1},
        {"op": "move", "from": "/b/x", "path": "/c"},
        {"op": "add", "path": "/c/z", "value": 2},
    ]
    assert json_patch({}, operations) == {"a": {"x": {}}, "b": {}, "c": {"y": 1, "z": 2}}
    assert operations[0]["value"] == {"x": {}}
