"""The definitions of the built-in kinds in the forms that the two OpenAPI versions publish.

They come from the package `kubernetes_validate`, whose copies allow null for every optional field; here nulls go, the
closed sets of values come back, and version 3 gets its defaults. Nothing is kept between two builds of a document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from openapi.documents.enums import ENUMS
from openapi.schema.presence import field_presence

Object = dict[str, Any]

SOURCE = "kubernetes-json-schema/v1.36.0-local/_definitions.json"
SOURCE_REF = "#/$defs/"
V2_REF = "#/definitions/"
V3_REF = "#/components/schemas/"

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

# These two are JSON of more than one type, which version 2 cannot say and version 3 can.
_QUANTITY_TEXT = "A number with a suffix: binary (Ki, Mi, Gi, ...), decimal (m, k, M, G, ...) or an exponent (e3)."
_INT_OR_STRING_TEXT = "A number or a string, for example a port or its name."
_V2_FORMS: dict[str, Object] = {
    QUANTITY: {"description": _QUANTITY_TEXT, "type": "string"},
    INT_OR_STRING: {"description": _INT_OR_STRING_TEXT, "type": "string", "format": "int-or-string"},
}
_V3_FORMS: dict[str, Object] = {
    QUANTITY: {"description": _QUANTITY_TEXT, "oneOf": [{"type": "string"}, {"type": "number"}]},
    INT_OR_STRING: {
        "description": _INT_OR_STRING_TEXT,
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
}

_ZEROS = {"string": "", "integer": 0, "boolean": False}

# Defaults that are written down with the types, by the definition's short name.
_DEFAULTS: dict[str, Object] = {
    "AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "ConfigMapEnvSource": {"name": ""},
    "ConfigMapKeySelector": {"name": ""},
    "ConfigMapProjection": {"name": ""},
    "ConfigMapVolumeSource": {"name": ""},
    "ContainerPort": {"protocol": "TCP"},
    "DeviceToleration": {"operator": "Equal"},
    "FileKeySelector": {"optional": False},
    "GRPCAction": {"service": ""},
    "ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "ISCSIVolumeSource": {"iscsiInterface": "default"},
    "LocalObjectReference": {"name": ""},
    "RBDPersistentVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    "ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "ScaleSpec": {"replicas": 0},
    "SecretEnvSource": {"name": ""},
    "SecretKeySelector": {"name": ""},
    "SecretProjection": {"name": ""},
    "ServicePort": {"protocol": "TCP"},
}


class Definitions:
    """All definitions by name, in the form of version 2; the custom ones given are added to the built-in ones."""

    def __init__(self, custom: Mapping[str, Object]) -> None:
        self._source: Object = orjson.loads(_source_path().read_bytes())["$defs"]
        self._custom = custom
        self._plain: dict[str, Object] = {}

    def plain(self, name: str) -> Object:
        """The definition without nulls; references begin with `#/definitions/`."""
        found = self._plain.get(name)
        if found is None:
            found = self._custom.get(name) or _V2_FORMS.get(name)
            if found is None:
                found = _with_enums(name, _without_nulls(self._source[name]))
            self._plain[name] = found
        return found

    def closure(self, names: Iterable[str]) -> list[str]:
        """The names and all that they refer to, in order."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += _references(self.plain(name))
        return sorted(found)

    def v2(self, names: Iterable[str]) -> dict[str, Object]:
        return {
            name: downgraded(self.plain(name)) if name in self._custom else self.plain(name)
            for name in self.closure(names)
        }

    def v3(self, names: Iterable[str], group_version: tuple[str, str]) -> dict[str, Object]:
        """What the document of one group version needs. Options that belong to all of them are here only its own."""
        found = {name: self._upgraded(name) for name in self.closure(names)}
        for definition in found.values():
            kinds = definition.get("x-kubernetes-group-version-kind", ())
            if len(kinds) > 1:
                kept = [kind for kind in kinds if (kind["group"], kind["version"]) in (("", "v1"), group_version)]
                definition["x-kubernetes-group-version-kind"] = kept
        return found

    def _upgraded(self, name: str) -> Object:
        if name in _V3_FORMS:
            return _V3_FORMS[name]
        found = self.plain(name)
        if name in self._custom:
            return dict(_with_v3_references(found))
        upgraded: Object = _with_v3_references({key: value for key, value in found.items() if key != "properties"})
        required = found.get("required", ())
        if "properties" in found:
            upgraded["properties"] = {
                field: self._field(name, field, value, field in required)
                for field, value in found["properties"].items()
            }
        return upgraded

    def _field(self, definition: str, field: str, value: Object, required: bool) -> Object:
        """A field's schema with the value that it has when nobody gives it one."""
        upgraded: Object = _with_v3_references(value)
        target = value.get("$ref", "").removeprefix(V2_REF)
        leaf = bool(target) and not _is_struct(self.plain(target))
        default = _DEFAULTS.get(definition.rpartition(".")[2], {}).get(field)
        if default is None:
            presence = field_presence(definition, field, required=required, refers=bool(target), leaf=leaf)
            if target:
                default = {} if presence.value and not leaf else None
            elif presence.always and not presence.pointer and value.get("format") != "byte":
                default = _ZEROS.get(value.get("type", ""))
        if default is not None:
            upgraded["default"] = default
            if "$ref" in upgraded:
                upgraded["allOf"] = [{"$ref": upgraded.pop("$ref")}]
        return upgraded


def _source_path() -> Path:
    """Where the package keeps its data; the package itself is never imported, it is slow to."""
    spec = find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("kubernetes-validate is not installed")
    return Path(spec.submodule_search_locations[0]) / SOURCE


def _without_nulls(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_nulls(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _without_nulls(value) for key, value in schema.items()}
    kinds = found.get("type")
    if isinstance(kinds, list):
        found["type"] = next(kind for kind in kinds if kind != "null")
    reference = found.get("$ref")
    if isinstance(reference, str):
        found["$ref"] = V2_REF + reference.removeprefix(SOURCE_REF)
    return found


def _with_enums(name: str, definition: Object) -> Object:
    """The source limits kind and apiVersion to one value, which is not published; other closed sets are."""
    fields = definition.get("properties", {})
    for field in ("apiVersion", "kind"):
        if isinstance(fields.get(field), dict):
            fields[field].pop("enum", None)
    for field, words in ENUMS.get(name.removeprefix("io.k8s.").removeprefix("api."), {}).items():
        values = ["" if word == "EMPTY" else word.replace("_", " ") for word in words.split()]
        schema = fields[field.rstrip("[]{}")]
        if field.endswith("[]"):
            schema["items"]["enum"] = values
        elif field.endswith("{}"):
            schema["additionalProperties"]["enum"] = values
        else:
            schema["enum"] = values
            listed = "".join(f'\n - `"{value}"`' for value in values)
            schema["description"] = f"{schema.get('description', '')}\n\nPossible enum values:{listed}"
    return definition


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(V2_REF)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _is_struct(definition: Object) -> bool:
    return definition.get("type") == "object" and "properties" in definition


def _with_v3_references(schema: Any) -> Any:
    """References move to their new place; one with anything beside it has to be wrapped."""
    if isinstance(schema, list):
        return [_with_v3_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_v3_references(value) for key, value in schema.items()}
    reference = found.get("$ref")
    if isinstance(reference, str):
        found["$ref"] = V3_REF + reference.removeprefix(V2_REF)
        if len(found) > 1:
            found["allOf"] = [{"$ref": found.pop("$ref")}]
    return found


_ONLY_V3 = frozenset(("allOf", "anyOf", "oneOf", "not", "nullable", "default"))


def downgraded(schema: Any) -> Any:
    """A custom kind's schema as far as version 2 can say it: what it cannot say becomes "anything".

    Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/controller/openapi/v2/conversion.go.
    """
    if not isinstance(schema, dict):
        return schema
    found = {key: value for key, value in schema.items() if key not in _ONLY_V3}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        for key in ("items", "properties"):
            found.pop(key, None)
    if schema.get("nullable"):
        for key in ("type", "items", "properties", "required"):
            found.pop(key, None)
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = downgraded(found[key])
    if "properties" in found:
        found["properties"] = {name: downgraded(value) for name, value in found["properties"].items()}
    return found
