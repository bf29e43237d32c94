"""Field sets of values: what one object sets, and what changed between two.

`compare` walks both objects and skips whatever is equal, so a small change costs little. Ownership counts fields that
Go always writes as present in either object, at their zero value; that is why creating an object owns
`spec.containers[name="c"]` but not `spec` itself.
Follows: sigs.k8s.io/structured-merge-diff typed/{compare,tofieldset}.go
"""

from __future__ import annotations

from typing import Any

from openapi.schema.fields import LEAF, FieldSet, is_member
from openapi.schema.node import Node
from openapi.schema.shape import ABSENT, DEDUCED, ITEMS, LEAF_SHAPE, MAPPING, RECORD, Shape, shape_of

_Change = tuple[FieldSet | None, FieldSet | None]


def compare(node: Node, old: Any, new: Any) -> tuple[FieldSet, FieldSet]:
    """The fields that `new` adds or changes, and those that it lacks. Either object may be {} (nothing there yet)."""
    changed, removed = _compare_record(shape_of(node), old, new)
    return changed or {}, removed or {}


def _compare(shape: Shape, old: Any, new: Any) -> _Change:
    """What differs between two values that do differ; either may be null, none is absent."""
    kind = shape.kind
    if kind == LEAF_SHAPE:
        return LEAF, None
    if kind == DEDUCED:
        return _compare_deduced(shape, old, new)
    if not old and not new:
        return LEAF, None
    if kind == RECORD:
        return _compare_record(shape, old or {}, new or {})
    if kind == MAPPING:
        return _compare_mapping(shape.items, old or {}, new or {})
    return _compare_items(shape, old or [], new or [])


def _compare_record(shape: Shape, old: Any, new: Any) -> _Change:
    rows = shape.rows
    changed: FieldSet = {}
    removed: FieldSet = {}
    for name, after in new.items():
        before = old.get(name, ABSENT)
        if before is after or before == after:
            continue
        key, below, zero, _ = rows[name]
        if before is ABSENT:
            if zero is ABSENT:
                changed[key] = below.added(after)
                continue
            if zero == after:
                continue
            before = zero
        _note(key, _compare(below, before, after), changed, removed)
    for name, before in old.items():
        if name in new:
            continue
        key, below, zero, _ = rows[name]
        if zero is ABSENT:
            removed[key] = below.added(before)
        elif zero != before:
            _note(key, _compare(below, before, zero), changed, removed)
    return changed or None, removed or None


def _compare_mapping(below: Shape, old: Any, new: Any) -> _Change:
    changed: FieldSet = {}
    removed: FieldSet = {}
    for name, after in new.items():
        before = old.get(name, ABSENT)
        if before is after or before == after:
            continue
        if before is ABSENT:
            changed["f:" + name] = below.added(after)
        else:
            _note("f:" + name, _compare(below, before, after), changed, removed)
    for name, before in old.items():
        if name not in new:
            removed["f:" + name] = below.added(before)
    return changed or None, removed or None


def _compare_deduced(shape: Shape, old: Any, new: Any) -> _Change:
    old_map, new_map = isinstance(old, dict), isinstance(new, dict)
    if (not old and not new) or not (old_map or new_map):
        return LEAF, None
    if (old_map or old is None) and (new_map or new is None):
        return _compare_mapping(shape, old or {}, new or {})
    # From a map to something else, or back: the field itself changed, and the map's fields come or go.
    if new_map:
        return shape.added(new), None
    below = {key: child for key, child in shape.added(old).items() if key != "."}
    return LEAF, below or None


def _compare_items(shape: Shape, old: Any, new: Any) -> _Change:
    below, olds, news = shape.items, _index(shape, old), _index(shape, new)
    changed: FieldSet = {}
    removed: FieldSet = {}
    for key, after in news.items():
        before = olds.get(key, [])
        if before == after:
            continue
        if len(before) < 2 and len(after) < 2:
            if before:
                _note(key, _compare(below, before[0], after[0]), changed, removed)
            else:
                changed[key] = below.added(after[0])
        elif len(after) > 1:
            # Items of one key are owned together: what was owned below a single one goes.
            changed[key] = LEAF
            if len(before) == 1:
                removed[key] = below.added(before[0])
        else:
            changed[key] = below.added(after[0])
            removed[key] = LEAF
    for key, before in olds.items():
        if key not in news:
            removed[key] = LEAF if len(before) > 1 else below.added(before[0])
    return changed or None, removed or None


def _index(shape: Shape, items: Any) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for item in items:
        out.setdefault(shape.element(item), []).append(item)
    return out


def _note(key: str, change: _Change, changed: FieldSet, removed: FieldSet) -> None:
    if change[0] is not None:
        changed[key] = change[0]
    if change[1] is not None:
        removed[key] = change[1]


def field_set(node: Node, value: Any) -> FieldSet:
    """Every field that `value` sets, as an applier owns them. Structs and lists are no members, their content is."""
    return _set_of(shape_of(node), value)


def _set_of(shape: Shape, value: Any) -> FieldSet:
    """What is set below a value; the value itself is the caller's to add."""
    if not value or shape.kind == LEAF_SHAPE:
        return {}
    if shape.kind == ITEMS:
        return _set_of_items(shape, value)
    if not isinstance(value, dict):
        return {}
    out: FieldSet = {}
    for name, below in value.items():
        key, inner, _, named = shape.rows[name] if shape.kind == RECORD else ("f:" + name, shape.items, ABSENT, False)
        children = _set_of(inner, below)
        if not named or _is_leaf(inner, below):
            out[key] = {".": LEAF, **children} if children else LEAF
        elif children:
            out[key] = children
    return out


def _is_leaf(shape: Shape, value: Any) -> bool:
    if value is None or value == {} or shape.kind == LEAF_SHAPE:
        return True
    return shape.kind == DEDUCED and not isinstance(value, dict)


def _set_of_items(shape: Shape, items: Any) -> FieldSet:
    out: FieldSet = {}
    for item in items:
        key = shape.element(item)
        children = _set_of(shape.items, item) if key not in out else {}
        out[key] = {".": LEAF, **children} if children else LEAF
    return out


def with_named_fields(node: Node, fields: FieldSet) -> FieldSet:
    """The set with every struct field that leads to a member made a member too (map keys and list items are not)."""
    return _with_named(shape_of(node), fields)


def _with_named(shape: Shape, fields: FieldSet) -> FieldSet:
    out: FieldSet = {}
    for key, child in fields.items():
        if not child:
            out[key] = child
            continue
        named = False
        inner = shape
        if shape.kind == RECORD and key.startswith("f:"):
            _, inner, _, named = shape.rows[key[2:]]
        elif shape.kind in (MAPPING, ITEMS, DEDUCED):
            inner = shape.items
        below = _with_named(inner, child)
        out[key] = {".": LEAF, **below} if named and not is_member(below) else below
    return out


def refitted(node: Node, fields: FieldSet) -> FieldSet:
    """A set that was written under an earlier schema: what is owned below a field that is atomic now is that field."""
    return _refit(shape_of(node), fields)


def _refit(shape: Shape, fields: FieldSet) -> FieldSet:
    out: FieldSet = {}
    for key, child in fields.items():
        inner = shape.rows[key[2:]].shape if shape.kind == RECORD else shape.items
        if child:
            child = LEAF if inner.kind == LEAF_SHAPE else _refit(inner, child)
        out[key] = child
    return out
