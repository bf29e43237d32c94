"""Policy rules of roles: do they match a request, does one set of them cover another, how are they shown.

Rules are `{verbs, apiGroups, resources, resourceNames, nonResourceURLs}` of lists. `CompiledRule` is the form that
requests are matched against; covering and showing are rare and work on the plain form.
Follows: staging/src/k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go,
pkg/apis/rbac/v1/evaluation_helpers.go
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from openapi.meta.field import quote

Rule = Mapping[str, Any]


class _Everything:
    """A set with every string in it: what "*" stands for."""

    def __contains__(self, item: object) -> bool:
        return True


EVERYTHING: Container[str] = _Everything()

SHOWN = (
    ("apiGroups", "APIGroups"),
    ("resources", "Resources"),
    ("nonResourceURLs", "NonResourceURLs"),
    ("resourceNames", "ResourceNames"),
    ("verbs", "Verbs"),
)


class CompiledRule:
    """One rule, ready to be matched. `names` is None when the rule holds for objects of any name."""

    __slots__ = ("_groups", "_path_prefixes", "_paths", "_resources", "_verbs", "names")

    def __init__(self, rule: Rule) -> None:
        self._verbs = _matcher(rule.get("verbs"))
        self._groups = _matcher(rule.get("apiGroups"))
        self._resources = _matcher(rule.get("resources"))
        self.names = frozenset(rule.get("resourceNames") or ()) or None
        paths = rule.get("nonResourceURLs") or ()
        self._paths = _matcher(paths)
        self._path_prefixes = tuple(path.rstrip("*") for path in paths if path.endswith("*"))

    def matches_resource(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Whatever the object's name, which `names` has to allow too."""
        if verb not in self._verbs or group not in self._groups:
            return False
        if not subresource:
            return resource in self._resources
        return f"{resource}/{subresource}" in self._resources or f"*/{subresource}" in self._resources

    def matches_path(self, verb: str, path: str) -> bool:
        return verb in self._verbs and (path in self._paths or path.startswith(self._path_prefixes))


def _matcher(values: Sequence[str] | None) -> Container[str]:
    return EVERYTHING if values and "*" in values else frozenset(values or ())


def uncovered(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted`, broken down to single permissions, that no rule of `owned` includes."""
    return [part for rule in wanted for part in _break_down(rule) if not any(_covers(own, part) for own in owned)]


def _break_down(rule: Rule) -> Iterator[Rule]:
    verbs = rule.get("verbs") or ()
    names = rule.get("resourceNames") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                if names:
                    yield from ({**part, "resourceNames": [name]} for name in names)
                else:
                    yield part
    for path in rule.get("nonResourceURLs") or ():
        for verb in verbs:
            yield {"nonResourceURLs": [path], "verbs": [verb]}


def _covers(own: Rule, part: Rule) -> bool:
    """`part` is a single permission of `_break_down`."""
    if not _has(own, "verbs", part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        # A rule limited to some objects says nothing of paths.
        return not own.get("resourceNames") and _covers_path(own, part["nonResourceURLs"][0])
    if not _has(own, "apiGroups", part["apiGroups"][0]) or not _covers_resource(own, part["resources"][0]):
        return False
    names = own.get("resourceNames") or ()
    return not names or ("resourceNames" in part and part["resourceNames"][0] in names)


def _has(rule: Rule, field: str, value: str) -> bool:
    values = rule.get(field) or ()
    return "*" in values or value in values


def _covers_resource(own: Rule, resource: str) -> bool:
    if _has(own, "resources", resource):
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in (own.get("resources") or ())


def _covers_path(own: Rule, path: str) -> bool:
    return any(
        owned == path or (owned.endswith("*") and path.startswith(owned.rstrip("*")))
        for owned in own.get("nonResourceURLs") or ()
    )


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Join rules that differ in their verbs only, where each is about one plain resource."""
    found: list[Rule] = []
    simple: dict[tuple[str, str], dict[str, Any]] = {}
    for rule in rules:
        groups: Sequence[str] = rule.get("apiGroups") or ()
        resources: Sequence[str] = rule.get("resources") or ()
        narrow = rule.get("resourceNames") or rule.get("nonResourceURLs")
        if narrow or len(groups) != 1 or len(resources) != 1:
            found.append(rule)
            continue
        known = simple.get((groups[0], resources[0]))
        if known is None:
            simple[groups[0], resources[0]] = known = {**rule, "verbs": []}
            found.append(known)
        known["verbs"] += rule.get("verbs") or ()
    return found


def show(rule: Rule) -> str:
    """`{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`."""
    return "{" + ", ".join(f"{label}:{quote_list(rule[field])}" for field, label in SHOWN if rule.get(field)) + "}"


def quote_list(values: Iterable[str]) -> str:
    """Show strings as Go's %q shows a list of them."""
    return "[" + " ".join(quote(value) for value in values) + "]"
