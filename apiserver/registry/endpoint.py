"""An endpoint: everything the verbs need to know of one resource at one version, found in one dictionary lookup.

Rows of other versions of the same stored resource share its cache; their objects are converted on the way in and out,
and the converted bytes are kept on the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import orjson

from apiserver.resources.strategy import Strategy
from apiserver.storage.entry import Entry
from openapi.catalog import Resource
from openapi.schema.gofields import is_known
from openapi.schema.load import schema_for
from openapi.schema.node import Node
from openapi.schema.protobuf import encode_message, seal

Object = dict[str, Any]
Convert = Callable[[Object], Object]


@dataclass(slots=True)
class Endpoint:
    """One resource at one version. `stored` is the row of its storage version; the converters are None when equal."""

    resource: Resource
    stored: Resource
    strategy: Strategy
    node_of: Callable[[], Node]
    selectable: frozenset[str] = frozenset()
    to_storage: Convert | None = None
    from_storage: Convert | None = None
    form: str = ""
    """Names the converted form in the memos of entries; the apiVersion unless given."""
    object_head: bytes = field(init=False)
    list_head: bytes = field(init=False)
    _node: Node | None = None

    def __post_init__(self) -> None:
        row = self.resource
        self.form = self.form or row.api_version
        self.object_head = f'{{"kind":"{row.kind}","apiVersion":"{row.api_version}",'.encode()
        self.list_head = f'{{"kind":"{row.list_kind}","apiVersion":"{row.api_version}","metadata":{{'.encode()

    @property
    def subresources(self) -> Collection[str]:
        """The subresources that write the object itself, through strategies of their own."""
        return self.strategy.subresources

    @property
    def node(self) -> Node:
        """The compiled schema at this version, built at first use."""
        if self._node is None:
            self._node = self.node_of()
        return self._node

    @property
    def stored_node(self) -> Node:
        """The compiled schema of the storage version."""
        return self.node if self.stored is self.resource else schema_for(self.stored.gvk)

    def tail(self, entry: Entry) -> bytes:
        """`"metadata":{...}...}`: the entry's bytes behind kind and apiVersion, at this version."""
        if self.from_storage is None:
            return entry.tail
        key = "tail:" + self.form
        found = entry.memo.get(key)
        if found is None:
            found = _tail_of(self.from_storage(entry.object()))
            entry.memo[key] = found
        return bytes(found)

    @property
    def has_protobuf(self) -> bool:
        """Whether its objects can be sent as protobuf."""
        return not self.resource.custom and is_known(self.resource.schema)

    def message(self, entry: Entry) -> bytes:
        """The entry as a protobuf message at this version, without its envelope; made once."""
        key = "protobuf:" + self.resource.api_version
        found = entry.memo.get(key)
        if found is None:
            found = entry.memo[key] = encode_message(self.object(entry), self.node)
        return bytes(found)

    def sealed(self, entry: Entry) -> bytes:
        """The entry as a protobuf body."""
        return seal(self.resource.api_version, self.resource.kind, self.message(entry))

    def object(self, entry: Entry) -> Object:
        """A fresh parsed copy at this version."""
        obj = entry.object()
        return obj if self.from_storage is None else self.from_storage(obj)


def _tail_of(obj: Object) -> bytes:
    rest = {k: v for k, v in obj.items() if k not in ("kind", "apiVersion", "metadata")}
    return orjson.dumps({"metadata": obj["metadata"], **rest})[1:]
