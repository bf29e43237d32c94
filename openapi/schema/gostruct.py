"""Objects in the form that the API's own Go structs print as: with Go's field names, in Go's order, nothing left out.

Messages show bad values so where the value is a struct: a taint is {"Key":"k","Value":"","Effect":"","TimeAdded":null}.
The structs of the common machinery (metadata, selectors, references) keep their JSON names and leave empty fields out.
Follows: pkg/apis/*/types.go, whose fields are those of staging/src/k8s.io/api/*/v1/types.go without tags
"""

from __future__ import annotations

from typing import Any

import orjson

from openapi.meta.field import Verbatim
from openapi.schema import node as types
from openapi.schema.canonical import ZEROS
from openapi.schema.gofields import go_fields, go_order, is_known
from openapi.schema.load import node_for
from openapi.schema.node import Field, Node

_MACHINERY = "io.k8s.apimachinery."
_EMBEDDED = frozenset(("ObjectMeta", "ListMeta"))


def internal_text(value: Any, definition: str) -> Verbatim:
    """How a message shows a struct, or a list of structs, of a definition (its full name). Raises KeyError."""
    node = node_for(definition)
    shown = [_shown(item, node) for item in value] if isinstance(value, list) else _shown(value, node)
    text = orjson.dumps(shown).decode()
    return Verbatim(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _shown(value: Any, node: Node) -> Any:
    """A value that is there."""
    kind, items = node.type, node.items
    if value is None:
        return None
    if kind == types.STRUCT and is_known(node.name):
        if node.name.startswith(_MACHINERY):
            return _tagged(value, node)
        found: dict[str, Any] = {}
        _fill(found, value, node, node.name)
        return found
    if kind == types.LIST and items is not None:
        return [_shown(item, items) for item in value]
    if kind == types.MAP and items is not None:
        return {name: _shown(value[name], items) for name in sorted(value)}
    return value


def _fill(found: dict[str, Any], value: dict[str, Any], node: Node, definition: str) -> None:
    for field in go_fields(definition):
        if field.inline:
            _fill(found, value, node, field.inline)
            continue
        known = node.fields[field.name]
        given = value.get(field.name)
        if field.go in _EMBEDDED:
            found.update(_tagged(given or {}, known.node))
        else:
            found[field.go] = _absent(known) if given is None else _shown(given, known.node)


def _tagged(value: dict[str, Any], node: Node) -> dict[str, Any]:
    """A struct of the machinery, whose fields have names in JSON."""
    return {name: _shown(value[name], node.fields[name].node) for name in go_order(node.name) if name in value}


def _absent(field: Field) -> Any:
    """What stands for a field that is not there."""
    node = field.node
    if node.type == types.STRUCT:
        return _shown({}, node) if field.value else None
    return None if field.pointer else ZEROS.get(node.type)
