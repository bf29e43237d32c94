"""The three patch forms that a body may have, applied to the current object, and server-side apply.

Each becomes a `Change` that the write path calls again when somebody else was faster.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import orjson

from apiserver.registry.bodies import SCHEME, cannot_handle, decode_object, strict_error, told, wrong_custom_kind
from apiserver.registry.call import Call
from apiserver.registry.patch_bodies import MERGE_PATCH, STRATEGIC_PATCH, cannot_unmarshal, read_patch
from apiserver.registry.writes import Change, check_name, check_namespace
from openapi.catalog import GroupVersionKind, Resource, split_api_version
from openapi.meta import field as field_errors
from openapi.meta import status
from openapi.schema.apply import ApplyConflict, ApplyError, apply, title
from openapi.schema.convert import ConversionError, convert
from openapi.schema.decode import DecodeError, decode, kind_error
from openapi.schema.defaults import apply_defaults
from openapi.schema.gojson import JSONSyntaxError
from openapi.schema.gostruct import as_written
from openapi.schema.gotext import go_value
from openapi.schema.jsonpatch import InvalidPatch, JsonPatchError, TooManyOperations, json_patch
from openapi.schema.load import schema_for
from openapi.schema.merge import StrategicMergeError, strategic_merge
from openapi.schema.mergepatch import json_merge
from openapi.schema.node import ANY, Node
from openapi.schema.yamlbody import YAMLError, parse_yaml

Object = dict[str, Any]


def patch_change(call: Call, media: str, raw: bytes) -> Change:
    """The change that a JSON, merge or strategic merge patch asks for; it raises 400 for a body that is none."""
    read = cache(lambda: read_patch(raw, media, call.options.validation))

    def change(current: Object | None) -> Object:
        assert current is not None
        document, duplicates = read()
        known = current if call.is_complete else None
        if media == STRATEGIC_PATCH:
            shown = partial(go_value, document)
            obj = _strategic(call, current, document)
            resets = _resets_ownership(obj)
            obj, unknown = _converted(call, obj, known, partial(_strategic, call, current, document), shown)
            problems = duplicates + sorted(unknown)
        else:
            obj = _patched(current, document, media)
            shown = partial(_patched_text, call, current, document, media)
            resets = _resets_ownership(obj)
            problems = duplicates + _decoded(call, obj, known, shown)
        if resets:
            obj["metadata"]["managedFields"] = []
        if problems and call.options.validation == "Strict":
            raise _invalid_patch(shown(), strict_error(problems))
        return _finished(call, obj, problems, known)

    return change


def _resets_ownership(obj: Object) -> bool:
    """An empty list of managed fields, which decoding would drop, asks to forget all owners."""
    meta = obj.get("metadata")
    return isinstance(meta, dict) and meta.get("managedFields") == []


def apply_change(call: Call, raw: bytes) -> Change:
    """The change that a server-side apply asks for; it raises 400 for a body that cannot be applied."""
    row = call.endpoint.resource
    read = cache(lambda: _configuration(row, raw))

    def change(current: Object | None) -> Object:
        document, duplicates = read()
        obj = _applied(call, current, document)
        if duplicates and call.options.validation == "Strict":
            why = f"error converting YAML to JSON: {duplicates[0]}"
            raise status.bad_request(f"error strict decoding YAML: {why}")
        uid = (obj.get("metadata") or {}).get("uid")
        if current is None and uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise status.conflict(row.group, row.resource, call.name, why)
        return _finished(call, obj, duplicates)

    return change


def _configuration(row: Resource, raw: bytes) -> tuple[Object, list[str]]:
    """The object that a body applies, and the text of its duplicate keys, if any. Raises 400."""
    try:
        document, duplicates = parse_yaml(raw)
    except (JSONSyntaxError, YAMLError) as err:
        text = str(err)
        raise status.bad_request(f"error decoding YAML: error converting YAML to JSON: {text}") from err
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise status.bad_request(f"error decoding YAML: {cannot_unmarshal(document)}")
    kind, version = (value if isinstance(value, str) else "" for value in map(document.get, ("kind", "apiVersion")))
    if (version, kind) != (row.api_version, row.kind):
        group, _, short = version.rpartition("/")
        raise status.bad_request(f"invalid object type: {group}/{short}, Kind={kind}")
    document.setdefault("metadata", {})
    return document, duplicates


def _applied(call: Call, current: Object | None, document: Object) -> Object:
    """The object after an apply. Raises what forbids it."""
    row, node = call.endpoint.resource, call.endpoint.node

    def merged() -> Object:
        try:
            obj, _ = apply(
                current,
                document,
                manager=call.manager,
                force=bool(call.options.force),
                node=node,
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
        return obj

    obj = merged()
    try:
        decode(obj, node, row.gvk)
    except DecodeError as err:
        if row.custom:
            raise cannot_handle(row.gvk, str(err)) from err
        obj = merged()
        try:
            convert(obj, node)
        except ConversionError as unfit:
            group_version = row.api_version if row.group else f"/{row.version}"
            text = (
                f"failed to convert new object ({title(document)}) to proper version: "
                f"unable to convert unstructured object to {group_version}, Kind={row.kind}: {unfit}"
            )
            raise status.StatusError(500, "", text) from unfit
        decode_object(obj, node, row.gvk)
    return obj


def _apply_error(err: ApplyError) -> status.StatusError:
    return status.StatusError(err.code, err.reason, str(err))


def _finished(call: Call, obj: Object, problems: list[str], known: Object | None = None) -> Object:
    row = call.endpoint.resource
    if call.options.validation != "Ignore":
        call.warnings += told(problems)
    obj["kind"], obj["apiVersion"] = row.kind, row.api_version
    meta = obj.setdefault("metadata", {})
    check_namespace(call, meta)
    check_name(call, meta)
    apply_defaults(obj, row.gvk, known)
    return obj


def _patched(current: Object, document: Any, media: str) -> Object:
    if media == MERGE_PATCH:
        merged: Any = json_merge(current, document) if isinstance(document, dict) else document
    else:
        try:
            merged = json_patch(current, document)
        except TooManyOperations as err:
            raise status.request_entity_too_large(str(err)) from err
        except InvalidPatch as err:
            raise status.bad_request(str(err)) from err
        except JsonPatchError as err:
            text = "the server rejected our request due to an error in our request"
            raise status.StatusError(422, "Invalid", text, details={}) from err
    if not isinstance(merged, dict):
        raise _invalid_patch(orjson.dumps(merged).decode(), kind_error(merged))
    return merged


def _strategic(call: Call, current: Object, document: Object) -> Object:
    try:
        return strategic_merge(current, document, call.endpoint.node)
    except StrategicMergeError as err:
        raise status.StatusError(err.code, err.reason, str(err), details=err.details) from err


def _converted(
    call: Call, obj: Object, known: Object | None, merged_again: Callable[[], Object], shown: Callable[[], str]
) -> tuple[Object, list[str]]:
    """As `_decoded`, by the converter that reads merged documents."""
    row, node = call.endpoint.resource, call.endpoint.node
    try:
        return obj, decode(obj, node, row.gvk, known=known)
    except DecodeError:
        obj = merged_again()
    try:
        convert(obj, node)
        return obj, decode(obj, node, row.gvk)
    except (ConversionError, DecodeError) as err:
        raise _invalid_patch(shown(), str(err)) from err


def _decoded(call: Call, obj: Object, known: Object | None, shown: Callable[[], str]) -> list[str]:
    row = call.endpoint.resource
    node = call.endpoint.node
    why = kind_error(obj)
    if why:
        raise _invalid_patch(shown(), why)
    if row.custom:
        return _decoded_custom(call, obj, shown)
    kind, version = obj.get("kind") or row.kind, obj.get("apiVersion") or row.api_version
    if (version, kind) != (row.api_version, row.kind):
        node, known = _other_kind(version, kind, shown), None
    try:
        return decode(obj, node, row.gvk, known=known)
    except DecodeError as err:
        raise _invalid_patch(shown(), str(err)) from err


def _decoded_custom(call: Call, obj: Object, shown: Callable[[], str]) -> list[str]:
    """As `_decoded`. What a custom object says to be is checked with its content, at the end."""
    row = call.endpoint.resource
    kind, version = obj.get("kind") or "", obj.get("apiVersion") or ""
    if not kind:
        text = shown()
        raise _invalid_patch(text, f"Object 'Kind' is missing in '{text}'")
    try:
        unknown = decode(obj, call.endpoint.node, row.gvk)
    except DecodeError as err:
        raise _invalid_patch(shown(), str(err)) from err
    if (version, kind) != (row.api_version, row.kind):
        raise wrong_custom_kind(kind, version, call.name, row.gvk)
    return unknown


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


def _patched_text(call: Call, current: Object, document: Any, media: str) -> str:
    """The patched document for a message, as the patching library writes it: what the patch went through is sorted."""
    custom = call.endpoint.resource.custom
    before = as_written(current, Node(ANY) if custom else call.endpoint.node)
    text = orjson.dumps(_resorted(_patched(before, document, media), set(_containers(before)))).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _containers(value: Any) -> Iterator[int]:
    if isinstance(value, dict | list):
        yield id(value)
        for below in value.values() if isinstance(value, dict) else value:
            yield from _containers(below)


def _resorted(value: Any, untouched: set[int]) -> Any:
    if id(value) in untouched:
        return value
    if isinstance(value, dict):
        return {name: _resorted(value[name], untouched) for name in sorted(value)}
    return [_resorted(item, untouched) for item in value] if isinstance(value, list) else value
