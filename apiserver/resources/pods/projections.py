"""Volumes made of other objects' content: secrets, config maps, the downward API, tokens.

Trust bundles and pod certificates are features that are off; they are dropped before validation.

Follows: pkg/apis/core/validation/validation.go validateProjectionSources, validateDownwardAPIVolumeFile
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.resources.pods.field_selectors import check_field_selector, check_resource_field_selector
from apiserver.resources.pods.options import Errors, Options
from apiserver.resources.pods.paths import check_local_path, check_mode
from openapi.meta.field import forbidden, invalid, required

Object = Mapping[str, Any]

_VOLUME_FIELDS = frozenset(
    ("metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid")
)
_CONFLICT = "conflicting duplicate paths"


def check_secret_source(source: Object, path: str, errors: Errors) -> None:
    if not source.get("secretName"):
        errors.append(required(f"{path}.secretName"))
    _check_items(source, path, errors)


def check_config_map_source(source: Object, path: str, errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    _check_items(source, path, errors)


def _check_items(source: Object, path: str, errors: Errors) -> None:
    check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
    for index, item in enumerate(source.get("items") or ()):
        check_key_to_path(item, f"{path}.items[{index}]", errors)


def check_key_to_path(item: Object, path: str, errors: Errors) -> None:
    if not item.get("key"):
        errors.append(required(f"{path}.key"))
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    check_local_path(item.get("path", ""), f"{path}.path", errors)
    check_mode(item.get("mode"), f"{path}.mode", errors)


def check_downward_api(items: Sequence[Object], path: str, errors: Errors) -> None:
    for item in items:
        _check_downward_api_file(item, path, errors)


def _check_downward_api_file(item: Object, path: str, errors: Errors) -> None:
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    check_local_path(item.get("path", ""), f"{path}.path", errors)
    if "fieldRef" in item:
        check_field_selector(item["fieldRef"], _VOLUME_FIELDS, f"{path}.fieldRef", errors)
        if "resourceFieldRef" in item:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", text))
    elif "resourceFieldRef" in item:
        check_resource_field_selector(item["resourceFieldRef"], f"{path}.resourceFieldRef", errors, in_volume=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    check_mode(item.get("mode"), f"{path}.mode", errors)


def check_projected(volume: Object, path: str, options: Options, errors: Errors) -> None:
    check_mode(volume.get("defaultMode"), f"{path}.defaultMode", errors)
    taken: set[str] = set()
    for index, source in enumerate(volume.get("sources") or ()):
        here = f"{path}.sources[{index}]"
        if "secret" in source:
            _check_projected_keys(source["secret"], f"{here}.secret", path, taken, errors)
        if "configMap" in source:
            _check_projected_keys(source["configMap"], f"{here}.configMap", path, taken, errors)
        if "downwardAPI" in source:
            for item in source["downwardAPI"].get("items") or ():
                _check_downward_api_file(item, f"{here}.downwardAPI", errors)
                _take(item.get("path", ""), item.get("path", ""), path, taken, errors)
        if "serviceAccountToken" in source:
            _check_token(source["serviceAccountToken"], f"{here}.serviceAccountToken", path, options, errors)
        if len(source) > 1:
            errors.append(forbidden(here, "may not specify more than 1 volume type per source"))


def _take(place: str, shown: str, path: str, taken: set[str], errors: Errors) -> None:
    """Two sources may not write the same file."""
    if not place:
        return
    if place in taken:
        errors.append(invalid(path, shown, _CONFLICT))
    else:
        taken.add(place)


def _check_projected_keys(source: Object, path: str, volume_path: str, taken: set[str], errors: Errors) -> None:
    name = source.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    for index, item in enumerate(source.get("items") or ()):
        check_key_to_path(item, f"{path}.items[{index}]", errors)
        _take(item.get("path", ""), name, volume_path, taken, errors)


def _check_token(source: Object, path: str, volume_path: str, options: Options, errors: Errors) -> None:
    expiry = source.get("expirationSeconds", 0)
    if expiry < 600:
        text = "may not specify a duration less than 10 minutes"
        errors.append(invalid(f"{path}.expirationSeconds", expiry, text))
    if expiry > 1 << 32:
        text = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid(f"{path}.expirationSeconds", expiry, text))
    place = source.get("path", "")
    if not place:
        errors.append(required(f"{volume_path}.path"))
    elif not options.any_token_path:
        check_local_path(place, f"{volume_path}.path", errors)
