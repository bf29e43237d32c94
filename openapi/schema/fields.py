"""Field sets: which fields of an object someone owns, kept in the form of FieldsV1 that managedFields carry.

A set is a nested dict. Its keys are path elements: `f:name` a field, `k:{"name":"c"}` an item of a map list,
`v:"x"` an item of a set, `i:0` an index. A child that is empty, or holds the key `.`, is itself a member; a child
that only has other children is just on the way to them. The empty set is `{}`; no branch without a member is kept.
Sets are values: nothing here changes its arguments, and results may share parts with them.
Follows: sigs.k8s.io/structured-merge-diff fieldpath/{set,element,serialize,serialize-pe}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson

from openapi.meta.field import quote

FieldSet = dict[str, Any]

# The one child that means "member, and nothing below". Shared, so it must never be written to.
LEAF: FieldSet = {}


class FieldSetError(ValueError):
    """FieldsV1 that cannot be read."""


def is_member(child: FieldSet) -> bool:
    """Whether the element that `child` hangs below is itself in the set."""
    return not child or "." in child


# Set algebra


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    if not a or a is b:
        return b
    if not b:
        return a
    out = dict(a)
    for key, right in b.items():
        left = out.get(key)
        out[key] = right if left is None else _union_child(left, right)
    return out


def _union_child(a: FieldSet, b: FieldSet) -> FieldSet:
    if a is b:
        return a
    if not a:
        return b if is_member(b) else {".": LEAF, **b}
    if not b:
        return a if is_member(a) else {".": LEAF, **a}
    return union(a, b)


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """The members of both."""
    out: FieldSet = {}
    for key, left in a.items():
        right = b.get(key)
        if right is not None and key != ".":
            child = _intersect_child(left, right)
            if child is not None:
                out[key] = child
    return out


def _intersect_child(a: FieldSet, b: FieldSet) -> FieldSet | None:
    member = is_member(a) and is_member(b)
    if not a or not b:
        return LEAF if member else None
    return _child(member, intersection(a, b))


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """The members of `a` that are no members of `b`; what is below a member of `b` stays."""
    if not b:
        return a
    out: FieldSet = {}
    for key, left in a.items():
        right = b.get(key)
        if right is None:
            out[key] = left
        elif key != ".":
            child = _subtract_child(left, right)
            if child is not None:
                out[key] = child
    return out


def _subtract_child(a: FieldSet, b: FieldSet) -> FieldSet | None:
    member = is_member(a) and not is_member(b)
    if not a:
        return LEAF if member else None
    if not b:
        rest = {key: child for key, child in a.items() if key != "."}
        return _child(member, rest)
    rest = difference(a, b)
    rest.pop(".", None)
    return _child(member, rest)


def _child(member: bool, below: FieldSet) -> FieldSet | None:
    if not below:
        return LEAF if member else None
    return {".": LEAF, **below} if member else below


def recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """`a` without the members of `b` and everything below them."""
    if not b:
        return a
    out: FieldSet = {}
    for key, left in a.items():
        right = b.get(key)
        if right is None:
            out[key] = left
        elif key != "." and right and "." not in right:
            if left:
                below = recursive_difference(left, right)
                if below and (len(below) > 1 or "." not in below):
                    out[key] = below
                elif below:
                    out[key] = LEAF
            else:
                out[key] = left
    return out


def from_paths(paths: Sequence[Sequence[str]]) -> FieldSet:
    """The set whose members are these paths of field names."""
    out: FieldSet = {}
    for path in paths:
        one: FieldSet = LEAF
        for name in reversed(path):
            one = {"f:" + name: one}
        out = union(out, one)
    return out


def has(fields: FieldSet, path: Sequence[str]) -> bool:
    """Whether the path, given as elements (`f:spec`), is a member."""
    child: FieldSet | None = fields
    for element in path:
        child = child.get(element) if child else None
        if child is None:
            return False
    return bool(path) and child is not None and is_member(child)


ANY_ELEMENT = "*"


def keep_only(fields: FieldSet, patterns: Sequence[Sequence[str]]) -> FieldSet:
    """The part of a set at or below one of `patterns`, paths of field names in which `*` stands for any element."""
    out: FieldSet = {}
    for key, child in fields.items():
        if key == ".":
            continue
        rests = [p[1:] for p in patterns if p[0] == ANY_ELEMENT or "f:" + p[0] == key]
        if not rests:
            continue
        if any(not rest for rest in rests):
            out[key] = child
            continue
        below = keep_only(child, rests)
        if below or is_member(child):
            out[key] = _child(is_member(child), below)
    return out


# Path elements


@lru_cache(maxsize=8192, typed=True)
def json_text(value: str | bool | int | float | None) -> str:
    """A scalar as Go writes it in JSON: compact, with `<`, `>`, `&` and the line separators escaped."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        value = int(value)
    text = orjson.dumps(value).decode()
    if isinstance(value, str):
        for char, escape in _HTML_ESCAPES:
            if char in text:
                text = text.replace(char, escape)
    return text


_HTML_ESCAPES = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
)


def key_element(keys: Sequence[tuple[str, Any]]) -> str:
    """`k:{...}` of a map list item; `keys` are its (name, value) pairs sorted by name."""
    return "k:{" + ",".join(f"{json_text(name)}:{_any_text(value)}" for name, value in keys) + "}"


def _any_text(value: Any) -> str:
    if isinstance(value, dict | list):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return json_text(value)


def element_text(element: str) -> str:
    """A path element as messages write it: `.name`, `[name="c"]`, `[="x"]`, `[0]`."""
    kind, content = element[0], element[2:]
    if kind == "f":
        return "." + content
    if kind == "i":
        return f"[{content}]"
    value = orjson.loads(content)
    if kind == "v":
        return f"[={_value_text(value)}]"
    return "[" + ",".join(f"{name}={_value_text(value[name])}" for name in sorted(value)) + "]"


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(_value_text(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ";".join(f"{k}={_value_text(v)}" for k, v in sorted(value.items())) + "}"
    return str(value)


_KIND_ORDER = {"f": 0, "k": 1, "v": 2, "i": 3}


def _element_order(element: str) -> tuple[int, Any]:
    kind, content = element[0], element[2:]
    if kind == "f":
        return 0, content
    if kind == "i":
        return 3, int(content)
    value = orjson.loads(content)
    if kind == "v":
        return 2, _scalar_order(value)
    return 1, [(name, _scalar_order(value[name])) for name in sorted(value)]


def _scalar_order(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 3, value
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 2, value
    return 4, str(value)


def texts(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as messages write them (`.spec.containers[name="c"].image`): per level first members, then below."""
    keys = sorted((key for key in fields if key != "."), key=_element_order)
    for key in keys:
        if is_member(fields[key]):
            yield prefix + element_text(key)
    for key in keys:
        if fields[key]:
            yield from texts(fields[key], prefix + element_text(key))


# Reading FieldsV1 that others wrote


def parse(value: Any) -> FieldSet:
    """The set that a `fieldsV1` value denotes, in canonical form. Raises FieldSetError.

    Elements of a kind that does not exist are skipped, as a later version may know them.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FieldSetError(f"expected an object, got {type(value).__name__}")
    return _parse_children(value)


def _parse_children(value: FieldSet) -> FieldSet:
    out: FieldSet = {}
    for key, below in value.items():
        if key == ".":
            continue
        element = _parse_element(key)
        if element is None:
            continue
        if not isinstance(below, dict):
            raise FieldSetError(f"value of {key} is not an object")
        children = _parse_children(below)
        child = _child(is_member(below), children)
        if child is not None:
            out[element] = child
    return out


def _parse_element(key: str) -> str | None:
    if len(key) < 2:
        raise FieldSetError("key must be 2 characters long:")
    if key[1] != ":":
        raise FieldSetError(f"missing colon: {key}")
    kind, content = key[0], key[2:]
    if kind == "f":
        return key
    if kind not in _KIND_ORDER:
        return None
    try:
        if kind == "i":
            return f"i:{int(content)}"
        value = orjson.loads(content)
    except ValueError as error:
        raise FieldSetError(str(error)) from error
    if kind == "v":
        return "v:" + _any_text(value)
    if not isinstance(value, dict):
        raise FieldSetError(f"key element is not an object: {key}")
    return key_element(sorted(value.items()))
