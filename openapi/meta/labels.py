"""Small questions about an object's labels, annotations, finalizers and owners, asked everywhere.

All functions accept objects without metadata of that sort, and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NONE: dict[str, str] = {}


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """`metadata.labels`, or an empty mapping."""
    labels: Mapping[str, str] = obj.get("metadata", _NONE).get("labels") or _NONE
    return labels


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """`metadata.annotations`, or an empty mapping."""
    annotations: Mapping[str, str] = obj.get("metadata", _NONE).get("annotations") or _NONE
    return annotations


def finalizers_of(obj: Mapping[str, Any]) -> Sequence[str]:
    """`metadata.finalizers`, or an empty sequence."""
    finalizers: Sequence[str] = obj.get("metadata", _NONE).get("finalizers") or ()
    return finalizers


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference marked as the controller, if there is one."""
    references: Sequence[Mapping[str, Any]] = obj.get("metadata", _NONE).get("ownerReferences") or ()
    for reference in references:
        if reference.get("controller") is True:
            return reference
    return None
