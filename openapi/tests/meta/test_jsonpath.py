"""JSON paths of columns and fields."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.meta.jsonpath import JsonPathError, compile_path, find

OBJECT = {
    "a": {"b.c": 1, "list": [{"k": "x", "v": 1}, {"k": "y", "v": 2}]},
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.list[0].k", ["x"]),
        (".a.list[*].v", [1, 2]),
        (".a.list[-1].k", ["y"]),
        (".a.list[0:1].k", ["x"]),
        (r".a.b\.c", [1]),
        (".a['b.c']", [1]),
        ('.conditions[?(@.type=="Ready")].status', ["True"]),
        (".a.list[?(@.v>1)].k", ["y"]),
        ("..k", ["x", "y"]),
        (".nothing.here", []),
    ],
)
def test_paths_lead_to_values(path: str, found: list[Any]) -> None:
    assert find(OBJECT, compile_path(path)) == found


@pytest.mark.parametrize("path", [".a[", ".a[x]", "a b", ".a[?(x)]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(JsonPathError):
        compile_path(path)
