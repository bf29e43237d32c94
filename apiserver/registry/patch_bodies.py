"""Bodies of patches: their forms, and from bytes to a document that can be applied.

How a body is read depends on fieldValidation: a strict reader, which also warns, looks at it before the merging does.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go, and go-restful's route selection
"""

from __future__ import annotations

from typing import Any

from apiserver.registry.bodies import unsupported
from openapi.meta import status
from openapi.schema.gojson import JSONSyntaxError
from openapi.schema.jsonpatch import InvalidPatch, strict_errors
from openapi.schema.parse import in_order, parse

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
BUILT_IN_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
CUSTOM_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
_NO_MERGE_PATCH = "Invalid JSON Patch"


def patch_type(content_type: str, *, custom: bool) -> str:
    """The form of a patch. Raises 415: the routes of built-in kinds tell their forms themselves, and in other words."""
    if not custom and not any(each.split(";", 1)[0].strip() in BUILT_IN_TYPES for each in content_type.split(",")):
        raise status.StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    media = content_type.split(";", 1)[0]
    accepted = CUSTOM_TYPES if custom else BUILT_IN_TYPES
    if media not in accepted:
        raise unsupported(", ".join(accepted))
    return media


def read_patch(raw: bytes, media: str, validation: str) -> tuple[Any, list[str]]:
    """The document of a JSON, merge or strategic merge patch, and the texts of strict errors. Raises 400."""
    strict = validation != "Ignore"
    prefix = "error decoding patch: " if strict and media != STRATEGIC_PATCH else ""
    try:
        document, duplicates = parse(raw)
        if media == JSON_PATCH:
            unknown = strict_errors(document) if strict else []
            return document, [f"json patch {each}" for each in in_order(raw, duplicates, unknown)]
    except (JSONSyntaxError, InvalidPatch) as err:
        text = str(err) if strict or media != MERGE_PATCH else _NO_MERGE_PATCH
        raise status.bad_request(prefix + text) from err
    if isinstance(document, dict) or (isinstance(document, list) and media == MERGE_PATCH and not strict):
        return document, duplicates
    if media == MERGE_PATCH and (document is None or not strict):
        raise status.bad_request(_NO_MERGE_PATCH)
    if document is None:
        return {}, duplicates
    raise status.bad_request(prefix + cannot_unmarshal(document))


def cannot_unmarshal(value: Any) -> str:
    """What Go says of a document that is no JSON object."""
    what = {list: "array", str: "string", bool: "bool"}.get(type(value), "number")
    return f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
