"""A store: the objects of one resource as the informer knows them, found by name, namespace, owner or own indexes.

Only the informer writes. Whoever reads must not change what it gets: copy first (`objects.copy_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from controllers.runtime.objects import Key, Object, View, controller_of

IndexFunction = Callable[[View], Iterable[str]]
"""The values under which an object is found in an index."""

_BY_CONTROLLER = "controller"


def _controller_values(obj: View) -> tuple[str, ...]:
    reference = controller_of(obj)
    return (reference["uid"],) if reference is not None else ("/" + obj["metadata"].get("namespace", ""),)


class Store:
    """Indexed objects of one resource."""

    def __init__(self) -> None:
        self._objects: dict[Key, Object] = {}
        self._namespaces: dict[str, dict[str, Object]] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get(Key(namespace, name))

    def all(self, namespace: str = "") -> list[Object]:
        """All objects, or those of one namespace, in no particular order."""
        found = self._namespaces.get(namespace, {}) if namespace else self._objects
        return list(found.values())

    def keys(self) -> list[Key]:
        return list(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def controlled_by(self, uid: str) -> list[Object]:
        """The objects whose controller has that uid. Needs `index_controllers`."""
        return self.by_index(_BY_CONTROLLER, uid)

    def orphans(self, namespace: str) -> list[Object]:
        """The objects of the namespace that no controller owns. Needs `index_controllers`."""
        return self.by_index(_BY_CONTROLLER, "/" + namespace)

    def index_controllers(self) -> None:
        """Keep the index that `controlled_by` and `orphans` read."""
        self.add_index(_BY_CONTROLLER, _controller_values)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Keep an index; the first function under a name stays."""
        if name in self._functions:
            return
        self._functions[name] = function
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._enter(name, function, key, obj)

    def by_index(self, name: str, value: str) -> list[Object]:
        return list(self._indexes[name].get(value, {}).values())

    def put(self, obj: Object) -> Object | None:
        """Take in a new or changed object; the one it replaces comes back."""
        metadata = obj["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        old = self._objects.get(key)
        self._objects[key] = obj
        self._namespaces.setdefault(key.namespace, {})[key.name] = obj
        for name, function in self._functions.items():
            if old is not None:
                self._leave(name, function, key, old)
            self._enter(name, function, key, obj)
        return old

    def remove(self, key: Key) -> Object | None:
        """Forget an object; it comes back if it was known."""
        old = self._objects.pop(key, None)
        if old is None:
            return None
        siblings = self._namespaces[key.namespace]
        del siblings[key.name]
        if not siblings:
            del self._namespaces[key.namespace]
        for name, function in self._functions.items():
            self._leave(name, function, key, old)
        return old

    def _enter(self, name: str, function: IndexFunction, key: Key, obj: Object) -> None:
        index = self._indexes[name]
        for value in function(obj):
            index.setdefault(value, {})[key] = obj

    def _leave(self, name: str, function: IndexFunction, key: Key, obj: Object) -> None:
        index = self._indexes[name]
        for value in function(obj):
            entries = index.get(value)
            if entries is not None:
                entries.pop(key, None)
                if not entries:
                    del index[value]
