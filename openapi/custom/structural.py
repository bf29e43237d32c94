"""A structural schema as a graph of nodes: what merging and field ownership need to know of a custom resource.

Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{structural,kubeopenapi}.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openapi.schema import node as types
from openapi.schema.load import OBJECT_META, node_for
from openapi.schema.node import Field, Node

Schema = Mapping[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"

_SCALARS = {
    "string": types.STRING,
    "integer": types.INT64,
    "number": types.FLOAT,
    "boolean": types.BOOLEAN,
}


def compile_schema(schema: Schema | None) -> Node:
    """The root node of a custom kind; without a schema, everything is kept as it is."""
    root = _struct(schema or {PRESERVE: True})
    _add_envelope(root)
    return root


def _add_envelope(node: Node) -> None:
    """What every object has."""
    for name in ("apiVersion", "kind"):
        node.fields[name] = Field(name, Node(types.STRING, "", "string"))
    node.fields["metadata"] = Field("metadata", node_for(OBJECT_META))


def _node(schema: Schema) -> Node:
    if schema.get(INT_OR_STRING):
        return Node(types.ANY)
    kind = schema.get("type", "")
    if kind in _SCALARS:
        return Node(_SCALARS[kind])
    if kind == "array":
        return _list(schema)
    if kind != "object":
        return Node(types.ANY, preserve_unknown=True)
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        return Node(types.MAP, items=_node(extra), map_type=schema.get(MAP_TYPE, "granular"))
    if schema.get("properties") or schema.get(EMBEDDED):
        node = _struct(schema)
        if schema.get(EMBEDDED):
            _add_envelope(node)
            node.embedded_object = True
        return node
    if extra or schema.get(PRESERVE):
        map_type = schema.get(MAP_TYPE, "granular")
        is_open = map_type == "granular"
        return Node(types.ANY, preserve_unknown=is_open, map_type=map_type)
    return _struct(schema)


def _list(schema: Schema) -> Node:
    items = schema.get("items")
    return Node(
        types.LIST,
        items=_node(items) if isinstance(items, Mapping) else Node(types.ANY, preserve_unknown=True),
        list_type=schema.get(LIST_TYPE, "atomic"),
        map_keys=tuple(schema.get(LIST_KEYS, ())),
    )


def _struct(schema: Schema) -> Node:
    node = Node(types.STRUCT, map_type=schema.get(MAP_TYPE, "granular"), preserve_unknown=bool(schema.get(PRESERVE)))
    required = schema.get("required") or ()
    for name, below in (schema.get("properties") or {}).items():
        node.fields[name] = Field(
            name,
            _node(below),
            nullable=bool(below.get("nullable")),
            required=name in required,
            key_default=below.get("default"),
        )
    return node
