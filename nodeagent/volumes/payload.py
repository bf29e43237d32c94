"""The files of volumes that are made from API objects: config maps, secrets, the downward API, tokens, and mixtures.

Follows: pkg/volume/{configmap,secret,downwardapi,projected}
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Protocol

from nodeagent.pods import environment, spec
from nodeagent.pods.environment import ConfigProblem, NodeFacts, Sources
from nodeagent.pods.spec import View
from nodeagent.volumes.atomic import File
from nodeagent.volumes.problem import VolumeProblem

DEFAULT_MODE = 0o644


class ProjectedSources(Sources, Protocol):
    """What projected volumes need besides: tokens and trust bundles."""

    async def token(self, pod: View, audience: str, lifetime_s: int) -> str: ...

    async def trust_bundle(self, source: View) -> str | None: ...


async def files_of(
    pod: View, volume: View, sources: ProjectedSources, *, ips: Sequence[str], node: NodeFacts
) -> dict[str, File]:
    """The content of a configMap, secret, downwardAPI or projected volume. Raises VolumeProblem."""
    name = volume["name"]
    if "configMap" in volume:
        return await _config_map(pod, name, volume["configMap"], sources, _mode(volume["configMap"]))
    if "secret" in volume:
        source = {**volume["secret"], "name": volume["secret"].get("secretName", "")}
        return await _secret(pod, name, source, sources, _mode(source))
    if "downwardAPI" in volume:
        return _downward(pod, name, volume["downwardAPI"], _mode(volume["downwardAPI"]), ips, node)
    return await _projected(pod, name, volume["projected"], sources, ips, node)


async def _projected(
    pod: View, name: str, projected: View, sources: ProjectedSources, ips: Sequence[str], node: NodeFacts
) -> dict[str, File]:
    """All sources in one; what is wrong with any of them is told together."""
    mode = _mode(projected)
    found: dict[str, File] = {}
    problems: list[str] = []
    for part in projected.get("sources") or ():
        try:
            found |= await _part(pod, name, part, sources, mode=mode, ips=ips, node=node)
        except VolumeProblem as problem:
            problems.append(problem.message)
        except ConfigProblem as problem:
            problems.append(str(problem))
    if problems:
        raise VolumeProblem(name, aggregate(problems))
    return found


async def _part(
    pod: View, name: str, part: View, sources: ProjectedSources, *, mode: int, ips: Sequence[str], node: NodeFacts
) -> dict[str, File]:
    if "configMap" in part:
        return await _config_map(pod, name, part["configMap"], sources, mode)
    if "secret" in part:
        return await _secret(pod, name, part["secret"], sources, mode)
    if "downwardAPI" in part:
        return _downward(pod, name, part["downwardAPI"], mode, ips, node)
    if "serviceAccountToken" in part:
        return await _token(pod, name, part["serviceAccountToken"], sources, mode)
    if "clusterTrustBundle" in part:
        return await _trust_bundle(name, part["clusterTrustBundle"], sources, mode)
    return {}


def aggregate(messages: Sequence[str]) -> str:
    """Several errors as one: each once, in brackets where they are many."""
    distinct = list(dict.fromkeys(messages))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def _mode(source: View) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


async def _config_map(pod: View, volume: str, source: View, sources: Sources, mode: int) -> dict[str, File]:
    name = source.get("name", "")
    found = await sources.config_map(pod["metadata"]["namespace"], name)
    if found is None:
        if source.get("optional"):
            return {}
        raise VolumeProblem(volume, f'configmap "{name}" not found')
    data = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    data |= {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    return _chosen(volume, source, data, mode, "configmap references non-existent config key: {}")


async def _secret(pod: View, volume: str, source: View, sources: Sources, mode: int) -> dict[str, File]:
    name = source.get("name", "")
    found = await sources.secret(pod["metadata"]["namespace"], name)
    if found is None:
        if source.get("optional"):
            return {}
        raise VolumeProblem(volume, f'secret "{name}" not found')
    data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    return _chosen(volume, source, data, mode, "references non-existent secret key: {}")


def _chosen(volume: str, source: View, data: Mapping[str, bytes], mode: int, complaint: str) -> dict[str, File]:
    items = source.get("items")
    if not items:
        return {key: File(content, mode) for key, content in data.items()}
    found = {}
    for item in items:
        content = data.get(item["key"])
        if content is not None:
            own = item.get("mode")
            found[item["path"]] = File(content, mode if own is None else int(own))
        elif not source.get("optional"):
            raise VolumeProblem(volume, complaint.format(item["key"]))
    return found


def _downward(
    pod: View, volume: str, source: View, mode: int, ips: Sequence[str], node: NodeFacts
) -> dict[str, File]:
    found = {}
    problems: list[str] = []
    for item in source.get("items") or ():
        try:
            if "fieldRef" in item:
                value = environment.field_value(pod, item["fieldRef"]["fieldPath"], ips=ips, node=node)
            else:
                reference = item["resourceFieldRef"]
                container = spec.container_named(pod, reference.get("containerName", "")) or {}
                value = environment.resource_value(pod, container, reference, node)
        except ConfigProblem as problem:
            problems.append(str(problem))
            continue
        own = item.get("mode")
        found[item["path"].lstrip("/")] = File(value.encode(errors="surrogateescape"), mode if own is None else own)
    if problems:
        raise VolumeProblem(volume, aggregate(problems))
    return found


async def _token(pod: View, volume: str, source: View, sources: ProjectedSources, mode: int) -> dict[str, File]:
    security = pod["spec"].get("securityContext") or {}
    owner = _common_user(pod)
    if owner is not None or security.get("fsGroup") is not None:
        mode = 0o600
    try:
        lifetime_s = int(source.get("expirationSeconds") or 3600)
        token = await sources.token(pod, source.get("audience", ""), lifetime_s)
    except ConfigProblem as problem:
        raise VolumeProblem(volume, str(problem)) from None
    return {source["path"]: File(token.encode(), mode, owner)}


def _common_user(pod: View) -> int | None:
    """The user as whom all containers run, where they agree on one."""
    pod_user = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        own if own is not None else pod_user
        for container in (*spec.init_containers(pod), *spec.containers(pod))
        for own in [(container.get("securityContext") or {}).get("runAsUser")]
    }
    return users.pop() if len(users) == 1 else None


async def _trust_bundle(volume: str, source: View, sources: ProjectedSources, mode: int) -> dict[str, File]:
    bundle = await sources.trust_bundle(source)
    if bundle is None:
        if not source.get("optional"):
            name = source.get("name") or source.get("signerName", "")
            raise VolumeProblem(volume, f'clustertrustbundle "{name}" not found')
        bundle = ""
    return {source["path"]: File(bundle.encode(), mode)}
