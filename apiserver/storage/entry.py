"""The byte layout of stored objects: how an object becomes bytes, and bytes become an `Entry`.

Stored values are JSON that begins with kind, apiVersion and metadata, in this order, and carry no resourceVersion; it
is spliced in right after `"metadata":{` when an entry is built, so an object is never parsed on its way from the store
to a client. Values another server wrote, in another order or as protobuf, are parsed and brought to this layout once.
Entries are immutable and shared by all readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from apiserver.storage.backend import StorageError
from openapi.catalog import GroupVersionKind, split_api_version
from openapi.schema.decode import DecodeError, decode
from openapi.schema.load import schema_for
from openapi.schema.protobuf import MAGIC, ProtobufError, decode_message, named, open_envelope

Object = dict[str, Any]
Extract = Callable[[Object], dict[str, str]]
"""The selectable fields of an object, besides its name and namespace."""

_METADATA = b'"metadata":{'
_SPLICE = b'"metadata":{"resourceVersion":"'
_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class UndecodableValue(StorageError):
    """A stored value is not an object in JSON."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"value of {key} cannot be read: {problem}")
        self.key = key
        self.problem = problem


def encode(obj: Object) -> bytes:
    """The stored form of `obj`; kind, apiVersion and metadata must be there. `obj` is not changed."""
    metadata = obj["metadata"]
    ordered: Object = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": None}
    ordered.update(obj)
    if "resourceVersion" in metadata:
        ordered["metadata"] = {name: value for name, value in metadata.items() if name != "resourceVersion"}
    return orjson.dumps(ordered)


class Layout:
    """What all entries of one kind and version share. `head` + an entry's `tail` is the whole object."""

    __slots__ = ("api_version", "extract", "head", "kind", "prefix")

    def __init__(self, kind: str, api_version: str, extract: Extract) -> None:
        self.kind = kind
        self.api_version = api_version
        self.extract = extract
        self.head = b'{"kind":%b,"apiVersion":%b,' % (orjson.dumps(kind), orjson.dumps(api_version))
        self.prefix = self.head + _METADATA


class Seed(NamedTuple):
    """What the writer of a value knows of it before it has a revision: the entry made of it need not be parsed."""

    value: bytes
    layout: Layout
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    is_complete: bool


class Entry:
    """One stored object at one revision.

    `tail` is `"metadata":{"resourceVersion":"7",...},...}` with the object's closing brace: `layout.head + tail` is the
    object, `b"{" + tail` the object without kind and apiVersion. `create_revision` is 0 where it is not known.
    `is_complete`: this process has written it, in canonical form and with all defaults.
    """

    __slots__ = (
        "_fields",
        "_labels",
        "_memo",
        "create_revision",
        "is_complete",
        "key",
        "layout",
        "name",
        "namespace",
        "revision",
        "tail",
    )

    def __init__(
        self, key: str, namespace: str, name: str, revision: int, create_revision: int, tail: bytes, layout: Layout
    ) -> None:
        self.key = key
        self.namespace = namespace
        self.name = name
        self.revision = revision
        self.create_revision = create_revision
        self.tail = tail
        self.layout = layout
        self.is_complete = False
        self._labels: Mapping[str, str] | None = None
        self._fields: Mapping[str, str] | None = None
        self._memo: dict[str, Any] | None = None

    def object(self) -> Object:
        """A fresh copy that the caller may change, with kind, apiVersion and resourceVersion."""
        obj: Object = orjson.loads(self.layout.head + self.tail)
        return obj

    def document(self) -> bytes:
        """The object as JSON, with kind, apiVersion and resourceVersion."""
        return self.layout.head + self.tail

    @property
    def labels(self) -> Mapping[str, str]:
        if self._labels is None:
            self._learn()
        assert self._labels is not None
        return self._labels

    @property
    def fields(self) -> Mapping[str, str]:
        """Selectable fields, metadata.name and metadata.namespace among them."""
        if self._fields is None:
            self._learn()
        assert self._fields is not None
        return self._fields

    @property
    def memo(self) -> dict[str, Any]:
        """Where other forms of this entry are kept: table rows, partial metadata, other versions."""
        if self._memo is None:
            self._memo = {}
        return self._memo

    def _learn(self) -> None:
        obj = self.object()
        self.learn(_labels_of(obj), _fields_of(obj, self.layout, self.namespace, self.name))

    def learn(self, labels: Mapping[str, str] | None, fields: Mapping[str, str] | None) -> None:
        """Take over what is known of the object, so that it need not be parsed for it."""
        self._labels = labels
        self._fields = fields

    def holds(self, seed: Seed) -> bool:
        """Whether the stored bytes are these, whatever the revision."""
        length = len(self.layout.prefix) + len(self.tail) - len(_SPLICE) - len(str(self.revision))
        # Up to the quote behind the revision, and a comma.
        return 1 <= length - len(seed.value) <= 2 and self.layout is seed.layout and self.stored() == seed.value

    def at(self, revision: int) -> Entry:
        """The same object under another resourceVersion: what a deletion shows."""
        cut = len(_SPLICE) + len(str(self.revision))
        tail = b"%b%d%b" % (_SPLICE, revision, self.tail[cut:])
        entry = Entry(self.key, self.namespace, self.name, revision, self.create_revision, tail, self.layout)
        entry.learn(self._labels, self._fields)
        return entry

    def stored(self) -> bytes:
        """The value as it lies in the store."""
        rest = self.tail[len(_SPLICE) + len(str(self.revision)) + 1 :]
        return self.layout.prefix + rest.removeprefix(b",")


class EntryReader:
    """Builds the entries of one resource from stored values. `prefix` is the storage key prefix of its objects."""

    def __init__(self, prefix: str, extract: Extract) -> None:
        self.prefix = prefix
        self.extract = extract
        self._layouts: dict[tuple[str, str], Layout] = {}
        self._last: Layout | None = None

    def read(self, key: str, value: bytes, revision: int, create_revision: int) -> Entry:
        """Raises `UndecodableValue`."""
        layout = self._last
        if (
            layout is None
            or not value.startswith(layout.prefix)
            or not value.endswith(b"}")
            or (b'"resourceVersion"' in value and _carries_revision(value))
        ):
            layout, value = self._normalise(key, value)
        return self._built(key, value, revision, create_revision, layout)

    def plant(self, key: str, obj: Object, *, is_complete: bool = False) -> Seed:
        """The value to be written of `obj`, which is only read."""
        layout = self._layout(obj["kind"], obj["apiVersion"])
        namespace, _, name = key[len(self.prefix) :].rpartition("/")
        return Seed(encode(obj), layout, _labels_of(obj), _fields_of(obj, layout, namespace, name), is_complete)

    def grow(self, key: str, seed: Seed, revision: int, create_revision: int) -> Entry:
        """The entry of a value that has been written."""
        entry = self._built(key, seed.value, revision, create_revision, seed.layout)
        entry.learn(seed.labels, seed.fields)
        entry.is_complete = seed.is_complete
        return entry

    def _built(self, key: str, value: bytes, revision: int, create_revision: int, layout: Layout) -> Entry:
        namespace, _, name = key[len(self.prefix) :].rpartition("/")
        start = len(layout.prefix)
        rest = value[start:]
        glue = b'%b%d"%b' if rest.startswith(b"}") else b'%b%d",%b'
        return Entry(key, namespace, name, revision, create_revision, glue % (_SPLICE, revision, rest), layout)

    def _normalise(self, key: str, value: bytes) -> tuple[Layout, bytes]:
        """The slow path: a value of a kind not seen last, or one that was not written by `encode`."""
        obj = _parse(key, value)
        layout = self._last = self._layout(obj["kind"], obj["apiVersion"])
        is_ours = value.startswith(layout.prefix) and value.endswith(b"}") and "resourceVersion" not in obj["metadata"]
        return layout, value if is_ours else encode(obj)

    def _layout(self, kind: str, api_version: str) -> Layout:
        layout = self._layouts.get((kind, api_version))
        if layout is None:
            layout = self._layouts[kind, api_version] = Layout(kind, api_version, self.extract)
        return layout


def _labels_of(obj: Object) -> Mapping[str, str]:
    labels = obj["metadata"].get("labels")
    return dict(labels) if labels else _NO_LABELS


def _fields_of(obj: Object, layout: Layout, namespace: str, name: str) -> Mapping[str, str]:
    fields = {**layout.extract(obj), "metadata.name": name}
    if namespace:
        fields["metadata.namespace"] = namespace
    return fields


def _parse(key: str, value: bytes) -> Object:
    if value.startswith(MAGIC):
        obj = _parse_protobuf(key, value)
    else:
        try:
            obj = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise UndecodableValue(key, f"it is not JSON: {error}") from error
    if not isinstance(obj, dict):
        raise UndecodableValue(key, "it is not a JSON object")
    if not isinstance(obj.get("kind"), str) or not isinstance(obj.get("apiVersion"), str):
        raise UndecodableValue(key, "it has no kind and apiVersion")
    if not isinstance(obj.get("metadata"), dict):
        raise UndecodableValue(key, "it has no metadata")
    return obj


def _parse_protobuf(key: str, value: bytes) -> Object:
    """A kube-apiserver stores Kubernetes' own kinds so, where it is not told otherwise."""
    try:
        envelope = open_envelope(value)
        gvk = GroupVersionKind(*split_api_version(envelope.api_version), envelope.kind)
        node = schema_for(gvk)
        obj = named(decode_message(envelope.raw, node), envelope)
        decode(obj, node)
    except (ProtobufError, DecodeError) as error:
        raise UndecodableValue(key, f"it is no sound protobuf: {error}") from error
    except KeyError as error:
        raise UndecodableValue(key, "it is protobuf of an unknown kind") from error
    return obj


def _carries_revision(value: bytes) -> bool:
    """Other parts of an object may well have a field of this name, such as an Event's involvedObject."""
    return "resourceVersion" in orjson.loads(value)["metadata"]
