"""Role-based access: which bindings apply to a user, and whether their roles' rules allow a request.

Roles and bindings are kept indexed by subject and changed one at a time as the watch cache sees them change; what a
user may do in a namespace is worked out once and remembered until any role or binding changes.
Follows: plugin/pkg/auth/authorizer/rbac/rbac.go, pkg/registry/rbac/validation/rule.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from apiserver.auth.attributes import Attributes
from apiserver.auth.authorizer import NO_OPINION, Decision, RuleSet
from apiserver.auth.rules import CompiledRule
from apiserver.resources.strategy import User
from apiserver.storage.cache import Event, ResourceCache
from openapi.meta.field import quote
from openapi.meta.status import not_found

Object = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"
RESOURCES = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")

REMEMBERED_USERS = 4096
REMEMBERED_QUESTIONS = 1024
"""Bounds of what is remembered; beyond them it is forgotten and worked out again."""


class Role(NamedTuple):
    """A Role, or with empty namespace a ClusterRole: its rules as they are, and compiled."""

    rules: tuple[Object, ...]
    compiled: tuple[CompiledRule, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or with empty namespace a ClusterRoleBinding."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[tuple[str, str], ...]
    """Each subject's key in the index, and its text in reasons."""

    def source(self, subject: str) -> str:
        kind, name = (
            ("RoleBinding", f"{self.name}/{self.namespace}") if self.namespace else ("ClusterRoleBinding", self.name)
        )
        return f"{kind} {quote(name)} of {self.role_kind} {quote(self.role_name)} to {subject}"


class Grant(NamedTuple):
    """One rule that applies to a user, and the answer it gives."""

    rule: CompiledRule
    decision: Decision


class Grants:
    """All that applies to one user in one namespace, with the questions asked so far."""

    __slots__ = ("_grants", "_paths", "_refusal", "_resources")

    def __init__(self, grants: list[Grant], errors: list[str]) -> None:
        self._grants = grants
        self._refusal = Decision(False, f"RBAC: {_join(errors)}") if errors else NO_OPINION
        self._resources: dict[tuple[str, str, str, str], list[Grant]] = {}
        self._paths: dict[tuple[str, str], Decision] = {}

    def decide(self, asked: Attributes) -> Decision:
        if not asked.is_resource:
            return self._decide_path(asked.verb, asked.path)
        question = (asked.verb, asked.group, asked.resource, asked.subresource)
        candidates = self._resources.get(question)
        if candidates is None:
            if len(self._resources) >= REMEMBERED_QUESTIONS:
                self._resources.clear()
            candidates = [grant for grant in self._grants if grant.rule.matches_resource(*question)]
            self._resources[question] = candidates
        for rule, decision in candidates:
            if rule.names is None or asked.name in rule.names:
                return decision
        return self._refusal

    def _decide_path(self, verb: str, path: str) -> Decision:
        decision = self._paths.get((verb, path))
        if decision is None:
            if len(self._paths) >= REMEMBERED_QUESTIONS:
                self._paths.clear()
            matching = (grant.decision for grant in self._grants if grant.rule.matches_path(verb, path))
            self._paths[verb, path] = decision = next(matching, self._refusal)
        return decision


class RbacIndex:
    """All roles and bindings. `put` and `remove` follow the watch cache; the rest answers from memory."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str], Role] = {}
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._by_subject: dict[str, dict[str, dict[str, Binding]]] = {}
        self._grants: dict[tuple[str, str, tuple[str, ...]], Grants] = {}

    def put(self, resource: str, obj: Mapping[str, Any]) -> None:
        """Take in an object of `resource` (roles, clusterroles, rolebindings, clusterrolebindings), new or changed."""
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        if resource.endswith("roles"):
            rules = tuple(obj.get("rules") or ())
            self._roles[key] = Role(rules, tuple(CompiledRule(rule) for rule in rules))
        else:
            self._unbind(key)
            self._bind(_binding(obj))
        self._grants.clear()

    def remove(self, resource: str, namespace: str, name: str) -> None:
        """Forget a deleted object; unknown ones are ignored."""
        if resource.endswith("roles"):
            self._roles.pop((namespace, name), None)
        else:
            self._unbind((namespace, name))
        self._grants.clear()

    def grants(self, user: User, namespace: str) -> Grants:
        key = (namespace, user.name, user.groups)
        found = self._grants.get(key)
        if found is None:
            if len(self._grants) >= REMEMBERED_USERS:
                self._grants.clear()
            self._grants[key] = found = self._work_out(user, namespace)
        return found

    def role_rules(self, kind: str, namespace: str, name: str) -> tuple[Object, ...] | None:
        """The rules of the role a binding in `namespace` refers to, or None where there is no such role."""
        role = self._roles.get((namespace if kind == "Role" else "", name))
        return None if role is None else role.rules

    def rules_for(self, user: User, namespace: str) -> tuple[list[Object], list[str]]:
        """All rules that apply to `user` in `namespace`, and the texts of errors met on the way."""
        rules: list[Object] = []
        errors: list[str] = []
        for binding, _ in self._applying(user, namespace):
            role = self._role_of(binding)
            if role is None:
                errors.append(_missing(binding))
            else:
                rules.extend(role.rules)
        return rules, errors

    def _work_out(self, user: User, namespace: str) -> Grants:
        grants: list[Grant] = []
        errors: list[str] = []
        for binding, subject in self._applying(user, namespace):
            role = self._role_of(binding)
            if role is None:
                errors.append(_missing(binding))
                continue
            allowed = Decision(True, f"RBAC: allowed by {binding.source(subject)}")
            grants.extend(Grant(rule, allowed) for rule in role.compiled)
        return Grants(grants, errors)

    def _applying(self, user: User, namespace: str) -> Iterator[tuple[Binding, str]]:
        """The bindings for `user` with the text of the first subject that fits: the cluster's, then the namespace's."""
        keys = {f"User {user.name}", *(f"Group {group}" for group in user.groups)}
        for scope in ("", namespace) if namespace else ("",):
            subjects = self._by_subject.get(scope)
            if not subjects:
                continue
            found = {name: binding for key in keys for name, binding in subjects.get(key, {}).items()}
            for name in sorted(found):
                binding = found[name]
                yield binding, next(text for key, text in binding.subjects if key in keys)

    def _role_of(self, binding: Binding) -> Role | None:
        return self._roles.get((binding.namespace if binding.role_kind == "Role" else "", binding.role_name))

    def _bind(self, binding: Binding) -> None:
        self._bindings[binding.namespace, binding.name] = binding
        subjects = self._by_subject.setdefault(binding.namespace, {})
        for key, _ in binding.subjects:
            subjects.setdefault(key, {})[binding.name] = binding

    def _unbind(self, key: tuple[str, str]) -> None:
        binding = self._bindings.pop(key, None)
        if binding is None:
            return
        subjects = self._by_subject[binding.namespace]
        for subject, _ in binding.subjects:
            of_subject = subjects.get(subject)
            if of_subject is not None:
                of_subject.pop(binding.name, None)
                if not of_subject:
                    del subjects[subject]
        if not subjects:
            del self._by_subject[binding.namespace]


def follow(index: RbacIndex, caches: Mapping[str, ResourceCache]) -> None:
    """Fill `index` from the watch caches of the four resources, by resource, and keep it as they are."""
    for resource in RESOURCES:
        cache = caches[resource]
        for entry in cache.entries():
            index.put(resource, entry.object())
        cache.listen(_Follower(index, resource))


class _Follower:
    """Carries one cache's events over."""

    def __init__(self, index: RbacIndex, resource: str) -> None:
        self._index = index
        self._resource = resource

    def __call__(self, event: Event) -> None:
        if event.type == "DELETED":
            self._index.remove(self._resource, event.entry.namespace, event.entry.name)
        else:
            self._index.put(self._resource, event.entry.object())


class RbacAuthorizer:
    """Answers from an index."""

    def __init__(self, index: RbacIndex) -> None:
        self._index = index

    def authorize(self, attributes: Attributes) -> Decision:
        return self._index.grants(attributes.user, attributes.namespace).decide(attributes)

    def rules(self, user: User, namespace: str) -> RuleSet:
        rules, errors = self._index.rules_for(user, namespace)
        of_resources = [
            _pick(r, "verbs", "apiGroups", "resources", "resourceNames") for r in rules if r.get("resources")
        ]
        of_paths = [_pick(r, "verbs", "nonResourceURLs") for r in rules if r.get("nonResourceURLs")]
        return RuleSet(of_resources, of_paths, False, (_join(errors),) if errors else ())


def _binding(obj: Mapping[str, Any]) -> Binding:
    meta, ref = obj["metadata"], obj["roleRef"]
    namespace = meta.get("namespace", "")
    subjects = (_subject(subject, namespace) for subject in obj.get("subjects") or ())
    return Binding(
        namespace, meta["name"], ref.get("kind", ""), ref.get("name", ""), tuple(s for s in subjects if s is not None)
    )


def _subject(subject: Mapping[str, Any], namespace: str) -> tuple[str, str] | None:
    """A subject's key and text. A service account is the user it authenticates as."""
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind in ("User", "Group"):
        return f"{kind} {name}", f"{kind} {quote(name)}"
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        if home:
            return f"User system:serviceaccount:{home}:{name}", f"ServiceAccount {quote(f'{name}/{home}')}"
    return None


def _missing(binding: Binding) -> str:
    if binding.role_kind in ("Role", "ClusterRole"):
        return str(not_found(RBAC, binding.role_kind.lower(), binding.role_name))
    return f"unsupported role reference kind: {quote(binding.role_kind)}"


def _join(errors: Iterable[str]) -> str:
    """Several errors as one text: each once, more than one in brackets."""
    texts = list(dict.fromkeys(errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _pick(rule: Object, *fields: str) -> Object:
    return {field: rule[field] for field in fields if rule.get(field)}
