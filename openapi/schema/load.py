"""The schemas of the built-in kinds, compiled on demand from the definitions that Kubernetes publishes.

The definitions come with the package `kubernetes_validate`. They are read at the first use; a definition becomes a
`Node` when something first asks for it, together with what it refers to, and is shared from then on.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from openapi.catalog import GroupVersionKind
from openapi.schema import node as types
from openapi.schema.gonames import go_type
from openapi.schema.node import Field, Node
from openapi.schema.presence import field_presence

RELEASE = "v1.36.0-local"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
OBJECT_META = _META + "ObjectMeta"

# Definitions that are no structs: the type of their values and their name in Go.
_LEAVES: dict[str, tuple[str, str]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": (types.QUANTITY, "resource.Quantity"),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": (types.INT_OR_STRING, "intstr.IntOrString"),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": (types.ANY, "runtime.RawExtension"),
    _META + "Time": (types.TIME, "v1.Time"),
    _META + "MicroTime": (types.MICRO_TIME, "v1.MicroTime"),
    _META + "FieldsV1": (types.FIELDS_V1, "v1.FieldsV1"),
    _META + "Patch": (types.ANY, "v1.Patch"),
    _APIEXTENSIONS + "JSON": (types.ANY, "v1.JSON"),
    _APIEXTENSIONS + "JSONSchemaPropsOrArray": (types.PROPS_OR_OTHER, "v1.JSONSchemaPropsOrArray"),
    _APIEXTENSIONS + "JSONSchemaPropsOrBool": (types.PROPS_OR_OTHER, "v1.JSONSchemaPropsOrBool"),
    _APIEXTENSIONS + "JSONSchemaPropsOrStringArray": (types.PROPS_OR_OTHER, "v1.JSONSchemaPropsOrStringArray"),
}
_KEY_DEFAULTS: dict[str, dict[str, object]] = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}
"""Defaults that count when list items are told apart by their keys."""
_ZEROS: dict[str, object] = {types.STRING: "", types.BOOLEAN: False, types.INT32: 0, types.INT64: 0}
_BY_VALUE = (types.QUANTITY, types.INT_OR_STRING, types.TIME, types.MICRO_TIME)
_SCALARS = {
    ("string", ""): (types.STRING, "string"),
    ("string", "byte"): (types.BYTES, "[]uint8"),
    ("boolean", ""): (types.BOOLEAN, "bool"),
    ("integer", "int32"): (types.INT32, "int32"),
    ("integer", "int64"): (types.INT64, "int64"),
    ("integer", ""): (types.INT64, "int64"),
    ("number", "double"): (types.FLOAT, "float64"),
    ("number", ""): (types.FLOAT, "float64"),
}


def definitions_path() -> Path:
    """The file of definitions: `{"$defs": {name: schema}}`."""
    package = find_spec("kubernetes_validate")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the package kubernetes_validate, which brings the schemas, is not installed")
    return Path(package.origin).parent / "kubernetes-json-schema" / RELEASE / "_definitions.json"


@cache
def definitions() -> dict[str, Any]:
    """All definitions by full name, with descriptions. Not to be changed."""
    found: dict[str, Any] = orjson.loads(definitions_path().read_bytes())["$defs"]
    return found


@cache
def _kinds() -> dict[GroupVersionKind, str]:
    found: dict[GroupVersionKind, str] = {}
    for name, definition in definitions().items():
        for gvk in definition.get("x-kubernetes-group-version-kind", ()):
            found.setdefault(GroupVersionKind(gvk["group"], gvk["version"], gvk["kind"]), name)
    return found


def definition_name(gvk: GroupVersionKind) -> str:
    """The definition of a built-in kind; raises KeyError."""
    return _kinds()[gvk]


def schema_for(gvk: GroupVersionKind) -> Node:
    """The root node of a built-in kind; raises KeyError."""
    return node_for(_kinds()[gvk])


_nodes: dict[str, Node] = {}


def node_for(name: str) -> Node:
    """The node of a definition, by its full name; raises KeyError."""
    found = _nodes.get(name)
    return found if found is not None else _compile(name, definitions()[name])


def _compile(name: str, definition: dict[str, Any]) -> Node:
    leaf = _LEAVES.get(name)
    if leaf is not None:
        node = Node(leaf[0], name, leaf[1])
        _nodes[name] = node
        if leaf[0] == types.PROPS_OR_OTHER:
            node.items = node_for(_APIEXTENSIONS + "JSONSchemaProps")
        return node
    node = Node(types.STRUCT, name, name.rpartition(".")[2])
    _nodes[name] = node  # before the fields: they may lead back here
    node.map_type = definition.get("x-kubernetes-map-type", "granular")
    required = definition.get("required", ())
    for field_name, schema in definition.get("properties", {}).items():
        node.fields[field_name] = _field(node, field_name, schema, field_name in required)
    return node


_KEPT_EMPTY = frozenset((("io.k8s.api.autoscaling.v2.HPAScalingRules", "policies"),))


def _field(owner: Node, name: str, schema: dict[str, Any], required: bool) -> Field:
    refers = "$ref" in schema
    node = _schema_node(schema)
    if not refers:
        node.go_name = go_type(owner.go_name, name, node.go_name)
        if node.type == types.LIST and node.items is not None and node.items.type == types.STRING:
            node.items.go_name = node.go_name.removeprefix("[]")
    elif "x-kubernetes-map-type" in schema:
        map_type = schema["x-kubernetes-map-type"]
        node = Node(node.type, node.name, node.go_name, node.fields, node.items, map_type=map_type)
    presence = field_presence(
        owner.name, name, required=required, refers=refers and node.type == types.STRUCT, leaf=node.type in _BY_VALUE
    )
    pointer = presence.pointer or (refers and node.type != types.STRUCT and not presence.value)
    key_default = _ZEROS.get(node.type) if presence.always and not pointer else None
    return Field(
        name,
        node,
        always=presence.always,
        pointer=pointer,
        required=required,
        patch_strategy=tuple(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(","))),
        merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
        key_default=_KEY_DEFAULTS.get(owner.name, {}).get(name, key_default),
        value=presence.value,
        keeps_empty=(owner.name, name) in _KEPT_EMPTY,
    )


def _schema_node(schema: dict[str, Any]) -> Node:
    reference = schema.get("$ref")
    if reference is not None:
        return node_for(reference.rpartition("/")[2])
    kind = schema.get("type", "")
    if isinstance(kind, list):
        kind = next(word for word in kind if word != "null")
    if kind == "array" and schema.get("format") != "byte":
        items = _schema_node(schema["items"])
        list_type = schema.get("x-kubernetes-list-type", "atomic")
        map_keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        return Node(types.LIST, "", "[]" + go_name(items), items=items, list_type=list_type, map_keys=map_keys)
    if kind == "object" and "additionalProperties" in schema:
        items = _schema_node(schema["additionalProperties"])
        map_type = schema.get("x-kubernetes-map-type", "granular")
        return Node(types.MAP, "", "map[string]" + go_name(items), items=items, map_type=map_type)
    if kind == "object" or not kind:
        return Node(types.ANY, "", "map[string]interface {}")
    type_name, plain = _SCALARS[kind, schema.get("format", "")]
    return Node(type_name, "", plain)


def go_name(node: Node) -> str:
    """A node's type as Go writes it: `v1.Container`, `[]v1.Container`, `map[string]string`, `int32`."""
    if node.type != types.STRUCT or not node.name:
        return node.go_name
    return f"{node.name.split('.')[-2]}.{node.go_name}"
