"""Custom resource definitions.

Follows: apiextensions-apiserver/pkg/registry/customresourcedefinition/{strategy,etcd}.go,
pkg/apis/apiextensions/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.apiextensions import hoisting
from apiserver.resources.apiextensions.approval import ANNOTATION, approval, is_protected
from apiserver.resources.apiextensions.definition_parts import (
    deprecation_problems,
    validate_columns,
    validate_conversion,
    validate_selectable_fields,
    validate_subresources,
    validate_version_schema,
)
from apiserver.resources.field_rules import IMMUTABLE, at_once, each
from apiserver.resources.spec_rules import EMPTY, verbatim
from apiserver.resources.status_only import StatusOnly
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.custom.formats import KNOWN_FORMATS
from openapi.custom.kind import schema_has_defaults
from openapi.meta.field import FieldError, invalid, not_supported, quote, required
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import is_dns1035_label, is_dns1123_subdomain, name_is_dns_subdomain
from openapi.meta.times import format_time

Struct = Mapping[str, Any]

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_CASE = "may have mixed case, but should otherwise match: "
_STORED = (
    "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a "
    "storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
)
_PRESERVED = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
_TERMINATING = {
    "type": "Terminating",
    "status": "True",
    "reason": "InstanceDeletionPending",
    "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
}


class DefinitionStatus(StatusOnly):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        accepted = (obj.get("status") or EMPTY).get("acceptedNames") or EMPTY
        yield from _validate_forms(accepted, "status.acceptedNames")


class DefinitionStrategy(WithStatus):
    allow_unconditional_update = False
    is_emptied_first = True
    subresources = {"status": DefinitionStatus()}

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None}
        status = dict(obj.get("status") or {})
        for version in _versions(obj):
            if version.get("storage") and version.get("name") not in (status.get("storedVersions") or ()):
                status["storedVersions"] = [*(status.get("storedVersions") or ()), version.get("name", "")]
        obj["status"] = status

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec, meta = obj.get("spec") or EMPTY, obj["metadata"]
        required_name = f"{(spec.get('names') or EMPTY).get('plural', '')}.{spec.get('group', '')}"

        def check_name(name: str, prefix: bool) -> list[str]:
            problems = name_is_dns_subdomain(name, prefix)
            return problems if name == required_name else [*problems, 'must be spec.names.plural+"."+spec.group']

        if old is None:
            yield from validate_object_meta(meta, namespaced=False, name=check_name)
        else:
            yield from validate_object_meta_update(meta, old["metadata"])
        yield from _validate_spec(spec)
        if old is not None:
            yield from _validate_immutable(spec, old)
        yield from _validate_stored(obj)
        annotation = (meta.get("annotations") or EMPTY).get(ANNOTATION)
        if is_protected(spec.get("group", "")) and not approval(annotation).is_given and _was_approved(old):
            where = f"metadata.annotations[{ANNOTATION}]"
            text = approval(annotation).message
            yield required(where, text) if not annotation else invalid(where, annotation, text)
        if spec.get("preserveUnknownFields") and not (old or EMPTY).get("spec", EMPTY).get("preserveUnknownFields"):
            yield invalid("spec.preserveUnknownFields", True, _PRESERVED)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        found: dict[str, None] = {}
        for schema in hoisting.all_schemas(_versions(obj)):
            for name in _unknown_formats(schema):
                found[f"unrecognized format {quote(name)}"] = None
        return list(found)

    def is_held(self, obj: Object) -> bool:
        """Its objects go first."""
        return "deletionTimestamp" not in obj["metadata"] or bool(obj["metadata"].get("finalizers"))

    def mark_deleted(self, obj: Object) -> None:
        meta, status = obj["metadata"], obj.setdefault("status", {})
        finalizers = meta.setdefault("finalizers", [])
        if CLEANUP not in finalizers:
            finalizers.append(CLEANUP)
        condition = {**_TERMINATING, "lastTransitionTime": meta["deletionTimestamp"]}
        others = [c for c in status.get("conditions") or () if c.get("type") != condition["type"]]
        status["conditions"] = [*others, condition]


def _versions(obj: Struct) -> Sequence[Struct]:
    versions: Sequence[Struct] = (obj.get("spec") or EMPTY).get("versions") or ()
    return versions


def _was_approved(old: Struct | None) -> bool:
    """What was stored without an approval may stay so."""
    if old is None:
        return True
    return approval((old["metadata"].get("annotations") or EMPTY).get(ANNOTATION)).is_given


def _unknown_formats(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    form = schema.get("format", "")
    if form and form not in KNOWN_FORMATS:
        yield form
    for below in (schema.get("properties") or {}).values():
        yield from _unknown_formats(below)
    yield from _unknown_formats(schema.get("items"))
    yield from _unknown_formats(schema.get("additionalProperties"))


def _validate_immutable(spec: Struct, old: Struct) -> Iterator[FieldError]:
    """Names and scope of what is already served."""
    old_spec = old.get("spec") or EMPTY
    conditions = (old.get("status") or EMPTY).get("conditions") or ()
    established = any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
    names, old_names = spec.get("names") or EMPTY, old_spec.get("names") or EMPTY
    if established:
        if spec.get("scope") != old_spec.get("scope"):
            yield invalid("spec.scope", spec.get("scope", ""), IMMUTABLE)
        if names.get("kind") != old_names.get("kind"):
            yield invalid("spec.names.kind", names.get("kind", ""), IMMUTABLE)
    if spec.get("group") != old_spec.get("group"):
        yield invalid("spec.group", spec.get("group", ""), IMMUTABLE)
    if names.get("plural") != old_names.get("plural"):
        yield invalid("spec.names.plural", names.get("plural", ""), IMMUTABLE)


def _validate_spec(spec: Struct) -> Iterator[FieldError]:
    group, scope, versions = spec.get("group", ""), spec.get("scope", ""), spec.get("versions") or ()
    if not group:
        yield required("spec.group")
    elif is_dns1123_subdomain(group):
        yield invalid("spec.group", group, ",".join(is_dns1123_subdomain(group)))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    for i, version in enumerate(versions):
        if (version.get("schema") or EMPTY).get("openAPIV3Schema") is None:
            yield required(f"spec.versions[{i}].schema.openAPIV3Schema")
    preserves = bool(spec.get("preserveUnknownFields"))
    if preserves and any(schema_has_defaults(schema) for schema in hoisting.all_schemas(versions)):
        yield invalid("spec.preserveUnknownFields", True, "must be false in order to use defaults in the schema")
    yield from _validate_versions(spec.get("versions"))
    yield from _validate_names(spec.get("names") or EMPTY)
    any_status = any((v.get("subresources") or EMPTY).get("status") is not None for v in versions)
    yield from _validate_parts(versions, None, has_status=any_status)
    if spec.get("conversion") is not None:
        yield from validate_conversion(spec["conversion"], "spec.conversion", preserves=preserves)


def _validate_versions(versions: Sequence[Struct] | None) -> Iterator[FieldError]:
    known = versions or ()
    for i, version in enumerate(known):
        name = version.get("name", "")
        yield from at_once(is_dns1035_label(name), f"spec.versions[{i}].name", name)
        warning = version.get("deprecationWarning")
        if warning is not None:
            problems = deprecation_problems(warning, deprecated=bool(version.get("deprecated")))
            yield from each(problems, f"spec.versions[{i}].deprecationWarning", warning)
        has_status = (version.get("subresources") or EMPTY).get("status") is not None
        yield from _validate_parts(known, i, has_status=has_status)
    shown = verbatim(hoisting.shown_versions(known)) if versions is not None else None
    if len({version.get("name") for version in known}) != len(known):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in known) != 1:
        yield invalid("spec.versions", shown, "must have exactly one version marked as storage version")


def _validate_parts(versions: Sequence[Struct], index: int | None, *, has_status: bool) -> Iterator[FieldError]:
    """What one version says for itself, or all say alike (no index)."""

    def part(which: hoisting.Part) -> tuple[str, Any]:
        if index is None:
            found = hoisting.shared_part(versions, which)
        else:
            found = hoisting.own_part(versions, index, which)
        return found or ("", None)

    path, schema = part(hoisting.SCHEMA)
    if schema is not None:
        yield from validate_version_schema(schema, path, has_status=has_status)
    path, subresources = part(hoisting.SUBRESOURCES)
    if subresources is not None:
        yield from validate_subresources(subresources, path)
    path, columns = part(hoisting.COLUMNS)
    yield from validate_columns(columns or (), path)
    path, fields = part(hoisting.FIELDS)
    if fields:
        own = versions[index or 0].get("schema") or EMPTY
        yield from validate_selectable_fields(fields, own.get("openAPIV3Schema"), path)


def _validate_names(names: Struct) -> Iterator[FieldError]:
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            yield required(f"spec.names.{name}")
    yield from _validate_forms(names, "spec.names")


def _validate_forms(names: Struct, path: str) -> Iterator[FieldError]:
    for name in ("plural", "singular", "kind", "listKind"):
        text = names.get(name, "")
        mixed = name in ("kind", "listKind")
        problems = is_dns1035_label(text.lower() if mixed else text) if text else []
        yield from at_once(problems, f"{path}.{name}", text, _CASE if mixed else "")
    yield from _validate_labels(names.get("shortNames") or (), f"{path}.shortNames")
    if names.get("kind") and names["kind"] == names.get("listKind"):
        yield invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")
    yield from _validate_labels(names.get("categories") or (), f"{path}.categories")


def _validate_labels(labels: Sequence[str], path: str) -> Iterator[FieldError]:
    for i, label in enumerate(labels):
        yield from at_once(is_dns1035_label(label), f"{path}[{i}]", label)


def _validate_stored(obj: Struct) -> Iterator[FieldError]:
    stored = (obj.get("status") or EMPTY).get("storedVersions")
    if not stored:
        yield invalid("status.storedVersions", stored, "must have at least one stored version")
    names = {version.get("name") for version in _versions(obj)}
    for i, name in enumerate(stored or ()):
        if name not in names:
            yield invalid(f"status.storedVersions[{i}]", name, _STORED.format(name))


def condition(kind: str, status: str, reason: str, message: str, now: Any) -> Object:
    """A condition of a definition, changed `now`."""
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
