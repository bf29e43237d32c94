"""The three patch forms that a body may have, applied to the current object, and server-side apply.

Each becomes a `Change` that the write path calls again when somebody else was faster.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from apiserver.registry.bodies import SCHEME, decode_object, media_type, strict_error, told, unsupported
from apiserver.registry.call import Call
from apiserver.registry.writes import Change, check_name, check_namespace
from openapi.catalog import GroupVersionKind, split_api_version
from openapi.meta import field as field_errors
from openapi.meta import status
from openapi.schema.apply import ApplyConflict, ApplyError, apply
from openapi.schema.decode import DecodeError, decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.gojson import JSONSyntaxError
from openapi.schema.gotext import go_value, in_go_order
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, TooManyOperations, json_patch
from openapi.schema.load import schema_for
from openapi.schema.merge import StrategicMergeError, strategic_merge
from openapi.schema.mergepatch import json_merge
from openapi.schema.node import Node
from openapi.schema.parse import parse
from openapi.schema.yamlbody import YAMLError, parse_yaml

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
BUILT_IN_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
CUSTOM_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)


def patch_type(content_type: str, *, custom: bool) -> str:
    """The form of a patch. Raises 415."""
    media = media_type(content_type)
    accepted = CUSTOM_TYPES if custom else BUILT_IN_TYPES
    if media not in accepted:
        raise unsupported(", ".join(accepted if custom else (*accepted, "application/apply-patch+cbor")))
    return media


def patch_change(call: Call, media: str, raw: bytes) -> Change:
    """The change that a JSON, merge or strategic merge patch asks for. Raises 400 for a body that is none."""
    document, duplicates = _document(raw, media)

    def change(current: Object | None) -> Object:
        assert current is not None
        if media == STRATEGIC_PATCH:
            obj = _strategic(call, current, document)
            shown = partial(go_value, document)
            resets = _resets_ownership(obj)
            problems = duplicates + sorted(_converted(call, obj, shown))
        else:
            obj = _patched(current, document, media)
            shown = partial(_patched_text, current, document, media)
            resets = _resets_ownership(obj)
            problems = duplicates + _decoded(call, obj, shown)
        if resets:
            obj["metadata"]["managedFields"] = []
        if problems and call.options.validation == "Strict":
            raise _invalid_patch(shown(), strict_error(problems))
        return _finished(call, obj, problems)

    return change


def _resets_ownership(obj: Object) -> bool:
    """An empty list of managed fields, which decoding would drop, asks to forget all owners."""
    meta = obj.get("metadata")
    return isinstance(meta, dict) and meta.get("managedFields") == []


def apply_change(call: Call, raw: bytes) -> Change:
    """The change that a server-side apply asks for. Raises 400 for a body that cannot be applied."""
    row = call.endpoint.resource
    try:
        document, duplicates = parse_yaml(raw)
    except (JSONSyntaxError, YAMLError) as err:
        text = str(err)
        raise status.bad_request(f"error decoding YAML: error converting YAML to JSON: {text}") from err
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise status.bad_request(f"error decoding YAML: {_cannot_unmarshal(document)}")
    kind, version = (value if isinstance(value, str) else "" for value in map(document.get, ("kind", "apiVersion")))
    if (version, kind) != (row.api_version, row.kind):
        group, _, short = version.rpartition("/")
        raise status.bad_request(f"invalid object type: {group}/{short}, Kind={kind}")
    document.setdefault("metadata", {})

    def change(current: Object | None) -> Object:
        try:
            obj, _ = apply(
                current,
                document,
                manager=call.manager,
                force=bool(call.options.force),
                node=call.endpoint.node,
                api_version=row.api_version,
                subresource=call.subresource,
                now=call.now_text,
                reset_fields=call.strategy.reset_fields,
                only_fields=call.strategy.only_fields,
            )
        except ApplyConflict as err:
            raise status.apply_conflict(str(err), err.causes) from err
        except ApplyError as err:
            raise _apply_error(err) from err
        if duplicates and call.options.validation == "Strict":
            why = f"error converting YAML to JSON: {duplicates[0]}"
            raise status.bad_request(f"error strict decoding YAML: {why}")
        uid = (obj.get("metadata") or {}).get("uid")
        if current is None and uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise status.conflict(row.group, row.resource, call.name, why)
        decode_object(obj, call.endpoint.node, row.gvk)
        return _finished(call, obj, duplicates)

    return change


def _apply_error(err: ApplyError) -> status.StatusError:
    return status.StatusError(err.code, err.reason, str(err))


def _finished(call: Call, obj: Object, problems: list[str]) -> Object:
    row = call.endpoint.resource
    if call.options.validation != "Ignore":
        call.warnings += told(problems)
    obj["kind"], obj["apiVersion"] = row.kind, row.api_version
    meta = obj.setdefault("metadata", {})
    check_namespace(call, meta)
    check_name(call, meta)
    apply_defaults(obj, row.gvk)
    return obj


def _document(raw: bytes, media: str) -> tuple[Any, list[str]]:
    try:
        document, duplicates = parse(raw)
    except JSONSyntaxError as err:
        raise status.bad_request(str(err) if media == STRATEGIC_PATCH else f"error decoding patch: {err}") from err
    if media == JSON_PATCH:
        return document, duplicates
    if document is None:
        return {}, duplicates
    if not isinstance(document, dict):
        text = _cannot_unmarshal(document)
        raise status.bad_request(text if media == STRATEGIC_PATCH else f"error decoding patch: {text}")
    return document, duplicates


def _cannot_unmarshal(value: Any, target: str = "map[string]interface {}") -> str:
    what = {list: "array", dict: "object", str: "string", bool: "bool"}.get(type(value), "number")
    return f"json: cannot unmarshal {what} into Go value of type {target}"


def _patched(current: Object, document: Any, media: str) -> Object:
    if media == MERGE_PATCH:
        merged: Any = json_merge(current, document)
    else:
        try:
            merged = json_patch(current, document)
        except TooManyOperations as err:
            raise status.request_entity_too_large(str(err)) from err
        except InvalidPatch as err:
            raise status.bad_request(f"error decoding patch: {err}") from err
        except JsonPatchError as err:
            text = "the server rejected our request due to an error in our request"
            raise status.StatusError(422, "Invalid", text, details={}) from err
    if not isinstance(merged, dict):
        raise _invalid_patch(_json_text(merged), _cannot_unmarshal(merged))
    return merged


def _strategic(call: Call, current: Object, document: Object) -> Object:
    try:
        return strategic_merge(current, document, call.endpoint.node)
    except StrategicMergeError as err:
        raise status.StatusError(err.code, err.reason, str(err), details=err.details) from err


_MISMATCH = re.compile(r"json: cannot unmarshal (\w+).* of type (\S+)$")
_GO_KINDS = {"object": "map", "array": "slice", "number": "int64"}


def _converted(call: Call, obj: Object, shown: Callable[[], str]) -> list[str]:
    """As `_decoded`, in the words of the converter that reads merged documents."""
    row = call.endpoint.resource
    try:
        return decode(obj, call.endpoint.node, row.gvk)
    except DecodeError as err:
        why, found = str(err), _MISMATCH.match(str(err))
        if found is not None:
            kind, wanted = _GO_KINDS.get(found[1], found[1]), found[2]
            if wanted.startswith(("[]", "map[")):
                why = f"cannot restore {'slice' if wanted.startswith('[]') else 'map'} from {kind}"
            elif "." in wanted:
                why = f"cannot restore struct from: {kind}"
        raise _invalid_patch(shown(), why) from err


def _decoded(call: Call, obj: Object, shown: Callable[[], str]) -> list[str]:
    row = call.endpoint.resource
    node = call.endpoint.node
    kind, version = obj.get("kind", row.kind), obj.get("apiVersion", row.api_version)
    if (version, kind) != (row.api_version, row.kind) and not row.custom:
        node = _other_kind(version, kind, shown)
    try:
        return decode(obj, node, row.gvk)
    except DecodeError as err:
        raise _invalid_patch(shown(), str(err)) from err


def _other_kind(version: Any, kind: Any, shown: Callable[[], str]) -> Node:
    """A patch that changes the kind is read as that kind. Raises 422 when there is no such kind."""
    group, short = split_api_version(str(version))
    try:
        return schema_for(GroupVersionKind(group, short, str(kind)))
    except LookupError:
        why = f'no kind "{kind}" is registered for version "{version}" in scheme "{SCHEME}"'
        raise _invalid_patch(shown(), why) from None


def _invalid_patch(shown: str, why: str) -> status.StatusError:
    error = field_errors.invalid("patch", shown, why)
    return status.StatusError(
        422,
        "Invalid",
        f' "" is invalid: {error}',
        details={"causes": [{"reason": error.type, "message": error.body, "field": error.path}]},
    )


def _patched_text(current: Object, document: Any, media: str) -> str:
    """The patched document for a message. Made anew: decoding has changed the one that it refused."""
    return _json_text(_patched(current, document, media))


def _json_text(obj: Any) -> str:
    """A patched document as messages show it: top-level fields by name, metadata in the order of its type."""
    if isinstance(obj, dict):
        obj = {k: obj[k] for k in sorted(obj)}
        if isinstance(obj.get("metadata"), dict):
            obj["metadata"] = in_go_order(obj["metadata"])
    return orjson.dumps(obj).decode()
