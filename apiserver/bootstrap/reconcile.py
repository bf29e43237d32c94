"""What becomes of a default object that is already there: pure functions of what is and what a new cluster has.

Each returns the object to store, equal to the current one if nothing is to be done, and changes neither argument.
Follows: pkg/registry/rbac/reconciliation, staging/src/k8s.io/apiserver/pkg/apis/flowcontrol.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from apiserver.bootstrap import flowcontrol, rbac

Object = dict[str, Any]

END_OF_CERTIFICATE = "-----END CERTIFICATE-----\n"
AUTO_MANAGED = "kube-aggregator.kubernetes.io/automanaged"


def needs_recreation(current: Object, expected: Object) -> bool:
    """A binding that holds another role: its role cannot be changed, so it has to be made anew."""
    return "roleRef" in expected and current.get("roleRef") != expected["roleRef"] and not _is_protected(current)


def reconcile_role(current: Object, expected: Object) -> Object:
    """The role with the permissions it lacks; what it has beyond them stays."""
    if _is_protected(current):
        return current
    wanted = _with_expected_metadata(current, expected)
    missing = _missing_rules(current.get("rules") or (), expected.get("rules") or ())
    if missing:
        wanted["rules"] = [*(current.get("rules") or ()), *missing]
    if "aggregationRule" in expected:
        wanted["aggregationRule"] = _joined_selectors(current.get("aggregationRule"), expected["aggregationRule"])
    return wanted


def reconcile_binding(current: Object, expected: Object) -> Object:
    """The binding with the holders it lacks."""
    if _is_protected(current):
        return current
    wanted = _with_expected_metadata(current, expected)
    held = current.get("subjects") or []
    missing = [subject for subject in expected.get("subjects", ()) if subject not in held]
    if missing:
        wanted["subjects"] = [*held, *missing]
    return wanted


def reconcile_flow_control(current: Object, expected: Object) -> Object:
    """The default spec, unless its owner opted out; one edited before the annotation existed counts as opted out."""
    metadata = current["metadata"]
    mandatory = metadata["name"] in flowcontrol.MANDATORY
    chosen = metadata.get("annotations", {}).get(flowcontrol.AUTO_UPDATE)
    follows = mandatory or (chosen == "true" if chosen in ("true", "false") else metadata.get("generation", 1) == 1)
    annotations = {**metadata.get("annotations", {}), flowcontrol.AUTO_UPDATE: "true" if follows else "false"}
    wanted = {**current, "metadata": {**metadata, "annotations": annotations}}
    if follows and "exempt" not in current.get("spec", {}):
        wanted["spec"] = expected["spec"]
    if wanted.get("spec") != current.get("spec"):
        wanted["metadata"]["generation"] = metadata.get("generation", 0) + 1
    return wanted


def reconcile_api_service(current: Object, expected: Object) -> Object:
    if AUTO_MANAGED not in current["metadata"].get("labels", {}) or current["spec"] == expected["spec"]:
        return current
    return {**current, "spec": expected["spec"]}


def reconcile_service(current: Object, expected: Object) -> Object:
    wanted_spec = {**current["spec"], "ports": expected["spec"]["ports"], "type": expected["spec"]["type"]}
    return {**current, "spec": wanted_spec}


def reconcile_endpoints(current: Object, expected: Object) -> Object:
    return {**_with_expected_metadata(current, expected), "subsets": expected["subsets"]}


def reconcile_endpoint_slice(current: Object, expected: Object) -> Object:
    wanted = _with_expected_metadata(current, expected)
    wanted.update(endpoints=expected["endpoints"], ports=expected["ports"])
    if wanted != current:
        wanted["metadata"] = {**wanted["metadata"], "generation": current["metadata"].get("generation", 0) + 1}
    return wanted


def reconcile_lease(current: Object, expected: Object) -> Object:
    metadata = {**current["metadata"]}
    for kind in ("labels", "annotations"):
        metadata[kind] = {**metadata.get(kind, {}), **expected["metadata"][kind]}
    return {**current, "metadata": metadata, "spec": {**current.get("spec", {}), **expected["spec"]}}


def reconcile_config_map(current: Object, expected: Object) -> Object:
    """Authentication as all servers know it together: certificates and names are added, never taken away."""
    if not expected["metadata"]["name"].endswith("-authentication"):
        return current
    data = dict(current.get("data") or {})
    for key, value in expected["data"].items():
        join = _joined_certificates if key.endswith("-ca-file") else _joined_words
        data[key] = join(data.get(key, ""), value)
    return {**current, "data": data}


RECONCILERS: dict[str, Callable[[Object, Object], Object]] = {
    "APIService": reconcile_api_service,
    "ClusterRole": reconcile_role,
    "ClusterRoleBinding": reconcile_binding,
    "ConfigMap": reconcile_config_map,
    "EndpointSlice": reconcile_endpoint_slice,
    "Endpoints": reconcile_endpoints,
    "FlowSchema": reconcile_flow_control,
    "Lease": reconcile_lease,
    "PriorityLevelConfiguration": reconcile_flow_control,
    "Role": reconcile_role,
    "RoleBinding": reconcile_binding,
    "Service": reconcile_service,
}


def _is_protected(current: Object) -> bool:
    annotations = current["metadata"].get("annotations", {})
    return bool(annotations.get(rbac.AUTO_UPDATE) == "false")


def _with_expected_metadata(current: Object, expected: Object) -> Object:
    """A shallow copy with the expected labels and annotations; those already there win."""
    metadata = dict(current["metadata"])
    for kind in ("labels", "annotations"):
        joined = {**expected["metadata"].get(kind, {}), **metadata.get(kind, {})}
        if joined:
            metadata[kind] = joined
    return {**current, "metadata": metadata}


def _joined_selectors(current: Object | None, expected: Object) -> Object:
    selectors = list((current or {}).get("clusterRoleSelectors") or ())
    selectors += [selector for selector in expected["clusterRoleSelectors"] if selector not in selectors]
    return {"clusterRoleSelectors": selectors}


def _joined_certificates(current: str, expected: str) -> str:
    known = set(_certificates(current))
    added = [certificate for certificate in _certificates(expected) if certificate not in known]
    if not added:
        return current
    return "\n".join((*_certificates(current), *added)) + "\n"


def _certificates(bundle: str) -> list[str]:
    text = bundle if bundle.endswith("\n") else bundle + "\n"
    parts = text.split(END_OF_CERTIFICATE)[:-1]
    return [part.strip() + "\n" + END_OF_CERTIFICATE.rstrip() for part in parts]


def _joined_words(current: str, expected: str) -> str:
    known = json.loads(current) if current else []
    known += [word for word in json.loads(expected) if word not in known]
    return json.dumps(known, separators=(",", ":"))


class _Permission(NamedTuple):
    """One verb on one resource (of one name, '' for any) or on one path."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    url: str = ""

    def rule(self) -> Object:
        if self.url:
            return {"verbs": [self.verb], "nonResourceURLs": [self.url]}
        rule: Object = {"verbs": [self.verb], "apiGroups": [self.group], "resources": [self.resource]}
        if self.name:
            rule["resourceNames"] = [self.name]
        return rule


def _missing_rules(current: Iterable[Object], expected: Iterable[Object]) -> list[Object]:
    """The permissions of `expected` that no rule of `current` grants, each as a rule of its own."""
    granting = list(current)
    wanted = (permission for rule in expected for permission in _permissions(rule))
    return [permission.rule() for permission in wanted if not any(_grants(rule, permission) for rule in granting)]


def _permissions(rule: Object) -> Iterator[_Permission]:
    for verb in rule.get("verbs", ()):
        for url in rule.get("nonResourceURLs", ()):
            yield _Permission(verb, url=url)
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                for name in rule.get("resourceNames") or ("",):
                    yield _Permission(verb, group, resource, name)


def _grants(rule: Object, wanted: _Permission) -> bool:
    if not _holds(rule.get("verbs", ()), wanted.verb):
        return False
    if wanted.url:
        urls = rule.get("nonResourceURLs", ())
        return any(url == wanted.url or (url.endswith("*") and wanted.url.startswith(url[:-1])) for url in urls)
    names = rule.get("resourceNames")
    resources = rule.get("resources", ())
    _, slash, subresource = wanted.resource.partition("/")
    return (
        _holds(rule.get("apiGroups", ()), wanted.group)
        and (_holds(resources, wanted.resource) or (bool(slash) and f"*/{subresource}" in resources))
        and (not names or (wanted.name in names))
    )


def _holds(words: Iterable[str], word: str) -> bool:
    return any(known in ("*", word) for known in words)
