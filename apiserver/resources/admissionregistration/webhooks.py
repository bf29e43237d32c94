"""Webhook configurations: whom to ask before objects are stored, and for which requests.

Rules that came later are not held against what was stored before them.
Follows: pkg/registry/admissionregistration/{validating,mutating}webhookconfiguration/strategy.go,
pkg/apis/admissionregistration/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.admissionregistration.client_config import validate_client_config
from apiserver.resources.admissionregistration.columns import WEBHOOKS
from apiserver.resources.admissionregistration.expressions import same_conditions, validate_match_conditions
from apiserver.resources.admissionregistration.rules import validate_rule
from apiserver.resources.age import age
from apiserver.resources.field_rules import each
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, duplicate, invalid, not_supported, required
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import is_dns1035_label, is_fully_qualified_name, name_is_dns_subdomain
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]

REVIEW_VERSIONS = ("v1", "v1beta1")
MAX_TIMEOUT_S = 30
_NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")


class WebhookConfigurationStrategy(Strategy):
    allow_unconditional_update = False
    columns = WEBHOOKS
    mutating = False

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        meta = obj["metadata"]
        if old is None:
            meta["generation"] = 1
        elif _hooks(obj) != _hooks(old):
            meta["generation"] = int(old["metadata"].get("generation", 0)) + 1

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        hooks, old_hooks = _hooks(obj), _hooks(old or EMPTY)
        quiet = all(hook.get("sideEffects") in _NO_SIDE_EFFECTS for hook in old_hooks)
        unique = len({hook.get("name") for hook in old_hooks}) == len(old_hooks)
        recognized = all(_is_recognized(hook) for hook in old_hooks)
        with_conditions = old is None or not same_conditions(hooks, old_hooks)
        seen: set[str] = set()
        for i, hook in enumerate(hooks):
            path, name = f"webhooks[{i}]", hook.get("name", "")
            yield from self._validate_hook(hook, path, quiet)
            if with_conditions:
                yield from validate_match_conditions(hook.get("matchConditions") or (), f"{path}.matchConditions")
            versions = hook.get("admissionReviewVersions") or ()
            yield from _validate_versions(versions, f"{path}.admissionReviewVersions", recognized)
            if unique and name in seen:
                yield duplicate(f"{path}.name", name)
            if name:
                seen.add(name)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta.get("name", ""), len(_hooks(obj)), age(meta.get("creationTimestamp"), now)]

    def _validate_hook(self, hook: Struct, path: str, quiet: bool) -> Iterator[FieldError]:
        name = hook.get("name", "")
        if not name:
            yield required(f"{path}.name")
        else:
            yield from each(is_fully_qualified_name(name), f"{path}.name", name)
        for i, rule in enumerate(hook.get("rules") or ()):
            yield from validate_rule(rule, f"{path}.rules[{i}]")
        yield from _choice(hook, "failurePolicy", ("Fail", "Ignore"), path)
        yield from _choice(hook, "matchPolicy", ("Equivalent", "Exact"), path)
        effects, allowed = hook.get("sideEffects"), _NO_SIDE_EFFECTS if quiet else _SIDE_EFFECTS
        if effects is None:
            yield required(f"{path}.sideEffects", "must specify one of " + ", ".join(allowed))
        yield from _choice(hook, "sideEffects", allowed, path)
        timeout_s = hook.get("timeoutSeconds")
        if timeout_s is not None and not 1 <= timeout_s <= MAX_TIMEOUT_S:
            text = f"the timeout value must be between 1 and {MAX_TIMEOUT_S} seconds"
            yield invalid(f"{path}.timeoutSeconds", timeout_s, text)
        for field in ("namespaceSelector", "objectSelector"):
            yield from validate_label_selector(hook.get(field), f"{path}.{field}")
        if self.mutating:
            yield from _choice(hook, "reinvocationPolicy", ("IfNeeded", "Never"), path)
        yield from validate_client_config(hook.get("clientConfig") or EMPTY, f"{path}.clientConfig")


class MutatingWebhooks(WebhookConfigurationStrategy):
    """They may be asked again, after others have changed the object."""

    mutating = True


class ValidatingWebhooks(WebhookConfigurationStrategy):
    """They see an object as it will be stored."""


def _hooks(obj: Struct) -> Sequence[Struct]:
    hooks: Sequence[Struct] = obj.get("webhooks") or ()
    return hooks


def _choice(struct: Struct, field: str, allowed: Sequence[str], path: str) -> Iterator[FieldError]:
    value = struct.get(field)
    if value is not None and value not in allowed:
        yield not_supported(f"{path}.{field}", value, allowed)


def _is_recognized(hook: Struct) -> bool:
    return any(version in REVIEW_VERSIONS for version in hook.get("admissionReviewVersions") or ())


def _validate_versions(versions: Sequence[str], path: str, recognized: bool) -> Iterator[FieldError]:
    accepted = ", ".join(REVIEW_VERSIONS)
    if not versions:
        yield required(path, f"must specify one of {accepted}")
        return
    seen: set[str] = set()
    for i, version in enumerate(versions):
        if version in seen:
            yield invalid(f"{path}[{i}]", version, "duplicate version")
            continue
        seen.add(version)
        yield from each(is_dns1035_label(version), f"{path}[{i}]", version)
    if recognized and not seen & set(REVIEW_VERSIONS):
        yield invalid(path, list(versions), f"must include at least one of {accepted}")
