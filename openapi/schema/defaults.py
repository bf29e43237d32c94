"""Defaults: what the server fills in when a field was left out, applied in place to a decoded object.

The rules are the tables of `openapi.kinds`, by definition. For each kind they are compiled once into closures that go
only where a rule lies. A struct's own rules run in their order, then those of what it contains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from openapi.catalog import GroupVersionKind
from openapi.kinds import DEFAULTS
from openapi.schema import node as types
from openapi.schema.load import definitions, schema_for
from openapi.schema.node import Node

Object = dict[str, Any]
Apply = Callable[[Any], None]

_MEMO = "defaults"


def apply_defaults(obj: Object, gvk: GroupVersionKind, known: Object | None = None) -> None:
    """Fill in what a decoded object of a built-in kind leaves out; a kind without defaults stays as it is.

    `known` is a complete object with which this one shares all that was not changed, by identity.
    """
    compiled = _kind_defaults(gvk)
    if compiled is None:
        return
    if known is None:
        compiled.apply(obj)
    else:
        compiled.apply_changed(obj, known)


def apply_node_defaults(obj: Object, node: Node) -> None:
    """As `apply_defaults`, for a part of an object: `node` is the struct of that part."""
    apply = defaults_of(node)
    if apply is not None:
        apply(obj)


@cache
def _kind_defaults(gvk: GroupVersionKind) -> _Struct | None:
    try:
        node = schema_for(gvk)
    except KeyError:
        return None
    return _compiled(node)


def defaults_of(node: Node) -> Apply | None:
    """The compiled defaults of a struct and all it contains; None if there are none."""
    compiled = _compiled(node)
    return None if compiled is None else compiled.apply


def _compiled(node: Node) -> _Struct | None:
    if _MEMO not in node.memo:
        structs = _structs(node)
        having = _with_defaults(structs)
        for struct in structs:
            if _MEMO not in struct.memo:
                struct.memo[_MEMO] = _Struct() if id(struct) in having else None
        for struct in structs:
            compiled = struct.memo[_MEMO]
            if compiled is not None and not compiled.ready:
                compiled.fill(struct)
    found: _Struct | None = node.memo[_MEMO]
    return found


def unknown_rules() -> Iterator[str]:
    """What in the tables names nothing in the definitions; a table in order gives nothing."""
    known = definitions()
    for name, rules in DEFAULTS.items():
        if name not in known:
            yield name
            continue
        fields = known[name].get("properties", {})
        for rule in rules:
            if isinstance(rule, Mapping):
                yield from (f"{name}.{field}" for field in rule if field not in fields)


def _structs(root: Node) -> list[Node]:
    """The struct and all structs that can lie below it."""
    found, waiting = {id(root): root}, [root]
    while waiting:
        for field in waiting.pop().fields.values():
            struct = _struct_below(field.node)
            if struct is not None and id(struct) not in found:
                found[id(struct)] = struct
                waiting.append(struct)
    return list(found.values())


def _struct_below(node: Node | None) -> Node | None:
    """The struct that a field's value is, or that its items are."""
    while node is not None and node.type in (types.LIST, types.MAP):
        node = node.items
    return node if node is not None and node.type == types.STRUCT else None


def _with_defaults(structs: list[Node]) -> set[int]:
    """The structs (by id) that have rules or contain one that has."""
    parents: dict[int, list[Node]] = {}
    for struct in structs:
        for field in struct.fields.values():
            child = _struct_below(field.node)
            if child is not None:
                parents.setdefault(id(child), []).append(struct)
    waiting = [struct for struct in structs if struct.name in DEFAULTS]
    having = {id(struct) for struct in waiting}
    while waiting:
        for parent in parents.get(id(waiting.pop()), ()):
            if id(parent) not in having:
                having.add(id(parent))
                waiting.append(parent)
    return having


class _Struct:
    """The closures of one struct. They are filled after all structs exist, since structs may contain each other."""

    __slots__ = ("apply", "ready", "rules", "steps", "structs")

    def __init__(self) -> None:
        self.rules: list[Apply] = []
        self.steps: dict[str, Apply] = {}
        self.structs: dict[str, _Struct] = {}
        """Of the fields that are structs themselves."""
        self.apply = _struct_closure(self.rules, self.steps)
        self.ready = False

    def fill(self, node: Node) -> None:
        self.ready = True
        for rule in DEFAULTS.get(node.name, ()):
            self.rules.append(_constants(rule, node) if isinstance(rule, Mapping) else rule)
        for name, field in node.fields.items():
            step = _step(field.node)
            if step is not None:
                self.steps[name] = step
                if field.node.type == types.STRUCT:
                    self.structs[name] = field.node.memo[_MEMO]

    def apply_changed(self, obj: Object, known: Object) -> None:
        """As `apply`, leaving out what is one and the same in `known`."""
        for rule in self.rules:
            rule(obj)
        for name, step in self.steps.items():
            value = obj.get(name)
            before = known.get(name)
            if value is None or value is before:
                continue
            if before.__class__ is dict and name in self.structs:
                self.structs[name].apply_changed(value, before)
            else:
                step(value)


def _struct_closure(rules: list[Apply], steps: dict[str, Apply]) -> Apply:
    lookup = steps.get

    def struct(obj: Object) -> None:
        for rule in rules:
            rule(obj)
        if steps:
            for name, value in obj.items():
                step = lookup(name)
                if step is not None and value is not None:
                    step(value)

    return struct


def _step(node: Node) -> Apply | None:
    """How to go into a field's value; None if no defaults lie there."""
    if node.type == types.STRUCT:
        compiled: _Struct | None = node.memo.get(_MEMO)
        return None if compiled is None else compiled.apply
    if node.type not in (types.LIST, types.MAP) or node.items is None:
        return None
    inner = _step(node.items)
    if inner is None:
        return None
    return _each_item(inner) if node.type == types.LIST else _each_value(inner)


def _each_item(inner: Apply) -> Apply:
    def items(found: list[Any]) -> None:
        for item in found:
            inner(item)

    return items


def _each_value(inner: Apply) -> Apply:
    def values(found: dict[str, Any]) -> None:
        for value in found.values():
            inner(value)

    return values


def _constants(rule: Mapping[str, Any], node: Node) -> Apply:
    """Sets what is not there, and what is there only because Go writes it even when it is empty."""
    plain: list[tuple[str, Any]] = []
    fresh: list[tuple[str, Any]] = []
    written: list[tuple[str, Any]] = []
    for name, value in rule.items():
        field = node.fields.get(name)
        if field is not None and field.always:
            written.append((name, value))
        elif isinstance(value, dict | list):
            fresh.append((name, value))
        else:
            plain.append((name, value))

    def constants(obj: Object) -> None:
        for name, value in plain:
            if name not in obj:
                obj[name] = value
        for name, value in fresh:
            if name not in obj:
                obj[name] = _copy(value)
        for name, value in written:
            present = obj.get(name)
            if not present and (present is None or not _is_pointer(node, name)):
                obj[name] = _copy(value)

    return constants


def _is_pointer(node: Node, name: str) -> bool:
    """Whether an empty value of the field was meant: it is behind a pointer."""
    return node.fields[name].pointer


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
