"""The audit policy: how much of which requests is logged. The first rule that matches decides.

Follows: staging/src/k8s.io/apiserver/pkg/audit/policy/{reader,checker}.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from apiserver.auth.attributes import Attributes

Rule = Mapping[str, Any]

NONE, METADATA, REQUEST, RESPONSE = "None", "Metadata", "Request", "RequestResponse"
LEVELS: Final = (NONE, METADATA, REQUEST, RESPONSE)
STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
VERSION: Final = "audit.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is logged of one request."""

    level: str
    omitted: frozenset[str] = frozenset()
    omits_managed_fields: bool = False


class Policy:
    """A checked policy."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._rules: Sequence[Rule] = document.get("rules") or ()
        self._omitted = frozenset(document.get("omitStages") or ())
        self._omits_managed_fields = bool(document.get("omitManagedFields"))

    def verdict(self, asked: Attributes) -> Verdict:
        for rule in self._rules:
            if _matches(rule, asked):
                omits = rule.get("omitManagedFields")
                return Verdict(
                    rule["level"],
                    self._omitted | frozenset(rule.get("omitStages") or ()),
                    self._omits_managed_fields if omits is None else bool(omits),
                )
        return Verdict(NONE)


def read_policy(path: Path) -> Policy:
    """Raises OSError and ValueError for what is no policy."""
    try:
        document = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as err:
        raise ValueError(f"{path}: {err}") from err
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (VERSION, "Policy"):
        raise ValueError(f"{path}: not a Policy of {VERSION}")
    if not document.get("rules"):
        raise ValueError(f"{path}: loaded illegal policy with 0 rules")
    for i, rule in enumerate(document["rules"]):
        if rule.get("level") not in LEVELS:
            raise ValueError(f"{path}: rules[{i}].level: {rule.get('level')!r} is none of {', '.join(LEVELS)}")
        if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
            raise ValueError(f"{path}: rules[{i}]: rules cannot apply to both regular resources and non-resource URLs")
        unknown = set(rule.get("omitStages") or ()) - set(STAGES)
        if unknown:
            raise ValueError(f"{path}: rules[{i}].omitStages: no such stages: {', '.join(sorted(unknown))}")
    return Policy(document)


def _matches(rule: Rule, asked: Attributes) -> bool:
    users, groups, verbs = (rule.get(name) for name in ("users", "userGroups", "verbs"))
    if users and asked.user.name not in users:
        return False
    if groups and not set(groups) & set(asked.user.groups):
        return False
    if verbs and asked.verb not in verbs:
        return False
    if rule.get("namespaces") or rule.get("resources"):
        return asked.is_resource and _matches_resource(rule, asked)
    if rule.get("nonResourceURLs"):
        return not asked.is_resource and any(_covers(url, asked.path) for url in rule["nonResourceURLs"])
    return True


def _matches_resource(rule: Rule, asked: Attributes) -> bool:
    namespaces, resources = rule.get("namespaces"), rule.get("resources")
    if namespaces and asked.namespace not in namespaces:
        return False
    if not resources:
        return True
    combined = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    for each in resources:
        if (each.get("group") or "") != asked.group:
            continue
        names = each.get("resourceNames")
        if not each.get("resources"):
            return True
        if names and asked.name not in names:
            continue
        wanted = {"*", combined, f"{asked.resource}/*"} if asked.subresource else {"*", combined}
        if asked.subresource:
            wanted.add(f"*/{asked.subresource}")
        if wanted & set(each["resources"]):
            return True
    return False


def _covers(pattern: str, path: str) -> bool:
    if pattern == "*" or pattern == path:
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))
