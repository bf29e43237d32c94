"""Objects as last written or seen, whichever is newer: what one key has written the next one must not miss.

The worker waits for own writes per key; binding is about pairs, so two claims must never be planned for one volume.
"""

from __future__ import annotations

from controllers.runtime.objects import Key, Object, key_of, revision_of
from controllers.runtime.store import Store


class Latest:
    """A store's objects, ahead of it by what was written through here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[Key, Object] = {}

    def get(self, namespace: str, name: str) -> Object | None:
        known = self._store.get(namespace, name)
        written = self._written.get(Key(namespace, name))
        if written is None:
            return known
        if known is None or revision_of(known) >= revision_of(written):
            del self._written[Key(namespace, name)]
            return known
        return written

    def wrote(self, obj: Object) -> Object:
        """Remember what the server answered to a write."""
        metadata = obj["metadata"]
        metadata.pop("managedFields", None)
        self._written[key_of(obj)] = obj
        return obj
