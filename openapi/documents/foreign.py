"""Versions of API groups that other servers serve, as they are shown among our own in discovery and OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openapi.catalog import api_version

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ForeignVersion:
    """`resources` are in aggregated discovery's form; None while the server does not answer.

    `openapi_v3` is its document's URL below the server, `swagger` its document of version 2.
    """

    group: str
    version: str
    group_priority: int
    version_priority: int
    resources: Sequence[Object] | None = None
    openapi_v3: str = ""
    swagger: Mapping[str, Any] | None = None


def by_group(foreign: Iterable[ForeignVersion]) -> dict[str, list[ForeignVersion]]:
    """Groups and their versions, those of the highest priority first."""
    found: dict[str, list[ForeignVersion]] = {}
    for each in sorted(foreign, key=lambda f: (-f.group_priority, f.group, -f.version_priority, f.version)):
        found.setdefault(each.group, []).append(each)
    return found


def group_of(name: str, versions: Sequence[ForeignVersion]) -> Object:
    shown = [{"groupVersion": api_version(name, each.version), "version": each.version} for each in versions]
    return {"name": name, "versions": shown, "preferredVersion": shown[0]}


def aggregated_group(name: str, versions: Sequence[ForeignVersion]) -> Object:
    def shown(each: ForeignVersion) -> Object:
        if each.resources is None:
            return {"version": each.version, "freshness": "Stale"}
        return {"version": each.version, "resources": list(each.resources), "freshness": "Current"}

    return {"metadata": {"name": name}, "versions": [shown(each) for each in versions]}


def resources_of(listed: Mapping[str, Any], group: str, version: str) -> list[Object]:
    """The resources of an APIResourceList in the form of aggregated discovery."""
    found: dict[str, Object] = {}
    for row in listed.get("resources") or ():
        name, _, sub = row["name"].partition("/")
        kind = {"group": row.get("group") or group, "version": row.get("version") or version, "kind": row["kind"]}
        if sub:
            parent = found.setdefault(name, {"resource": name, "verbs": None, "responseKind": None})
            subresource = {"subresource": sub, "responseKind": kind, "verbs": row.get("verbs") or []}
            parent.setdefault("subresources", []).append(subresource)
            continue
        entry = found.setdefault(name, {})
        entry.update(
            resource=name, responseKind=kind, scope="Namespaced" if row.get("namespaced") else "Cluster",
            singularResource=row.get("singularName", ""), verbs=row.get("verbs") or [],
        )  # fmt: skip
        entry.update({k: row[k] for k in ("shortNames", "categories") if row.get(k)})
    return list(found.values())


def merge_swagger(document: Object, foreign: Iterable[ForeignVersion]) -> None:
    """Add the paths and definitions of other servers to ours, which go first where both have one."""
    for each in foreign:
        swagger = each.swagger or {}
        below = f"/apis/{each.group}/{each.version}/"
        for path, item in (swagger.get("paths") or {}).items():
            if path.startswith(below):
                document["paths"].setdefault(path, item)
        for name, definition in (swagger.get("definitions") or {}).items():
            document["definitions"].setdefault(name, definition)
