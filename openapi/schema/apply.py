"""Server-side apply: merge what a manager wants into an object, by who owns what.

The manager comes to own exactly what its configuration sets. What it owned before and no longer sets is removed unless
somebody else owns it. Setting a field that another manager owns to another value is a conflict, unless forced.
Follows: sigs.k8s.io/structured-merge-diff merge/update.go, staging/src/k8s.io/apimachinery/pkg/util/managedfields/
internal/{structuredmerge,skipnonapplied,lastappliedmanager,lastappliedupdater,conflict}.go
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from openapi.schema.copies import copied
from openapi.schema.fields import FieldSet, difference, intersection, texts, union
from openapi.schema.managed import (
    APPLY,
    Entry,
    Identity,
    Managed,
    ManagedFieldsError,
    identity,
    read_trusted,
    write,
)
from openapi.schema.node import Node
from openapi.schema.shape import ShapeError
from openapi.schema.tracking import (
    ALL,
    Changes,
    Converter,
    Scope,
    disowned,
    stripped,
    updated,
    without_managed_fields,
)
from openapi.schema.typed import compare, field_set, with_named_fields
from openapi.schema.typedcheck import misfit
from openapi.schema.typedmerge import typed_merge, without_fields

Object = dict[str, Any]
Conflicts = dict[Identity, FieldSet]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Owns what an object had when the tracking of it began with an apply.
BEFORE_FIRST_APPLY = "before-first-apply"

# The only manager that takes over from kubectl's client-side apply.
_KUBECTL = "kubectl"
_ANNOTATIONS_LIMIT = 256 * 1024


class ApplyError(ValueError):
    """A configuration that cannot be applied. `code`, `reason` and the text are those of the Status."""

    def __init__(self, message: str, code: int = 500, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class ApplyConflict(ValueError):
    """Other managers own what the configuration changes: 409 Conflict with these `causes`."""

    def __init__(self, conflicts: Conflicts) -> None:
        found = [(who, path) for who in sorted(conflicts) for path in texts(conflicts[who])]
        super().__init__(_conflict_message(found))
        self.causes: list[Object] = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who.text()}", "field": path}
            for who, path in found
        ]


def _conflict_message(found: list[tuple[Identity, str]]) -> str:
    if len(found) == 1:
        who, path = found[0]
        return f"Apply failed with 1 conflict: conflict with {who.text()}: {path}"
    lines: dict[Identity, list[str]] = {}
    for who, path in found:
        lines.setdefault(who, [f"conflicts with {who.text()}:"]).append(f"- {path}")
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(line for group in lines.values() for line in group)


def apply(
    current: Object | None,
    patch: Object,
    *,
    manager: str,
    force: bool,
    node: Node,
    api_version: str,
    subresource: str,
    now: str,
    reset_fields: Sequence[tuple[str, ...]] = ALL,
    only_fields: Sequence[tuple[str, ...]] = ALL,
    convert: Converter | None = None,
) -> tuple[Object, bool]:
    """The merged object with its new managedFields, and whether its content changed. Raises ApplyError, ApplyConflict.

    `patch` is the configuration as it was sent, of the right kind; `current` None if there is no object yet. The result
    is not canonical yet: it has the patch's own spelling of values and its nulls. It shares nothing with `patch`.
    """
    scope = Scope(
        node, api_version, subresource, reset_fields=reset_fields, only_fields=only_fields, convert=convert
    )
    _check(patch, scope)
    live = without_managed_fields(current) if current is not None else {}
    who = identity(manager, APPLY, api_version, subresource)
    try:
        managed = _current_entries(current, live, scope, now)
        merged, owned = _merged(live, copied(patch), managed, who, scope)
        conflicts = _conflicts(managed, who, live, merged, scope)
    except (ShapeError, AttributeError, TypeError) as error:
        problems = misfit(node, live, allow_duplicates=True)
        if not problems:
            raise
        raise ApplyError(f"failed to create typed live object ({title(live)}): {problems}") from error
    if conflicts and manager == _KUBECTL and not force:
        conflicts = _unless_last_applied(conflicts, live, scope)
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    managed = disowned({**managed, who: owned}, who, scope.compare(live, merged), live, merged, scope)
    merged = without_managed_fields(merged)
    changed = merged != live
    if who in managed:
        fields = stripped(owned.fields)
        managed[who] = replace(owned, fields=fields, time=now if changed else owned.time)
        if not fields:
            del managed[who]
    result = {**merged, "metadata": dict(merged.get("metadata") or {})}
    if manager == _KUBECTL:
        _refresh_last_applied(result, patch)
    if managed:
        result["metadata"]["managedFields"] = write(managed)
    return result, changed


def _check(patch: Object, scope: Scope) -> None:
    version = patch.get("apiVersion", "")
    if version != scope.api_version:
        raise ApplyError(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {version}, expected: {scope.api_version}",
            400,
            "BadRequest",
        )
    metadata = patch.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise ApplyError("metadata.managedFields must be nil", 400, "BadRequest")
    problems = misfit(scope.node, patch)
    if problems:
        raise ApplyError(f"failed to create typed patch object ({title(patch)}): {problems}")


def title(patch: Object) -> str:
    """How messages name an object: `namespace/name; group/version, Kind=kind`."""
    metadata = patch.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    version = patch.get("apiVersion", "")
    group_version = version if "/" in version else f"/{version}"
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {group_version}, Kind={patch.get('kind', '')}"


def _current_entries(current: Object | None, live: Object, scope: Scope, now: str) -> Managed:
    if current is None:
        return {}
    try:
        managed = read_trusted(current["metadata"].get("managedFields"))
    except ManagedFieldsError as error:
        raise ApplyError(f"failed to decode managed fields: {error}") from error
    return scope.fitting(managed) or updated({}, {}, live, scope, BEFORE_FIRST_APPLY, now)


def _merged(live: Object, config: Object, managed: Managed, who: Identity, scope: Scope) -> tuple[Object, Entry]:
    """The object after the apply, and the applier's entry with everything that the configuration sets."""
    merged = typed_merge(scope.node, live, config)
    fields = scope.owned(field_set(scope.node, config))
    last = managed.get(who)
    owned = Entry(fields, scope.api_version, True, last.time if last is not None else None)
    if last is not None and difference(last.fields, fields):
        merged = _pruned(merged, last.fields, {**managed, who: owned}, scope.node)
    return merged, owned


def _pruned(merged: Object, last: FieldSet, managed: Managed, node: Node) -> Object:
    """`merged` without what is in `last`, the applier's former set, and nobody owns any more.

    A struct field or a list item goes with the last field in it; one that others or nobody put something into stays.
    """
    last = with_named_fields(node, last)
    everything = with_named_fields(node, field_set(node, merged))
    kept = with_named_fields(node, field_set(node, without_fields(node, merged, last)))
    for entry in managed.values():
        kept = union(kept, with_named_fields(node, entry.fields))
    pruned = without_fields(node, merged, difference(everything, kept))
    left = with_named_fields(node, field_set(node, pruned))
    return without_fields(node, merged, intersection(difference(everything, left), last))  # type: ignore[no-any-return]


def _conflicts(managed: Managed, who: Identity, live: Object, merged: Object, scope: Scope) -> Conflicts:
    """What others own of the fields that the apply changes or adds."""
    changes = Changes(scope.compare(live, merged), live, merged, scope)
    found: Conflicts = {}
    for other, entry in managed.items():
        theirs = changes.at(entry.api_version)
        if other != who and theirs is not None:
            fields = intersection(entry.fields, theirs[0])
            if fields:
                found[other] = fields
    return found


# Taking over from client-side apply


def _unless_last_applied(conflicts: Conflicts, live: Object, scope: Scope) -> Conflicts:
    """The conflicts without those over fields that kubectl's client-side apply set and that are still as it did."""
    allowed = _set_by_last_applied(live, scope)
    if not allowed:
        return conflicts
    rest = {who: difference(fields, allowed) for who, fields in conflicts.items()}
    return {who: fields for who, fields in rest.items() if fields}


def _set_by_last_applied(live: Object, scope: Scope) -> FieldSet:
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return {}
    try:
        last = orjson.loads(text)
    except ValueError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != scope.api_version or misfit(scope.node, last):
        return {}
    changed, removed = compare(scope.node, last, live)
    return difference(difference(field_set(scope.node, last), changed), removed)


def _refresh_last_applied(obj: Object, patch: Object) -> None:
    """Bring kubectl's annotation, where there is one, up to date, so that client-side apply can go on from here."""
    annotations = obj["metadata"].get("annotations")
    if not annotations or not annotations.get(LAST_APPLIED):
        return
    annotations = {**annotations, LAST_APPLIED: _configuration_text(patch)}
    size = sum(len(key.encode()) + len((value or "").encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_LIMIT:
        del annotations[LAST_APPLIED]
    obj["metadata"]["annotations"] = annotations


def _configuration_text(patch: Object) -> str:
    annotations = (patch.get("metadata") or {}).get("annotations")
    if annotations is not None:
        rest = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        patch = {**patch, "metadata": {**patch["metadata"], "annotations": rest}}
    text = orjson.dumps(patch, option=orjson.OPT_SORT_KEYS).decode()
    for char, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, escape)
    return text + "\n"


