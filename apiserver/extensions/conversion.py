"""Conversion of custom objects by the webhook that their definition names.

A webhook is only asked for objects of other versions. It may change everything but an object's identity; of the
metadata only labels and annotations are taken from its answer.
Follows: apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from openapi.catalog import GroupVersionKind, split_api_version
from openapi.meta import status
from openapi.meta.field import FieldError
from openapi.meta.metadata import validate_annotations, validate_labels

Object = dict[str, Any]
Struct = Mapping[str, Any]
Post = Callable[[Struct, bytes, int], Awaitable[tuple[int, bytes]]]
"""Sends a body to where a client configuration points, with a time limit; raises OSError and ValueError."""

GROUP = "apiextensions.k8s.io"
REVIEW = "ConversionReview"
TIMEOUT_S = 30
VERSIONS = ("v1", "v1beta1")
_IDENTITY = (("name", "name"), ("namespace", "namespace"), ("UID", "uid"))


class ConversionFailed(Exception):
    """The rest of the sentence that begins with `conversion webhook for <kind>`."""


class WebhookConversion:
    """Called with objects and the version that is wanted. `webhook` is `spec.conversion.webhook` of a definition."""

    def __init__(self, webhook: Struct, post: Post) -> None:
        self._config: Struct = webhook.get("clientConfig") or {}
        given = webhook.get("conversionReviewVersions") or ()
        self._review_version = next((v for v in given if v in VERSIONS), "")
        self._post = post

    async def __call__(self, objects: Sequence[Object], version: str) -> list[Object]:
        """The objects at `version`, in their order. Raises the (reasonless) 500 of a webhook that fails."""
        todo = [obj for obj in objects if obj["apiVersion"] != version]
        if not todo:
            return list(objects)
        try:
            made = iter(await self._ask(todo, version))
        except ConversionFailed as err:
            gvk = GroupVersionKind(*split_api_version(todo[0]["apiVersion"]), todo[0]["kind"])
            raise status.StatusError(500, "", f"conversion webhook for {_text(gvk)} {err}") from err
        return [obj if obj["apiVersion"] == version else next(made) for obj in objects]

    async def _ask(self, objects: Sequence[Object], version: str) -> list[Object]:
        if not self._review_version:
            raise ConversionFailed("failed: no supported conversion review versions")
        uid, api_version = str(uuid.uuid4()), f"{GROUP}/{self._review_version}"
        request = {"uid": uid, "desiredAPIVersion": version, "objects": objects}
        body = orjson.dumps({"kind": REVIEW, "apiVersion": api_version, "request": request, "response": None})
        try:
            code, answer = await self._post(self._config, body, TIMEOUT_S)
        except OSError as err:
            raise ConversionFailed(f"failed: {err}") from err
        if code != 200:
            raise ConversionFailed(f"failed: the server responded with code {code}")
        made = _objects_of(answer, api_version, uid)
        if len(made) != len(objects):
            raise ConversionFailed(f"returned {len(made)} objects, expected {len(objects)}")
        return [_checked(old, new, version) for old, new in zip(objects, made, strict=True)]


def _objects_of(answer: bytes, api_version: str, uid: str) -> list[Any]:
    """What is in a sound answer of success."""
    try:
        review = orjson.loads(answer)
    except orjson.JSONDecodeError as err:
        raise ConversionFailed(f"failed: {err}") from err
    if not isinstance(review, dict):
        raise ConversionFailed("failed: the answer is not an object")
    is_first = api_version.endswith("/v1")
    if is_first and (review.get("apiVersion"), review.get("kind")) != (api_version, REVIEW):
        group, version = split_api_version(str(review.get("apiVersion") or ""))
        got = _text(GroupVersionKind(group, version, str(review.get("kind") or "")))
        raise ConversionFailed(f"failed: expected webhook response of {api_version}, Kind={REVIEW}, got {got}")
    response = review.get("response")
    if not isinstance(response, dict):
        raise ConversionFailed("failed: no response provided")
    if is_first and response.get("uid") != uid:
        raise ConversionFailed(f'failed: expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        why = f"response.result.status was '{result.get('status') or ''}', not 'Success'"
        raise ConversionFailed(f"failed: {result.get('message') or why}")
    return response.get("convertedObjects") or []


def _checked(old: Object, new: Any, version: str) -> Object:
    """A converted object with the metadata that it must have."""
    if not isinstance(new, dict):
        raise ConversionFailed("returned invalid object at index 0: it is not an object")
    got = new.get("apiVersion") or ""
    if got != version:
        why = f"invalid groupVersion (expected {version}, received {got})"
        raise ConversionFailed(f"returned invalid object at index 0: {why}")
    if new.get("kind") != old["kind"]:
        why = f"invalid kind (expected {old['kind']}, received {new.get('kind') or ''})"
        raise ConversionFailed(f"returned invalid object at index 0: {why}")
    meta = new.get("metadata")
    for word, name in _IDENTITY:
        expected, found = old["metadata"].get(name, ""), meta.get(name, "") if isinstance(meta, dict) else ""
        if expected != found:
            raise ConversionFailed(f"returned invalid object: must have the same {word}: {expected} != {found}")
    if not isinstance(meta, dict):
        raise ConversionFailed("returned invalid metadata: missing metadata in converted object")
    new["metadata"] = _metadata(old["metadata"], meta)
    return new


def _metadata(old: Object, new: Object) -> Object:
    merged = dict(old)
    for name in ("labels", "annotations"):
        given = new.get(name)
        if given is None:
            merged.pop(name, None)
            continue
        if not isinstance(given, dict):
            raise ConversionFailed(f"returned invalid metadata: invalid metadata.{name} in converted object")
        odd = next((key for key, value in given.items() if not isinstance(value, str)), None)
        if odd is not None:
            why = f"metadata.{name}[{odd}] must be a string in converted object"
            raise ConversionFailed(f"returned invalid metadata: {why}")
        if given != (old.get(name) or {}):
            _check_map(name, given)
        merged[name] = given
    return merged


def _check_map(name: str, given: Mapping[str, str]) -> None:
    errors: list[FieldError]
    if name == "labels":
        errors = list(validate_labels(given, "metadata.labels"))
    else:
        errors = list(validate_annotations(given, "metadata.annotation"))
    if errors:
        texts = ", ".join(map(str, errors))
        raise ConversionFailed("returned invalid metadata: " + (f"[{texts}]" if len(errors) > 1 else texts))


def _text(gvk: GroupVersionKind) -> str:
    return f"{gvk.group}/{gvk.version}, Kind={gvk.kind}" if gvk.group else f"/{gvk.version}, Kind={gvk.kind}"
