"""Holds pods to the Pod Security Standard that the labels of their namespace name, and these labels to their form.

Pods are refused; workloads that would make such pods, and namespaces whose pods are such, are only warned of.
Follows: staging/src/k8s.io/pod-security-admission/{admission/admission,api/helpers}.go
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, forbidden
from apiserver.admission.pod_security_checks import (
    BASELINE,
    LATEST_MINOR,
    PRIVILEGED,
    RESTRICTED,
    Subject,
    Violation,
    subject_of,
    violations,
)
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta import status
from openapi.meta.field import FieldError, invalid, quote

Object = dict[str, Any]

PREFIX = "pod-security.kubernetes.io/"
PODS, NAMESPACES = GroupResource("", "pods"), GroupResource("", "namespaces")
_TEMPLATES: Mapping[GroupResource, tuple[str, ...]] = {
    GroupResource("", "podtemplates"): ("template",),
    GroupResource("", "replicationcontrollers"): ("spec", "template"),
    GroupResource("apps", "daemonsets"): ("spec", "template"),
    GroupResource("apps", "deployments"): ("spec", "template"),
    GroupResource("apps", "replicasets"): ("spec", "template"),
    GroupResource("apps", "statefulsets"): ("spec", "template"),
    GroupResource("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
    GroupResource("batch", "jobs"): ("spec", "template"),
}
"""Where workloads keep the pods that they make."""
_LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
_MOST_PODS = 3000
_MOST_S = 1.0
"""Existing pods are checked for so long, up to so many, when the labels of their namespace change."""
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


class Standard(NamedTuple):
    """A level as one minor version defines it; `version` is how the label says so."""

    level: str
    version: str
    minor: int

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


class Policy(NamedTuple):
    enforce: Standard
    audit: Standard
    warn: Standard
    errors: tuple[FieldError, ...]

    @property
    def is_silent(self) -> bool:
        return self.audit.level == self.warn.level == PRIVILEGED and not self.errors


_OPEN = Standard(PRIVILEGED, "latest", LATEST_MINOR)
_NO_POLICY = Policy(_OPEN, _OPEN, _OPEN, ())


def policy_of(labels: Mapping[str, str]) -> Policy:
    """What the labels ask for. Errors fail closed for enforcing and open for telling."""
    if not labels:
        return _NO_POLICY
    errors: list[FieldError] = []
    enforce, has_enforce = _standard(labels, "enforce", errors)
    audit, has_audit = _standard(labels, "audit", errors)
    warn, has_warn = _standard(labels, "warn", errors)
    bad = {error.path for error in errors}
    if _path("enforce") in bad:
        enforce = enforce._replace(level=RESTRICTED)
    elif has_enforce:
        audit = audit if has_audit else _raised(audit, enforce, versioned=PREFIX + "audit-version" in labels)
        warn = warn if has_warn else _raised(warn, enforce, versioned=PREFIX + "warn-version" in labels)
    return Policy(enforce, audit, warn, tuple(errors))


def _standard(labels: Mapping[str, str], mode: str, errors: list[FieldError]) -> tuple[Standard, bool]:
    """The mode's standard, and whether its level is given."""
    level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
    found = _OPEN
    if level is not None:
        if level in _LEVELS:
            found = found._replace(level=level)
        else:
            errors.append(invalid(_path(mode), level, "must be one of privileged, baseline, restricted"))
    if version is not None and version != "latest":
        number = version.removeprefix("v1.")
        if number == version or not number.isdigit() or not number.isascii() or (number[0] == "0" and number != "0"):
            errors.append(invalid(_path(f"{mode}-version"), version, 'must be "latest" or "v1.x"'))
        else:
            found = found._replace(version=version, minor=int(number))
    return found, level is not None


def _path(name: str) -> str:
    return f"metadata.labels[{PREFIX}{name}]"


def _raised(told: Standard, enforced: Standard, *, versioned: bool) -> Standard:
    """What is enforced is also told of, where the labels do not say otherwise."""
    if _LEVELS.index(enforced.level) <= _LEVELS.index(told.level):
        return told
    return told._replace(level=enforced.level) if versioned else enforced


class PodSecurity(Plugin):
    name = "PodSecurity"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS, NAMESPACES, *_TEMPLATES))
    subresources = frozenset(("", "ephemeralcontainers", "resize"))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._namespaces = Lookup(store, catalog, "", "namespaces")
        self._pods = Lookup(store, catalog, "", "pods")

    async def validate(self, attributes: Attributes) -> None:
        gr = attributes.resource.gr
        if gr == NAMESPACES:
            self._check_namespace(attributes)
            return
        entry = await self._namespaces.find("", attributes.namespace)
        if entry is None:
            raise status.internal_error(f"failed to lookup namespace {attributes.namespace}")
        policy = fact(entry, "admission.podsecurity", _read)
        if gr == PODS:
            _check_pod(attributes, policy)
        elif not attributes.subresource and not policy.is_silent:
            template = _template(attributes)
            if template is not None:
                _evaluate(attributes, policy, subject_of(template), enforce=False)

    def _check_namespace(self, attributes: Attributes) -> None:
        obj, old = attributes.obj, attributes.old
        assert obj is not None
        if attributes.subresource:
            return
        policy = _read(obj)
        before = _NO_POLICY if old is None else _read(old)
        if policy.errors and policy.errors != before.errors:
            raise status.invalid("", "Namespace", obj["metadata"]["name"], policy.errors)
        if old is None:
            return
        new, was = policy.enforce, before.enforce
        relaxed = new.version == was.version and _LEVELS.index(new.level) <= _LEVELS.index(was.level)
        if new != was and new.level != PRIVILEGED and not relaxed:
            attributes.warnings.extend(self._existing(obj["metadata"]["name"], new))

    def _existing(self, namespace: str, standard: Standard) -> Iterator[str]:
        """What to say of the pods that are there, each kind of violation once."""
        entries = self._pods.all(namespace)
        until = time.monotonic() + _MOST_S
        found: dict[str, list[str]] = {}
        checked = 0
        for entry in entries[:_MOST_PODS]:
            checked += 1
            bad = violations(standard.level, standard.minor, subject_of(entry.object()))
            if bad:
                found.setdefault(", ".join(violation.reason for violation in bad), []).append(entry.name)
            if time.monotonic() > until:
                break
        if checked < len(entries):
            count = f"the first {checked} of {len(entries)} existing pods"
            yield f"new PodSecurity enforce level only checked against {count}"
        if found:
            what = f'violate the new PodSecurity enforce level "{standard}"'
            yield f"existing pods in namespace {quote(namespace)} {what}"
        yield from sorted(f"{_who(names)}: {reasons}" for reasons, names in found.items())


def _who(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other pod{'s' if others > 1 else ''})"


def _read(namespace: Object) -> Policy:
    return policy_of(namespace["metadata"].get("labels") or {})


def _template(attributes: Attributes) -> Object | None:
    found: Any = attributes.obj
    for field in _TEMPLATES[attributes.resource.gr]:
        found = found.get(field)
        if found is None:
            return None
    return found if found.get("spec") is not None else None


def _check_pod(attributes: Attributes, policy: Policy) -> None:
    if policy.is_silent and policy.enforce.level == PRIVILEGED:
        attributes.annotations[PREFIX + "enforce-policy"] = str(policy.enforce)
        return
    assert attributes.obj is not None
    if attributes.old is None or _matters(attributes.obj, attributes.old):
        _evaluate(attributes, policy, subject_of(attributes.obj), enforce=True)


def _evaluate(attributes: Attributes, policy: Policy, subject: Subject, *, enforce: bool) -> None:
    if policy.errors:
        texts = "; ".join(str(error) for error in policy.errors)
        attributes.annotations[PREFIX + "error"] = f"Failed to parse policy: {texts}"
    known: dict[Standard, str] = {}

    def detail(standard: Standard) -> str:
        if standard not in known:
            known[standard] = _show(violations(standard.level, standard.minor, subject))
        return known[standard]

    if enforce:
        attributes.annotations[PREFIX + "enforce-policy"] = str(policy.enforce)
    if detail(policy.audit):
        text = f'would violate PodSecurity "{policy.audit}": {detail(policy.audit)}'
        attributes.annotations[PREFIX + "audit-violations"] = text
    if enforce and detail(policy.enforce):
        raise forbidden(attributes, f'violates PodSecurity "{policy.enforce}": {detail(policy.enforce)}')
    if detail(policy.warn):
        attributes.warnings.append(f'would violate PodSecurity "{policy.warn}": {detail(policy.warn)}')


def _show(found: list[Violation]) -> str:
    return ", ".join(f"{v.reason} ({v.detail})" if v.detail else v.reason for v in found)


def _matters(pod: Object, old: Object) -> bool:
    """Whether an update changes anything that a check could look at."""
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    notes, notes_before = pod["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
    if notes.get(_SECCOMP_POD) != notes_before.get(_SECCOMP_POD):
        return True

    def differs(new: Object, container: Object) -> bool:
        key = _SECCOMP_CONTAINER + new.get("name", "")
        return new.get("image") != container.get("image") or notes.get(key) != notes_before.get(key)

    for field in ("containers", "initContainers"):
        containers, containers_before = spec.get(field) or (), before.get(field) or ()
        if len(containers) != len(containers_before) or any(map(differs, containers, containers_before)):
            return True
    known = {c.get("name", ""): c for c in before.get("ephemeralContainers") or ()}
    for container in spec.get("ephemeralContainers") or ():
        same = known.get(container.get("name", ""))
        if same is None or differs(container, same):
            return True
    return False
