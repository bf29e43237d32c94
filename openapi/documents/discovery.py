"""Discovery: which groups, versions and resources there are, resource by resource or all in one document.

Pure functions from the catalogue to plain objects, in the order of the catalogue.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/discovery.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from openapi.catalog import Catalog, Resource, Subresource, api_version, split_api_version

Object = dict[str, Any]

AGGREGATED_VERSION = "apidiscovery.k8s.io/v2"


def core_versions(catalog: Catalog, server_address: str) -> Object:
    """What /api answers: the versions of the group without a name."""
    return {
        "kind": "APIVersions",
        "versions": list(catalog.versions("")),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def group_list(catalog: Catalog) -> Object:
    groups = [_group(catalog, group) for group in catalog.group_names() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(catalog: Catalog, name: str) -> Object:
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(catalog, name)}


def _group(catalog: Catalog, name: str) -> Object:
    versions = [{"groupVersion": api_version(name, version), "version": version} for version in catalog.versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(catalog: Catalog, group: str, version: str) -> Object:
    """The resources of one version, each followed by its subresources."""
    head: Object = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    resources: list[Object] = []
    for row in _by_name(catalog.of_group_version(group, version)):
        resources.append(_resource(row))
        resources += [_subresource(row, sub) for sub in row.subresources]
    return {**head, "groupVersion": api_version(group, version), "resources": resources}


def _by_name(rows: Sequence[Resource]) -> list[Resource]:
    return sorted(rows, key=lambda row: row.resource)


def _resource(row: Resource) -> Object:
    found: Object = {
        "name": row.resource,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        found["shortNames"] = list(row.short_names)
    if row.categories:
        found["categories"] = list(row.categories)
    if row.storage_version:
        found["storageVersionHash"] = storage_version_hash(row.storage_version, row.kind)
    return found


def _subresource(row: Resource, sub: Subresource) -> Object:
    found: Object = {"name": f"{row.resource}/{sub.name}", "singularName": "", "namespaced": row.namespaced}
    if sub.group is not None and sub.version is not None:
        found["group"] = sub.group
        found["version"] = sub.version
    found["kind"] = sub.kind
    found["verbs"] = list(sub.verbs)
    return found


@lru_cache(maxsize=1024)
def storage_version_hash(storage_version: str, kind: str) -> str:
    """Tells clients that watch for it when a resource is stored in another version."""
    group, version = split_api_version(storage_version)
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated_core(catalog: Catalog) -> Object:
    return _aggregated([_group_discovery(catalog, "")] if catalog.versions("") else [])


def aggregated_groups(catalog: Catalog) -> Object:
    return _aggregated([_group_discovery(catalog, group) for group in catalog.group_names() if group])


def _aggregated(items: list[Object]) -> Object:
    return {"kind": "APIGroupDiscoveryList", "apiVersion": AGGREGATED_VERSION, "metadata": {}, "items": items}


def _group_discovery(catalog: Catalog, group: str) -> Object:
    versions = [
        {
            "version": version,
            "resources": [
                _resource_discovery(row) for row in _by_name(catalog.of_group_version(group, version))
            ],
            "freshness": "Current",
        }
        for version in catalog.versions(group)
    ]
    return {"metadata": {"name": group} if group else {}, "versions": versions}


def _resource_discovery(row: Resource) -> Object:
    found: Object = {
        "resource": row.resource,
        "responseKind": _response_kind(row, row.kind, None, None),
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        found["shortNames"] = list(row.short_names)
    if row.categories:
        found["categories"] = list(row.categories)
    if row.subresources:
        found["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(row, sub.kind, sub.group, sub.version),
                "verbs": list(sub.verbs),
            }
            for sub in row.subresources
        ]
    return found


def _response_kind(row: Resource, kind: str, group: str | None, version: str | None) -> Object:
    """Built-in kinds of the group version itself go without saying which it is; custom ones say it."""
    if row.custom and group is None:
        group, version = row.group, row.version
    return {"group": group or "", "version": version or "", "kind": kind}
