"""Merging an applied configuration into an object, and removing fields from one, by schema.

Follows: sigs.k8s.io/structured-merge-diff typed/{merge,remove}.go
"""

from __future__ import annotations

from typing import Any

from openapi.schema.fields import FieldSet, is_member
from openapi.schema.node import Node
from openapi.schema.shape import ABSENT, DEDUCED, ITEMS, LEAF_SHAPE, RECORD, Shape, shape_of


def typed_merge(node: Node, live: Any, config: Any) -> Any:
    """`live` with everything that `config` sets. Leaves are replaced; records, maps and keyed lists are merged.

    Nothing is changed in place; the result shares parts with both.
    """
    return _merge(shape_of(node), live, config)


def _merge(shape: Shape, left: Any, right: Any) -> Any:
    if right is ABSENT:
        return left
    if left is ABSENT or shape.kind == LEAF_SHAPE:
        return right
    if shape.kind == ITEMS:
        return _merge_items(shape, left or [], right or []) if left or right else right
    if shape.kind == DEDUCED and not isinstance(left, dict):
        return right
    if not isinstance(right, dict) and (shape.kind == DEDUCED and right is not None):
        return right
    if not left and not right:
        return right
    return _merge_map(shape, left or {}, right or {})


def _merge_map(shape: Shape, left: Any, right: Any) -> Any:
    out = dict(left)
    for name, value in right.items():
        out[name] = _merge(_below(shape, name), left.get(name, ABSENT), value)
    return out


def _below(shape: Shape, name: str) -> Shape:
    return shape.rows[name].shape if shape.kind == RECORD else shape.items


def _merge_items(shape: Shape, left: Any, right: Any) -> Any:
    """The items of both, in an order that keeps `right`'s, and `left`'s as far as that allows.

    Items of both lists stand where `right` orders them; items of `left` alone keep their place before the shared item
    that followed them.
    """
    left_keys, lefts = _by_key(shape, left)
    right_keys, rights = _by_key(shape, right)
    turns = iter([key for key in right_keys if key in lefts])
    turn = next(turns, None)
    taken: set[str] = set()
    out = []
    i = j = 0
    while i < len(left_keys) or j < len(right_keys):
        key = left_keys[i] if i < len(left_keys) else None
        if key is not None and key not in rights:
            out.append(left[i])
            i += 1
            continue
        if key is not None and j < len(right_keys):
            same = key == right_keys[j]
            if not same and turn is not None and turn != key:
                # A shared item whose turn is later (or already past).
                i += 1
                continue
            if same or key in taken:
                i += 1
        elif key is not None:
            # Only taken ones are left, because nothing remains on the right.
            i += 1
            continue
        wanted = right_keys[j]
        out.append(_merge(shape.items, lefts.get(wanted, ABSENT), rights[wanted]))
        taken.add(wanted)
        j += 1
        if turn == wanted or key == wanted:
            turn = next(turns, None)
    return out


def _by_key(shape: Shape, items: Any) -> tuple[list[str], dict[str, Any]]:
    """The keys in order, and the item of each; null for a key of several items, since none of them can be merged."""
    keys = [shape.element(item) for item in items]
    found: dict[str, Any] = {}
    for key, item in zip(keys, items, strict=True):
        found[key] = None if key in found else item
    return keys, found


def without_fields(node: Node, value: Any, fields: FieldSet) -> Any:
    """`value` without the members of `fields`. Nothing is changed in place; the result shares what stays."""
    if not fields:
        return value
    left = _remove(shape_of(node), value, fields)
    return {} if left is None else left


def _remove(shape: Shape, value: Any, fields: FieldSet) -> Any:
    """What is left of a value; None for a map or list that has nothing left."""
    if shape.kind == LEAF_SHAPE:
        return None if isinstance(value, dict | list) else value
    if shape.kind == ITEMS:
        return _remove_items(shape, value, fields) if isinstance(value, list) else None
    if not isinstance(value, dict):
        return value if shape.kind == DEDUCED and not isinstance(value, list) else None
    out = {}
    for name, below in value.items():
        child = fields.get("f:" + name)
        if child is None:
            out[name] = below
        elif not is_member(child):
            out[name] = _remove(_below(shape, name), below, child)
    return out or None


def _remove_items(shape: Shape, items: Any, fields: FieldSet) -> Any:
    out = []
    for item in items:
        child = fields.get(shape.element(item))
        if child is None:
            out.append(item)
        elif not is_member(child):
            left = _remove(shape.items, item, child)
            if left is not None:
                out.append(left)
    return out or None
