"""The compiled form of a schema: a graph of `Node`s that decoding, defaulting, merging and ownership all walk.

Built-in kinds compile to it from the published definitions (`openapi.schema.load`), custom ones from their structural
schema. A node is shared by every place that refers to the same definition, so graphs may be recursive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# What a node's value is. Scalars carry the Go-side type, which decides canonical form and the words of type errors.
STRUCT = "struct"          # a JSON object with named fields
MAP = "map"                # a JSON object with free keys, values of `items`
LIST = "list"              # a JSON array of `items`
STRING = "string"
BOOLEAN = "bool"
INT32 = "int32"
INT64 = "int64"
FLOAT = "float64"
QUANTITY = "quantity"
INT_OR_STRING = "int-or-string"
TIME = "time"              # RFC 3339, seconds
MICRO_TIME = "micro-time"  # RFC 3339, microseconds
DURATION = "duration"
BYTES = "bytes"            # base64
FIELDS_V1 = "fields-v1"    # managedFields' own tree: any object
ANY = "any"                # any JSON value, kept as it is
PROPS_OR_OTHER = "props"   # in CRDs: a schema (`items`), or else a boolean or a list


@dataclass(slots=True, eq=False)
class Node:
    """`name` is the definition's full name (structs of definitions) or ''. `go_name` is the type's short name in Go.

    `list_type`: atomic | set | map; `map_keys`: keys of a map list; `key_defaults`: their schema defaults;
    `map_type`: granular | atomic (for STRUCT and MAP). `preserve_unknown`: unknown fields are kept, not pruned.
    `memo`: what walkers compiled from this node, by the walker's name; it lives as long as the node.
    """

    type: str
    name: str = ""
    go_name: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    items: Node | None = None
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    map_type: str = "granular"
    preserve_unknown: bool = False
    embedded_object: bool = False
    memo: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True, eq=False)
class Field:
    """A struct's field. `always`: written even when empty (Go without omitempty); `value`: a struct by value, so it is
    there as {} when nothing is in it; `nullable`: null is kept (custom resources).

    `keeps_empty`: an empty list is not taken for none while the object is worked on, for it is refused as such.
    `patch_strategy`: words of merge, replace, retainKeys; `merge_key`: the strategic merge patch key of the list.
    """

    name: str
    node: Node
    always: bool = False
    pointer: bool = False
    nullable: bool = False
    required: bool = False
    patch_strategy: tuple[str, ...] = ()
    merge_key: str = ""
    key_default: object = None
    value: bool = False
    keeps_empty: bool = False
