"""What all versions of a definition share: the API's internal form keeps it once, and messages name that place.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/v1/conversion.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.apiextensions.internal_form import (
    shown_columns,
    shown_selectable,
    shown_subresources,
    shown_validation,
)

Struct = Mapping[str, Any]

# The field of a version, what it is when hoisted, and the way to it below a version.
SCHEMA = ("schema", "validation", "schema")
SUBRESOURCES = ("subresources", "subresources", "subresources")
COLUMNS = ("additionalPrinterColumns", "additionalPrinterColumns", "additionalPrinterColumns")
FIELDS = ("selectableFields", "selectableFields", "selectableFields")
Part = tuple[str, str, str]

_SHOWN = (
    ("Name", "name", ""),
    ("Served", "served", False),
    ("Storage", "storage", False),
    ("Deprecated", "deprecated", False),
    ("DeprecationWarning", "deprecationWarning", None),
)


def is_shared(versions: Sequence[Struct], part: Part) -> bool:
    return bool(versions) and all(version.get(part[0]) == versions[0].get(part[0]) for version in versions)


def shared_part(versions: Sequence[Struct], part: Part) -> tuple[str, Any] | None:
    """The place and value of a part that all versions have in common; None if there is none."""
    value = versions[0].get(part[0]) if is_shared(versions, part) else None
    return None if value is None else (f"spec.{part[1]}", value)


def own_part(versions: Sequence[Struct], index: int, part: Part) -> tuple[str, Any] | None:
    """The place and value of a part that is one version's own."""
    if is_shared(versions, part):
        return None
    value = versions[index].get(part[0])
    return None if value is None else (f"spec.versions[{index}].{part[2]}", value)


def shown_versions(versions: Sequence[Struct]) -> list[dict[str, Any]]:
    """The versions in messages: the internal form without what is shared."""
    return [_shown(versions, version) for version in versions]


def _shown(versions: Sequence[Struct], version: Struct) -> dict[str, Any]:
    def own(part: Part, show: Callable[[Any], Any]) -> Any:
        value = None if is_shared(versions, part) else version.get(part[0])
        return None if value is None else show(value)

    shown = {name: version.get(field, absent) for name, field, absent in _SHOWN}
    return {
        **shown,
        "Schema": own(SCHEMA, shown_validation),
        "Subresources": own(SUBRESOURCES, shown_subresources),
        "AdditionalPrinterColumns": own(COLUMNS, shown_columns),
        "SelectableFields": own(FIELDS, shown_selectable),
    }


def all_schemas(versions: Sequence[Struct]) -> Iterator[Struct]:
    for version in versions:
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            yield schema
