"""An endpoint: everything the verbs need to know of one resource at one version, found in one dictionary lookup.

Rows of other versions of the same stored resource share its cache; their objects are converted on the way in and out,
and the converted bytes are kept on the entry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
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
Conversion = Callable[[Sequence[Object], str], Awaitable[list[Object]]]
"""Asks somebody for objects at another version; those that have it already come back as they are. Raises 500."""


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
    conversion: Conversion | None = None
    """Where a webhook converts: objects are worked on at this version (`to_storage` is None), and converted only on
    their way in and out of the store. Entries must be made ready before they are shown."""
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
    def is_plain(self) -> bool:
        """Whether objects are stored as they are asked for: of a built-in kind, at the storage version."""
        return self.to_storage is None and not self.resource.custom

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
            found = _tail_of(self.object(entry))
            entry.memo[key] = found
        return bytes(found)

    @property
    def has_protobuf(self) -> bool:
        """Whether its objects can be sent as protobuf."""
        return not self.resource.custom and is_known(self.resource.schema)

    def has_table(self, subresource: str) -> bool:
        """Whether it can be shown as a Table: what is only ever created (reviews, bindings, tokens) cannot."""
        row = self.resource.subresource(subresource) if subresource else self.resource
        return row is None or row.verbs != ("create",)

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
        converted = None if self.conversion is None else entry.memo.get(self._converted)
        obj: Object = entry.object() if converted is None else orjson.loads(converted)
        return obj if self.from_storage is None else self.from_storage(obj)

    async def make_ready(self, entries: Sequence[Entry]) -> None:
        """Have entries of other versions converted, and keep the results with them. Raises 500."""
        version, name = self.resource.api_version, self._converted
        todo = [e for e in entries if e.layout.api_version != version and name not in e.memo]
        if todo and self.conversion is not None:
            made = await self.conversion([e.object() for e in todo], version)
            for entry, obj in zip(todo, made, strict=True):
                entry.memo[name] = orjson.dumps(obj)

    async def at_version(self, obj: Object, version: str) -> Object:
        """An object at another version, where that takes a webhook; otherwise as it is. Raises 500."""
        return obj if self.conversion is None else (await self.conversion((obj,), version))[0]

    @property
    def _converted(self) -> str:
        """Under which name entries keep what the webhook made of them."""
        return "converted:" + self.form


def _tail_of(obj: Object) -> bytes:
    rest = {k: v for k, v in obj.items() if k not in ("kind", "apiVersion", "metadata")}
    return orjson.dumps({"metadata": obj["metadata"], **rest})[1:]
