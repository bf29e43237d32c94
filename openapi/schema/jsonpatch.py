"""JSON patch (RFC 6902) as the API server's library does it.

It is laxer than the RFC: `replace` may name a field that is not there, negative indexes count from the end, the part of
a path before its first slash is ignored, and copying or testing what is not there meets null. The result shares
what stays the same with the document, which is not changed.
Follows: vendor/gopkg.in/evanphx/json-patch.v4/patch.go, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from openapi.meta.field import quote
from openapi.schema.copies import copied
from openapi.schema.gojson import json_word

MAX_OPERATIONS = 10_000

# What `copy` may add up to, so that a small patch cannot make a huge object.
MAX_COPIED_BYTES = 3 * 1024 * 1024


class InvalidPatch(ValueError):
    """The document is no JSON patch at all."""


class TooManyOperations(InvalidPatch):
    """More operations than a patch may have."""


class JsonPatchError(ValueError):
    """An operation cannot be done. The API's answer to a patch does not show the text, but that of a policy does."""


class JsonTestFailed(JsonPatchError):
    """The document is not what the patch was made for."""


def json_patch(current: Any, operations: Any) -> Any:
    """`current` after all `operations`. Raises InvalidPatch, TooManyOperations or JsonPatchError."""
    _check(operations)
    return _Document(current).run(operations)


def strict_errors(operations: Any) -> list[str]:
    """What a strict reader finds in a JSON patch: `unknown field "[0].x"` for each. Raises InvalidPatch."""
    if operations is None:
        return []
    if not isinstance(operations, list):
        raise InvalidPatch(_mismatch(operations, "value of type []handlers.jsonPatchOp"))
    unknown = []
    for index, operation in enumerate(operations):
        if operation is None:
            continue
        if not isinstance(operation, dict):
            raise InvalidPatch(_mismatch(operation, "value of type handlers.jsonPatchOp"))
        for name, value in operation.items():
            if name not in _OPERATION_FIELDS:
                unknown.append(f'unknown field "[{index}].{name}"')
            elif name != "value" and value is not None and not isinstance(value, str):
                raise InvalidPatch(_mismatch(value, f"struct field jsonPatchOp.{name} of type string"))
    return unknown


_OPERATION_FIELDS = frozenset(("op", "path", "from", "value"))


def _mismatch(value: Any, place: str) -> str:
    return f"json: cannot unmarshal {json_word(value)} into Go {place}"


def _check(operations: Any) -> None:
    if operations is None:
        return
    if not isinstance(operations, list):
        raise InvalidPatch(_mismatch(operations, "value of type jsonpatch.Patch"))
    for operation in operations:
        if operation is not None and not isinstance(operation, dict):
            raise InvalidPatch(_mismatch(operation, "value of type jsonpatch.Operation"))
    if len(operations) > MAX_OPERATIONS:
        raise TooManyOperations(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )


_NO_VALUE = "missing value"
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")


class _Document:
    """A document being patched. Containers are copied when first written below, and then known as `_own`."""

    def __init__(self, root: Any) -> None:
        self._root = root
        # The copies are kept alive here, so that no other object can get the identity of one.
        self._own: dict[int, Any] = {}
        self._copied = 0

    def run(self, operations: Any) -> Any:
        for operation in operations or ():
            name = (operation or {}).get("op")
            step = _STEPS.get(name) if isinstance(name, str) else None
            if step is None:
                raise JsonPatchError(f"Unexpected kind: {name if isinstance(name, str) else 'unknown'}")
            step(self, operation)
        return self._root

    def add(self, operation: Any) -> None:
        path = _path(operation, "path")
        container, key = self._find(path, 'add operation does not apply: doc is missing path: "{}"')
        with _told(f"error in add for path: '{path}'"):
            _insert(container, key, copied(operation.get("value")))

    def remove(self, operation: Any) -> None:
        path = _path(operation, "path")
        container, key = self._find(path, 'remove operation does not apply: doc is missing path: "{}"')
        with _told(f"error in remove for path: '{path}'"):
            _delete(container, key)

    def replace(self, operation: Any) -> None:
        path = _path(operation, "path")
        value = copied(operation.get("value"))
        if path == "":
            if not isinstance(value, dict | list):
                raise JsonPatchError("replace operation value must be object or array")
            self._root = value
            return
        container, key = self._find(path, "replace operation does not apply: doc is missing path: {}")
        if isinstance(container, dict):
            container[key] = value
            return
        try:
            container[_index(container, key)] = value
        except JsonPatchError:
            text = f"replace operation does not apply: doc is missing key: {path}: {_NO_VALUE}"
            raise JsonPatchError(text) from None

    def move(self, operation: Any) -> None:
        source, path = _path(operation, "from"), _path(operation, "path")
        container, key = self._find(source, "move operation does not apply: doc is missing from path: {}")
        with _told(f"error in move for path: '{key}'"):
            value = _get(container, key)
            _delete(container, key)
        container, key = self._find(path, "move operation does not apply: doc is missing destination path: {}")
        with _told(f"error in move for path: '{path}'"):
            _insert(container, key, value)

    def copy(self, operation: Any) -> None:
        source, path = _path(operation, "from"), _path(operation, "path")
        container, key = self._find(source, "copy operation does not apply: doc is missing from path: {}")
        with _told(f"error in copy for from: '{source}'"):
            value = _get(container, key)
        container, key = self._find(path, "copy operation does not apply: doc is missing destination path: {}")
        self._copied += len(orjson.dumps(value))
        if self._copied > MAX_COPIED_BYTES:
            raise JsonPatchError(
                f"Unable to complete the copy, the accumulated size increase of copy is {self._copied}, "
                f"exceeding the limit {MAX_COPIED_BYTES}"
            )
        with _told("error while adding value during copy"):
            _insert(container, key, copied(value))

    def test(self, operation: Any) -> None:
        path = _path(operation, "path")
        value = operation.get("value")
        if path == "":
            found = self._root
        else:
            missing = "test operation does not apply: is missing path: {}"
            container, key = self._find(path, missing, writable=False)
            with _told(f"error in test for path: '{path}'"):
                found = _get(container, key)
        if not _equal(found, value):
            raise JsonTestFailed(f"testing value {path} failed: test failed")

    def _find(self, path: str, missing: str, *, writable: bool = True) -> tuple[Any, str]:
        """The container that a path's last part is in, and that part; `missing` tells of a path without one."""
        parts = path.split("/")
        if len(parts) < 2:
            raise JsonPatchError(f"{missing.format(path)}: {_NO_VALUE}")
        if writable:
            self._root = self._owned(self._root)
        here = self._root
        for part in parts[1:-1]:
            key = _unescape(part)
            try:
                below = _get(here, key)
            except JsonPatchError:
                below = None
            if not isinstance(below, dict | list):
                raise JsonPatchError(f"{missing.format(path)}: {_NO_VALUE}")
            if writable:
                copy = self._owned(below)
                if copy is not below:
                    here[key if isinstance(here, dict) else _index(here, key)] = copy
                    below = copy
            here = below
        return here, _unescape(parts[-1])

    def _owned(self, container: Any) -> Any:
        if id(container) in self._own:
            return container
        copy = container.copy()
        self._own[id(copy)] = copy
        return copy


_STEPS: dict[str, Callable[[_Document, Any], None]] = {
    "add": _Document.add,
    "remove": _Document.remove,
    "replace": _Document.replace,
    "move": _Document.move,
    "copy": _Document.copy,
    "test": _Document.test,
}


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Tell of what goes wrong inside where it was."""
    try:
        yield
    except JsonPatchError as err:
        raise JsonPatchError(f"{where}: {err}") from None


def _path(operation: Any, name: str) -> str:
    path = operation.get(name)
    if not isinstance(path, str):
        raise JsonPatchError(f"{operation['op']} operation failed to decode {name}")
    return path


def _unescape(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~") if "~" in part else part


def _get(container: Any, key: str) -> Any:
    if isinstance(container, dict):
        return container.get(key)
    return container[_index(container, key)]


def _index(items: list[Any], key: str, limit: int | None = None) -> int:
    limit = len(items) if limit is None else limit
    if not _INTEGER.match(key):
        problem = f"strconv.Atoi: parsing {quote(key)}: invalid syntax"
        raise JsonPatchError(f"value was not a proper array index: '{key}': {problem}")
    index = int(key)
    if not -limit <= index < limit:
        raise JsonPatchError(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + limit if index < 0 else index


def _insert(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(container, key, len(container) + 1), value)


def _delete(container: Any, key: str) -> None:
    if isinstance(container, list):
        del container[_index(container, key)]
    elif key in container:
        del container[key]
    else:
        raise JsonPatchError(f"Unable to remove nonexistent key: {key}: {_NO_VALUE}")


def _equal(a: Any, b: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(value, b[name]) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)
