"""The rules of metadata for built-in kinds: those of every object, and finalizers by standard or qualified names.

Custom resources follow `openapi.meta.metadata` alone.
Follows: pkg/apis/core/validation/validation.go ValidateObjectMeta, ValidateObjectMetaUpdate
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.meta import metadata
from openapi.meta.field import FieldError, invalid
from openapi.meta.names import NameValidator

Meta = Mapping[str, Any]

STANDARD_FINALIZERS = frozenset(("kubernetes", "orphan", "foregroundDeletion"))
_UNQUALIFIED = "name is neither a standard finalizer name nor is it fully qualified"


def validate_object_meta(
    meta: Meta, *, namespaced: bool, name: NameValidator, path: str = "metadata"
) -> Iterator[FieldError]:
    """What is wrong with the metadata of an object about to be created."""
    yield from metadata.validate_object_meta(meta, namespaced=namespaced, name=name, path=path)
    yield from _validate_finalizers(meta, path)


def validate_object_meta_update(meta: Meta, old_meta: Meta, path: str = "metadata") -> Iterator[FieldError]:
    """What an update of metadata may not do."""
    yield from metadata.validate_object_meta_update(meta, old_meta, path)
    yield from _validate_finalizers(meta, path)


def _validate_finalizers(meta: Meta, path: str) -> Iterator[FieldError]:
    for i, finalizer in enumerate(meta.get("finalizers") or ()):
        yield from validate_finalizer_name(finalizer, f"{path}.finalizers[{i}]")


def validate_finalizer_name(name: str, path: str) -> Iterator[FieldError]:
    """A name without a domain must be one of the standard ones."""
    if "/" not in name and name not in STANDARD_FINALIZERS:
        yield invalid(path, name, _UNQUALIFIED)
