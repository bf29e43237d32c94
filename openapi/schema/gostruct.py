"""Objects in the form that the API's own Go structs print as: with Go's field names, in Go's order, nothing left out.

Messages show bad values so where the value is a struct: a taint is {"Key":"k","Value":"","Effect":"","TimeAdded":null}.
The structs of the common machinery (metadata, selectors, references) keep their JSON names and leave empty fields out.
Follows: pkg/apis/*/types.go, whose fields are those of staging/src/k8s.io/api/*/v1/types.go without tags
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from openapi.meta.field import FieldError, Verbatim
from openapi.schema import node as types
from openapi.schema.canonical import ZEROS
from openapi.schema.gofields import GoField, go_fields, go_order, is_known
from openapi.schema.load import node_for
from openapi.schema.node import Field, Node

_STEPS = re.compile(r"\[[^\]]*\]|[^.\[\]]+")
_MACHINERY = "io.k8s.apimachinery."
_EMBEDDED = frozenset(("ObjectMeta", "ListMeta"))
_POD_SPEC, _POD_CONTEXT = "io.k8s.api.core.v1.PodSpec", "io.k8s.api.core.v1.PodSecurityContext"
# Inside the server, pods keep what they share with the host in the security context, and some fields stand elsewhere.
_SHARED_WITH_HOST = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_GONE = frozenset((*_SHARED_WITH_HOST, "serviceAccount"))
_MOVED_BEHIND = {
    _POD_SPEC: {"setHostnameAsFQDN": "subdomain", "preemptionPolicy": "priority", "enableServiceLinks": "overhead"},
    _POD_CONTEXT: {"fsGroupChangePolicy": "fsGroup"},
}


def internal_text(value: Any, definition: str) -> Verbatim:
    """How a message shows a struct, or a list of structs, of a definition (its full name). Raises KeyError."""
    node = node_for(definition)
    shown = [_shown(item, node) for item in value] if isinstance(value, list) else _shown(value, node)
    text = orjson.dumps(shown).decode()
    return Verbatim(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def in_internal_form(errors: Iterable[FieldError], node: Node) -> list[FieldError]:
    """Errors of an object of `node` whose values, if they are structs, are shown in the internal form."""
    return [replace(e, value=_value_at(e, node)) if isinstance(e.value, dict | list) else e for e in errors]


def _value_at(error: FieldError, node: Node) -> Any:
    """An error's value as it is shown. Empty ones stay: some messages show {} for what is no struct."""
    found = _node_at(node, error.path)
    value = error.value
    if not value or found is None:
        return value
    items = value if isinstance(value, list) else [value]
    struct = found.items if found.type == types.LIST and isinstance(value, list) else found
    if struct is None or struct.type != types.STRUCT or not is_known(struct.name):
        return value
    if not all(isinstance(item, dict) and item.keys() <= struct.fields.keys() for item in items):
        return value
    return internal_text(value, struct.name)


def _node_at(node: Node | None, path: str) -> Node | None:
    """What a path like `spec.ports[0].port` leads to; None where it leads out of the schema."""
    for step in _STEPS.findall(path):
        if node is None:
            return None
        if node.type == types.STRUCT and step[0] != "[":
            field = node.fields.get(step)
            node = field.node if field is not None else None
        else:
            node = node.items if node.type in (types.LIST, types.MAP) else None
    return node


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
    for field in _internal_fields(definition):
        if field.inline:
            _fill(found, value, node, field.inline)
            continue
        known = node.fields[field.name]
        given = value.get(field.name)
        if field.go in _EMBEDDED:
            found.update(_tagged(given or {}, known.node))
        elif field.name == "securityContext" and definition == _POD_SPEC:
            found[field.go] = _pod_context(value, node)
        else:
            found[field.go] = _absent(known) if given is None else _shown(given, known.node)


def _internal_fields(definition: str) -> list[GoField]:
    """The fields of a struct in the order inside the server."""
    fields = list(go_fields(definition))
    if definition == _POD_SPEC:
        fields = [field for field in fields if field.name not in _GONE]
    for name, before in _MOVED_BEHIND.get(definition, {}).items():
        names = [field.name for field in fields]
        field = fields.pop(names.index(name))
        names.remove(name)
        fields.insert(names.index(before) + 1, field)
    return fields


def _pod_context(spec: dict[str, Any], node: Node) -> Any:
    """The security context of a pod's spec, which begins with what the pod shares with the host."""
    context = spec.get("securityContext")
    shared = {field: spec[field] for field in _SHARED_WITH_HOST if spec.get(field) is not None}
    if context is None and not shared:
        return None
    found = {name[:1].upper() + name[1:]: shared.get(name, _absent(node.fields[name])) for name in _SHARED_WITH_HOST}
    _fill(found, context or {}, node.fields["securityContext"].node, _POD_CONTEXT)
    return found


def as_written(value: Any, node: Node) -> Any:
    """A stored value with the fields of its structs in the order in which Go writes them, and the keys of maps sorted.

    The copy shares no container with `value`. Custom objects are maps all through.
    """
    if isinstance(value, dict):
        if node.type == types.STRUCT and is_known(node.name):
            known = [name for name in go_order(node.name) if name in value]
            names = known + [name for name in value if name not in known]
        else:
            names = sorted(value)
        return {name: as_written(value[name], _below(node, name)) for name in names}
    if isinstance(value, list):
        return [as_written(item, node.items or _ANYTHING) for item in value]
    return value


_ANYTHING = Node(types.ANY)


def _below(node: Node, name: str) -> Node:
    field = node.fields.get(name)
    return field.node if field is not None else node.items or _ANYTHING


def _tagged(value: dict[str, Any], node: Node) -> dict[str, Any]:
    """A struct of the machinery, whose fields have names in JSON."""
    return {name: _shown(value[name], node.fields[name].node) for name in go_order(node.name) if name in value}


def _absent(field: Field) -> Any:
    """What stands for a field that is not there."""
    node = field.node
    if node.type == types.STRUCT:
        return _shown({}, node) if field.value else None
    return None if field.pointer else ZEROS.get(node.type)
