"""What the server serves: its resources by aggregated discovery, custom and aggregated ones included.

`Discovery.look` asks anew and tells which groups could not be asked, so that callers can tell "gone" from "not known".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from controllers.runtime.client import Client
from controllers.runtime.objects import View
from openapi.catalog import GroupResource, GroupVersionResource, Resource, Subresource

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_STALE = "Stale"


@dataclass(frozen=True, slots=True)
class Served:
    """One answer. `failed` names the group versions (`metrics.k8s.io/v1beta1`) whose server could not be asked."""

    resources: Sequence[Resource] = ()
    failed: Sequence[str] = ()

    def preferred(self, *verbs: str) -> list[Resource]:
        """Each resource at the version its group prefers, if it has all these verbs."""
        found: dict[GroupResource, Resource] = {}
        for resource in self.resources:
            found.setdefault(resource.gr, resource)
        return [resource for resource in found.values() if set(verbs) <= set(resource.verbs)]

    def by_kind(self) -> Mapping[tuple[str, str], Resource]:
        """Resources by apiVersion and kind, as owner references and objects name them."""
        found: dict[tuple[str, str], Resource] = {}
        for resource in self.resources:
            found.setdefault((resource.api_version, resource.kind), resource)
        return found

    def has_failed(self, gvr: GroupVersionResource) -> bool:
        """Whether it is unknown if that resource is served."""
        group = gvr.group + "/"
        return any(version.startswith(group) for version in self.failed)


class Discovery:
    """Asks one server. `last` is its latest answer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.last = Served()

    async def look(self) -> Served:
        """Ask now; raises ApiError when the server itself does not answer."""
        resources: list[Resource] = []
        failed: list[str] = []
        for path in ("/api", "/apis"):
            answer = orjson.loads(await self._client.raw("GET", path, accept=_ACCEPT))
            for group in answer.get("items") or ():
                _read_group(group, resources, failed)
        self.last = Served(resources, failed)
        return self.last


def _read_group(group: View, resources: list[Resource], failed: list[str]) -> None:
    name = group["metadata"].get("name", "")
    for version in group.get("versions") or ():
        if version.get("freshness") == _STALE:
            failed.append(f"{name}/{version['version']}")
            continue
        resources += _resources(name, version)


def _resources(group: str, version: View) -> Iterator[Resource]:
    for entry in version.get("resources") or ():
        kind = entry.get("responseKind") or {}
        yield Resource(
            group=group,
            version=version["version"],
            resource=entry["resource"],
            kind=kind.get("kind", ""),
            schema="",
            namespaced=entry.get("scope") == "Namespaced",
            verbs=tuple(entry.get("verbs") or ()),
            subresources=tuple(map(_subresource, entry.get("subresources") or ())),
        )


def _subresource(entry: View) -> Subresource:
    kind = entry.get("responseKind") or {}
    return Subresource(entry["subresource"], tuple(entry.get("verbs") or ()), kind.get("kind", ""))
