"""Which flow schema a request belongs to: pure matching of requests against the schemas' rules.

Follows: staging/src/k8s.io/apiserver/pkg/util/flowcontrol/rule.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apiserver.request import RequestInfo
from apiserver.resources.strategy import User

Object = Mapping[str, Any]

_ANY = "*"
_ACCOUNT = "system:serviceaccount:"


def in_order(schemas: Iterable[Object]) -> list[Object]:
    """The order in which schemas are tried: by precedence, then by name."""
    return sorted(schemas, key=lambda s: (s["spec"].get("matchingPrecedence", 0), s["metadata"]["name"]))


def matches(schema: Object, user: User, info: RequestInfo) -> bool:
    """Whether one of the schema's rules speaks of both the user and the request."""
    return any(_rule_matches(rule, user, info) for rule in schema["spec"].get("rules") or ())


def distinguisher(schema: Object, user: User, info: RequestInfo) -> str:
    """What tells the flows of one schema apart: a user's name, a namespace, or nothing."""
    match (schema["spec"].get("distinguisherMethod") or {}).get("type"):
        case "ByUser":
            return user.name
        case "ByNamespace":
            return info.at.namespace
    return ""


def _rule_matches(rule: Object, user: User, info: RequestInfo) -> bool:
    if not any(_is_subject(subject, user) for subject in rule.get("subjects") or ()):
        return False
    if info.at.is_resource:
        return any(_resource_matches(r, info) for r in rule.get("resourceRules") or ())
    return any(
        _names(r.get("verbs"), info.verb) and _path_matches(r.get("nonResourceURLs") or (), info.at.path)
        for r in rule.get("nonResourceRules") or ()
    )


def _is_subject(subject: Object, user: User) -> bool:
    match subject.get("kind"):
        case "User":
            return (subject.get("user") or {}).get("name") in (_ANY, user.name)
        case "Group":
            name = (subject.get("group") or {}).get("name")
            return name == _ANY or name in user.groups
        case "ServiceAccount":
            account = subject.get("serviceAccount") or {}
            home, name = f"{_ACCOUNT}{account.get('namespace', '')}:", account.get("name", "")
            return user.name.startswith(home) if name == _ANY else user.name == home + name
    return False


def _resource_matches(rule: Object, info: RequestInfo) -> bool:
    at = info.at
    resource = f"{at.resource}/{at.subresource}" if at.subresource else at.resource
    if not (
        _names(rule.get("verbs"), info.verb)
        and _names(rule.get("resources"), resource)
        and _names(rule.get("apiGroups"), at.group)
    ):
        return False
    return _names(rule.get("namespaces"), at.namespace) if at.namespace else bool(rule.get("clusterScope"))


def _path_matches(urls: Iterable[str], path: str) -> bool:
    """A URL stands for all paths below it too, with or without a star at its end."""
    return any(url in (_ANY, path) or path.startswith(url.removesuffix(_ANY).rstrip("/") + "/") for url in urls)


def _names(words: Sequence[str] | None, word: str) -> bool:
    """A star stands for everything only where it stands alone."""
    return words is not None and (word in words or (len(words) == 1 and words[0] == _ANY))
