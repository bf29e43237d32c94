"""Strategic merge patch: merging by schema, where lists may merge by key and directives say what a merge cannot.

Nothing is changed in place; the result shares with the object what stays the same.
Follows: staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go, .../util/mergepatch/errors.go
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from openapi.meta.field import quote
from openapi.schema import node as schema
from openapi.schema.copies import copied
from openapi.schema.gotext import go_type, go_value
from openapi.schema.node import Node

Object = dict[str, Any]

_PATCH = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList"
_ELEMENT_ORDER = "$setElementOrder"
_ABSENT: Any = object()


class StrategicMergeError(ValueError):
    """A patch that cannot be merged. `code`, `reason` and the text are those of the Status; `details` too."""

    def __init__(self, message: str, code: int = 500, reason: str = "", details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details


def _malformed(directive: str) -> StrategicMergeError:
    return StrategicMergeError(f"invalid patch format of {directive}", 400, "BadRequest")


def _wrong_type(expected: str, value: Any) -> StrategicMergeError:
    actual = "%!s(<nil>)" if value is None else go_type(value)
    return StrategicMergeError(f"expected a {expected}, but received a {actual}")


def _no_merge_key(item: Object, merge_key: str) -> StrategicMergeError:
    return StrategicMergeError(f"map: {go_value(item)} does not contain declared merge key: {merge_key}")


def _unknown_directive(directive: Any, item: Object) -> StrategicMergeError:
    word = directive if isinstance(directive, str) else f"%!s({go_type(directive)}={go_value(directive)})"
    return StrategicMergeError(f"unknown patch type: {word} in map: {go_value(item)}")


class _Field(NamedTuple):
    """What the schema says of the field that is merged."""

    node: Node | None
    strategy: str
    merge_key: str


def strategic_merge(current: Object, patch: Object, node: Node) -> Object:
    """`current` merged with `patch` as the schema `node` says. Raises StrategicMergeError."""
    return _merge_map(current, copied(patch), node)


def _field(node: Node | None, name: str) -> _Field:
    if node is None or (node.type == schema.ANY and node.preserve_unknown):
        return _Field(None, "", "")
    if node.type == schema.MAP:
        return _Field(node.items, "", "")
    field = node.fields.get(name)
    if field is None:
        if node.preserve_unknown:
            return _Field(None, "", "")
        struct = (node.go_name or node.name).rpartition(".")[2]
        raise StrategicMergeError(f"unable to find api field in struct {struct} for the json field {quote(name)}")
    strategy = next((word for word in field.patch_strategy if word != "retainKeys"), "")
    return _Field(field.node, strategy, field.merge_key)


# Maps


def _merge_map(original: Object, patch: Object, node: Node | None) -> Object:
    if _PATCH in patch:
        return _replaced_map(patch)
    out = dict(original)
    patch = dict(patch)
    if _RETAIN_KEYS in patch:
        _retain_keys(out, patch)
    for name in [name for name in patch if name.startswith(_ELEMENT_ORDER)]:
        _merge_ordered_list(out, patch, name, node)
    for name, value in patch.items():
        is_deletion = name.startswith(_DELETE_FROM)
        target = _list_named_by(name, "primitive list") if is_deletion else name
        _merge_field(out, target, value, node, is_deletion=is_deletion)
    return out


def _replaced_map(patch: Object) -> Object:
    directive = patch[_PATCH]
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != _PATCH}
    if directive == "delete":
        return {}
    raise _unknown_directive(directive, patch)


def _retain_keys(out: Object, patch: Object) -> None:
    """Drop what $retainKeys does not list; it must list whatever the patch sets."""
    keys = patch.pop(_RETAIN_KEYS)
    if not isinstance(keys, list):
        raise _malformed("retainKeys")
    for name, value in patch.items():
        if value is not None and not name.startswith((_DELETE_FROM, _ELEMENT_ORDER)) and name not in keys:
            raise _malformed("retainKeys")
    for name in [name for name in out if name not in keys]:
        del out[name]


def _list_named_by(name: str, directive: str) -> str:
    """The list that a directive `$directive/list` is about."""
    _, slash, target = name.partition("/")
    if not slash:
        raise _malformed(directive)
    return target


def _merge_field(out: Object, name: str, value: Any, node: Node | None, *, is_deletion: bool) -> None:
    if value is None:
        out.pop(name, None)
        return
    old = out.get(name, _ABSENT)
    if type(old) is not type(value):
        if not is_deletion:
            _set_clean(out, name, value)
    elif isinstance(value, dict):
        field = _field(node, name)
        out[name] = value if field.strategy == "replace" else _merge_map(old, value, field.node)
    elif isinstance(value, list):
        out[name] = _merge_list(old, value, _field(node, name), is_deletion=is_deletion)
    else:
        out[name] = value


def _set_clean(out: Object, name: str, value: Any) -> None:
    """Take a value that has no counterpart to merge with: its nulls and directives mean nothing."""
    clean = _clean(value)
    if clean is _ABSENT:
        out.pop(name, None)
    else:
        out[name] = clean


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        if _PATCH in value:
            return _ABSENT
        cleaned = {name: _clean(below) for name, below in value.items() if below is not None}
        return {name: below for name, below in cleaned.items() if below is not _ABSENT}
    if isinstance(value, list):
        items = [_clean(item) for item in value]
        return [item for item in items if item is not _ABSENT]
    return value


# Lists


def _merge_list(original: list[Any], patch: list[Any], field: _Field, *, is_deletion: bool = False) -> list[Any]:
    if field.strategy != "merge":
        return patch
    if not original and not patch:
        return original
    if not _has_maps(original, patch):
        if is_deletion:
            return [item for item in original if not _is_in(item, patch)]
        return _interleave(_unique([*original, *patch]), patch, original, _Items())
    if not field.merge_key:
        raise StrategicMergeError("cannot merge lists without merge key for type struct")
    items = _Items(field.merge_key)
    original, patch = _special_elements(original, patch, field.merge_key)
    merged = _merge_items(original, patch, field)
    return _interleave(merged, patch, original, items)


def _has_maps(*lists: list[Any]) -> bool:
    """Whether items are maps; all must be of one type, and none a list."""
    kinds = []
    for item in (item for items in lists for item in items):
        if isinstance(item, list):
            text = "the server rejected our request due to an error in our request"
            raise StrategicMergeError(text, 422, "Invalid", {})
        kinds.append(type(item))
    if not kinds:
        raise StrategicMergeError("no elements in any of the given slices")
    if any(kind is not kinds[0] for kind in kinds):
        raise StrategicMergeError(f"list element types are not identical: {go_value(list(lists))}")
    return kinds[0] is dict


def _special_elements(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """Carry out the items of `patch` that are directives; the rest of it is still to be merged."""
    plain = []
    replace = False
    for item in patch:
        directive = item.get(_PATCH, _ABSENT)
        if directive is _ABSENT:
            plain.append(item)
        elif directive == "delete":
            if merge_key not in item:
                raise _no_merge_key(item, merge_key)
            original = [old for old in original if not _same(old.get(merge_key, _ABSENT), item[merge_key])]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise StrategicMergeError("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, item)
    return (plain, []) if replace else (original, plain)


def _merge_items(original: list[Any], patch: list[Any], field: _Field) -> list[Any]:
    item_node = field.node.items if field.node is not None else None
    merged = list(original)
    for item in patch:
        if field.merge_key not in item:
            raise _no_merge_key(item, field.merge_key)
        value = item[field.merge_key]
        for index, old in enumerate(merged):
            if _same(old.get(field.merge_key, _ABSENT), value):
                merged[index] = _merge_map(old, item, item_node)
                break
        else:
            merged.append(item)
    return merged


# Order: what the patch names is in the patch's order, the rest in the object's, interleaved by the object's order.


class _Items:
    """How list items are told apart: by a merge key, or by their value."""

    def __init__(self, merge_key: str = "") -> None:
        self.merge_key = merge_key

    def key(self, item: Any) -> Any:
        if not self.merge_key:
            return item
        if not isinstance(item, dict):
            raise _wrong_type("map[string]interface {}", item)
        if self.merge_key not in item:
            raise _no_merge_key(item, self.merge_key)
        return item[self.merge_key]

    def order(self, items: Sequence[Any]) -> Callable[[Any], int]:
        """The position of an item's first namesake among `items`, or -1."""
        positions: dict[Any, int] = {}
        for position, item in enumerate(items):
            positions.setdefault(_hashable(self.key(item)), position)
        return lambda item: positions.get(_hashable(self.key(item)), -1)


def _interleave(merged: list[Any], leading: list[Any], original: list[Any], items: _Items) -> list[Any]:
    """`merged` sorted: the items that `leading` names in its order, the others in `original`'s, both woven together.

    An item of the object comes before the next named one only if the object has them in that order.
    """
    by_lead, by_origin = items.order(leading), items.order(original)
    named = sorted((item for item in merged if by_lead(item) >= 0), key=by_lead)
    others = sorted((item for item in merged if by_lead(item) < 0), key=by_origin)
    out = []
    i = j = 0
    while i < len(others) and j < len(named):
        place, next_place = by_origin(others[i]), by_origin(named[j])
        if 0 <= place < next_place:
            out.append(others[i])
            i += 1
        else:
            out.append(named[j])
            j += 1
    return [*out, *named[j:], *others[i:]]


def _merge_ordered_list(out: Object, patch: Object, directive: str, node: Node | None) -> None:
    """Merge the list that `$setElementOrder/<list>` is about, and take both out of the patch."""
    order = patch.pop(directive)
    if not isinstance(order, list):
        raise _wrong_type("[]interface {}", order)
    name = _list_named_by(directive, "setElementOrder list")
    original, items = out.get(name, _ABSENT), patch.get(name, _ABSENT)
    for value in (original, items):
        if value is not _ABSENT and not isinstance(value, list):
            raise _wrong_type("[]interface {}", value)
    field = _field(node, name)
    if items is not _ABSENT:
        _check_order(items, order, field.merge_key)
    if original is _ABSENT and items is _ABSENT:
        return
    if items is _ABSENT:
        merged = original
    elif original is _ABSENT:
        merged = _clean(items)
    else:
        merged = _merge_list(original, items, field)
    originals = [] if original is _ABSENT else original
    if field.merge_key and merged:
        _check_maps(order)
    _has_maps(originals, [] if items is _ABSENT else items)
    deleted = [item for item in merged if _is_deletion(item)]
    kept = [item for item in merged if not _is_deletion(item)]
    out[name] = [*_interleave(kept, order, originals, _Items(field.merge_key)), *deleted]
    patch.pop(name, None)


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """What the patch adds or changes must be in the order list, in that order."""
    if not order or not patch:
        return
    items = _Items(merge_key)
    rest = [item for item in patch if not (isinstance(item, dict) and _PATCH in item)]
    found = 0
    for entry in order:
        if found < len(rest) and _same(items.key(rest[found]), items.key(entry)):
            found += 1
    if found < len(rest):
        raise StrategicMergeError(
            f"The order in patch list:\n{go_value(patch)}\n doesn't match {_ELEMENT_ORDER} list:\n{go_value(order)}\n"
        )


def _check_maps(order: list[Any]) -> None:
    """The entries of an order list for items with keys must be maps."""
    for index, entry in enumerate(order):
        if not isinstance(entry, dict):
            raise StrategicMergeError(f"value for key {index} is not a map.")


def _is_deletion(item: Any) -> bool:
    return isinstance(item, dict) and item.get(_PATCH) == "delete"


def _same(a: Any, b: Any) -> bool:
    """Equality of scalars as Go has it, where true is not 1 and 1 not 1.0."""
    return type(a) is type(b) and bool(a == b)


def _is_in(item: Any, items: list[Any]) -> bool:
    return any(_same(item, other) for other in items)


def _hashable(value: Any) -> Any:
    return (type(value), value if not isinstance(value, dict | list) else go_value(value))


def _unique(items: list[Any]) -> list[Any]:
    return list({_hashable(item): item for item in items}.values())
