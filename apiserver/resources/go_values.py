"""Bad values that are whole structs: shown in the server's internal form, with its own field names and order.

The internal types carry no JSON names, so a taint is shown as {"Key":..,"Value":..}. Messages must say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from openapi.meta.field import Verbatim

GoField = tuple[str, str, Any]
"""The internal name, the name on the wire, and what an absent field is."""


def go_struct(value: Mapping[str, Any], fields: Sequence[GoField]) -> Verbatim:
    """The internal JSON of one struct, fields in their order of declaration."""
    shown = {go_name: value.get(name, absent) for go_name, name, absent in fields}
    return Verbatim(orjson.dumps(shown).decode())


OBJECT_REFERENCE: tuple[GoField, ...] = (
    ("Kind", "kind", ""),
    ("Namespace", "namespace", ""),
    ("Name", "name", ""),
    ("UID", "uid", ""),
    ("APIVersion", "apiVersion", ""),
    ("ResourceVersion", "resourceVersion", ""),
    ("FieldPath", "fieldPath", ""),
)
