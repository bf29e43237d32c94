"""How ownership sees a schema: every node is a leaf, a record, a mapping, a list of keyed items, or deduced.

A `Shape` is compiled once per node and kept in its memo. It knows the path element of each list item and builds the
field set of a value that is newly there; both are closures, because every CREATE runs them over the whole object.
Follows: sigs.k8s.io/structured-merge-diff typed/{helpers,compare,tofieldset}.go
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from openapi.schema import node as schema
from openapi.schema.fields import LEAF, FieldSet, json_text, key_element
from openapi.schema.node import Field, Node

LEAF_SHAPE = "leaf"  # a scalar, or an atomic list, map or struct: owned as a whole
RECORD = "record"  # named fields
MAPPING = "mapping"  # free keys
ITEMS = "items"  # a list whose items have keys of their own (map list) or are their own keys (set)
DEDUCED = "deduced"  # no schema: objects are mappings of deduced values, everything else is a leaf

ABSENT: Any = object()


class ShapeError(ValueError):
    """A list item that has no path element, so that the value has no field set."""


class Row(NamedTuple):
    """A record's field. `zero` is what an absent field counts as: Go's zero value where it is always there."""

    key: str
    shape: Shape
    zero: Any
    named: bool


class Shape:
    """See the module. `added(value)` is the child set of a value that was not there before, itself included."""

    __slots__ = ("_items", "added", "element", "kind", "node", "rows")

    def __init__(self, node: Node, kind: str) -> None:
        self.node = node
        self.kind = kind
        self.rows = _Rows(node)
        self._items: Shape | None = None
        self.element: Callable[[Any], str] = _element_of(node) if kind == ITEMS else _no_element
        self.added: Callable[[Any], FieldSet] = _ADDERS[kind](self)

    @property
    def items(self) -> Shape:
        """The shape of items and of values below free keys."""
        if self._items is None:
            self._items = shape_of(self.node.items) if self.node.items is not None else DEDUCED_SHAPE
        return self._items


class _Rows(dict[str, Row]):
    """Rows by field name, compiled when first met: schemas are far larger than what objects use of them."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._fields = node.fields

    def __missing__(self, name: str) -> Row:
        field = self._fields.get(name)
        if field is None:
            return Row("f:" + name, DEDUCED_SHAPE, ABSENT, False)
        row = self[name] = Row("f:" + name, shape_of(field.node), _zero(field), True)
        return row


class _Adders(dict[str, tuple[str, Callable[[Any], FieldSet] | None]]):
    """Key and adder by field name; no adder for a leaf, as most fields are."""

    def __init__(self, rows: _Rows) -> None:
        super().__init__()
        self._rows = rows

    def __missing__(self, name: str) -> tuple[str, Callable[[Any], FieldSet] | None]:
        row = self._rows[name]
        found = row.key, None if row.shape.kind == LEAF_SHAPE else row.shape.added
        if row.named:
            self[name] = found
        return found


_ZEROS: dict[str, Any] = {
    schema.STRUCT: {},
    schema.STRING: "",
    schema.BOOLEAN: False,
    schema.INT32: 0,
    schema.INT64: 0,
    schema.FLOAT: 0,
    schema.INT_OR_STRING: 0,
    schema.QUANTITY: "0",
    schema.DURATION: "0s",
}


def _zero(field: Field) -> Any:
    if not field.value and not field.always:
        return ABSENT
    if field.pointer:
        return None
    return _ZEROS.get(field.node.type)


def shape_of(node: Node) -> Shape:
    shape = node.memo.get("shape")
    if shape is None:
        shape = node.memo["shape"] = Shape(node, _kind_of(node))
    return shape


def _kind_of(node: Node) -> str:
    if node.type == schema.STRUCT:
        if node.map_type == "atomic":
            return LEAF_SHAPE
        return RECORD if node.fields or not node.preserve_unknown else DEDUCED
    if node.type == schema.MAP:
        return LEAF_SHAPE if node.map_type == "atomic" else MAPPING
    if node.type == schema.LIST:
        return LEAF_SHAPE if node.list_type == "atomic" else ITEMS
    # Built-in kinds own embedded JSON as a whole; only custom resources look into what their schema leaves open.
    return DEDUCED if node.type == schema.ANY and node.preserve_unknown else LEAF_SHAPE


# Path elements of list items


def _no_element(_: Any) -> str:
    raise ShapeError("invalid indexing of non-associative list")


def _element_of(node: Node) -> Callable[[Any], str]:
    if node.list_type == "set":
        return _set_element
    fields = node.items.fields if node.items is not None else {}
    defaults = {name: fields[name].key_default if name in fields else None for name in node.map_keys}
    if len(node.map_keys) == 1:
        return _single_key(node.map_keys[0], defaults)
    return _several_keys(node.map_keys, defaults)


def _set_element(item: Any) -> str:
    if isinstance(item, dict):
        raise ShapeError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise ShapeError("not supported: associative list with lists as elements")
    if item is None:
        raise ShapeError("associative list without keys has an element that's an explicit null")
    return "v:" + json_text(item)


def _single_key(name: str, defaults: dict[str, Any]) -> Callable[[Any], str]:
    prefix = "k:{" + json_text(name) + ":"

    def element(item: Any) -> str:
        try:
            return prefix + json_text(item[name]) + "}"
        except (KeyError, TypeError):
            return key_element(_key_values(item, (name,), defaults))

    return element


def _several_keys(names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[[Any], str]:
    ordered = [(json_text(name), name, defaults[name]) for name in sorted(names)]

    def element(item: Any) -> str:
        try:
            parts = []
            for text, name, default in ordered:
                value = item.get(name, default)
                if value is None:
                    return key_element(_key_values(item, names, defaults))
                parts.append(f"{text}:{json_text(value)}")
            return "k:{" + ",".join(parts) + "}"
        except (AttributeError, TypeError):
            return key_element(_key_values(item, names, defaults))

    return element


def _key_values(item: Any, names: tuple[str, ...], defaults: dict[str, Any]) -> list[tuple[str, Any]]:
    if item is None:
        raise ShapeError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise ShapeError("associative list with keys may not have non-map elements")
    values = []
    for name in names:
        if name in item:
            values.append((name, item[name]))
        elif defaults.get(name) is not None:
            values.append((name, defaults[name]))
    if not values:
        listed = " ".join(json_text(name) for name in names)
        raise ShapeError(
            f"associative list with keys has an element that omits all key fields [{listed}] "
            "(and doesn't have default values for any key fields)"
        )
    return sorted(values, key=lambda pair: pair[0])


# The set of a value that is newly there


def _leaf_adder(_: Shape) -> Callable[[Any], FieldSet]:
    return lambda value: LEAF


def _record_adder(shape: Shape) -> Callable[[Any], FieldSet]:
    adders = _Adders(shape.rows)

    def added(value: Any) -> FieldSet:
        if not value:
            return LEAF
        out = {".": LEAF}
        for name, below in value.items():
            key, inner = adders[name]
            out[key] = LEAF if inner is None else inner(below)
        return out

    return added


def _mapping_adder(shape: Shape) -> Callable[[Any], FieldSet]:
    def added(value: Any) -> FieldSet:
        if not value:
            return LEAF
        out = {".": LEAF}
        inner = shape.items.added
        for name, below in value.items():
            out["f:" + name] = inner(below)
        return out

    return added


def _items_adder(shape: Shape) -> Callable[[Any], FieldSet]:
    element = shape.element

    def added(value: Any) -> FieldSet:
        if not value:
            return LEAF
        out = {".": LEAF}
        inner = shape.items.added
        for item in value:
            key = element(item)
            # Items of one key are owned together, as one leaf.
            out[key] = LEAF if key in out else inner(item)
        return out

    return added


def _deduced_adder(_: Shape) -> Callable[[Any], FieldSet]:
    return added_deduced


def added_deduced(value: Any) -> FieldSet:
    if not value or not isinstance(value, dict):
        return LEAF
    return {".": LEAF, **{"f:" + name: added_deduced(below) for name, below in value.items()}}


_ADDERS: dict[str, Callable[[Shape], Callable[[Any], FieldSet]]] = {
    LEAF_SHAPE: _leaf_adder,
    RECORD: _record_adder,
    MAPPING: _mapping_adder,
    ITEMS: _items_adder,
    DEDUCED: _deduced_adder,
}

DEDUCED_SHAPE = Shape(Node(schema.ANY), DEDUCED)
